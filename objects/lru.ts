/** A bounded table that forgets what was used longest ago. */
export interface Lru<Key, Value> {
  /** The value, which becomes the most recently used; undefined when it is not held. */
  get(key: Key): Value | undefined;
  /** Holds a value as the most recently used; returns the least recently used one when that has to go for it. */
  set(key: Key, value: Value): Value | undefined;
  delete(key: Key): void;
  /** Changes how many there is room for; those used longest ago go that have none any more. */
  resize(capacity: number): void;
  readonly size: number;
}

/**
 * Makes an empty table of at most `capacity` entries (an integer >= 1). Every operation is O(1): a `Map` keeps its
 * keys in the order of insertion, and a use inserts anew; not that of the latest one, since a hot key is used many times
 * in a row and inserting costs ten times what looking does.
 */
export function createLru<Key, Value extends {}>(capacity: number): Lru<Key, Value> {
  const entries = new Map<Key, Value>();
  let room = capacity;
  let latest: Key | undefined;
  return {
    get(key) {
      const value = entries.get(key);
      if (value === undefined || key === latest) return value;
      entries.delete(key);
      entries.set(key, value);
      latest = key;
      return value;
    },
    set(key, value) {
      entries.delete(key);
      entries.set(key, value);
      latest = key;
      if (entries.size <= room) return undefined;
      const oldest = entries.entries().next();
      if (oldest.done) return undefined;
      entries.delete(oldest.value[0]);
      return oldest.value[1];
    },
    delete(key) {
      entries.delete(key);
      if (key === latest) latest = undefined;
    },
    resize(next) {
      room = next;
      for (const key of entries.keys()) {
        if (entries.size <= room) break;
        entries.delete(key);
      }
    },
    get size() {
      return entries.size;
    },
  };
}
