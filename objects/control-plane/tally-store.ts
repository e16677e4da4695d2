import { addTally, noTally, type CacheTally } from "./cache-tally.ts";

/** What all caches have done, as far as it was told. */
export interface StoredTally {
  /** Milliseconds since the epoch. */
  readonly since: number;
  readonly counts: CacheTally;
}

/** Sums what isolates tell. */
export interface TallyStore {
  add(tally: CacheTally): void;
  read(): StoredTally;
}

const NAME = "cache-tally";
/** What was told less long ago is lost with the object: a write for each message would cost more than the numbers are worth. */
const SAVE_MS = 2_000;

/** Opens the sum in an object's storage. */
export function openTallyStore(storage: DurableObjectStorage): TallyStore {
  let total = storage.kv.get<StoredTally>(NAME);
  let isSaving = false;
  const read = () => total ?? { since: Date.now(), counts: noTally() };
  return {
    read,
    add(tally) {
      const { since, counts } = read();
      total = { since, counts: addTally(counts, tally) };
      if (isSaving) return;
      isSaving = true;
      setTimeout(() => {
        isSaving = false;
        storage.kv.put(NAME, total);
      }, SAVE_MS);
    },
  };
}
