/** From this many entries a table is worth telling of. */
const LARGE = 100;

/** Tables of this isolate that hold many entries now, and the most that any ever held. */
export interface TableSizes {
  readonly now: readonly number[];
  readonly largestEver: number;
}

const large = new Set<WeakRef<{ readonly size: number }>>();
let largestEver = 0;

/** The sizes of every `Map` and `Set` that was made since this module was loaded, the largest first. */
export function tableSizes(): TableSizes {
  const sizes = [...large].map((table) => table.deref()?.size ?? 0).filter((size) => size >= LARGE);
  return { now: sizes.sort((a, b) => b - a), largestEver };
}

function grown(table: { readonly size: number }): void {
  if (table.size === LARGE) large.add(new WeakRef(table));
  largestEver = Math.max(largestEver, table.size);
}

const PlainMap = globalThis.Map;
const PlainSet = globalThis.Set;

// An entry file imports this before the Worker, so that the tables of its modules are counted too.
globalThis.Map = class<Key, Value> extends PlainMap<Key, Value> {
  override set(key: Key, value: Value): this {
    super.set(key, value);
    grown(this);
    return this;
  }
};

globalThis.Set = class<Value> extends PlainSet<Value> {
  override add(value: Value): this {
    super.add(value);
    grown(this);
    return this;
  }
};
