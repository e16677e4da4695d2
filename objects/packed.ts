/**
 * What every stored record is read back with. A record is JSON in which lists stand for objects; whatever does not read as
 * its writer wrote it is undefined, and the record counts as lost.
 */

/** The value behind a JSON text; undefined when it is none. */
export function parsePacked(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Every entry of a list as `unpack` reads it; undefined when one is no list itself or cannot be read. */
export function unpackList<Item>(
  list: unknown,
  unpack: (entry: readonly unknown[]) => Item | undefined,
): readonly Item[] | undefined {
  if (!Array.isArray(list)) return undefined;
  const items: Item[] = [];
  for (const entry of list) {
    const item = Array.isArray(entry) ? unpack(entry) : undefined;
    if (item === undefined) return undefined;
    items.push(item);
  }
  return items;
}
