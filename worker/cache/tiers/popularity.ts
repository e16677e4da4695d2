/** Knows roughly how often each of any number of keys was asked for lately, in a memory that does not grow. */
export interface Popularity {
  /** Counts one more request for a key. */
  count(key: string): void;
  /** How often it was asked for, never less than it was since the counters were halved last; at most 255. */
  of(key: string): number;
}

const ROWS = 4;
const HEX = 4;
const COLUMNS = 16 ** HEX;
/** As many requests as a row has counters: then what was popular long ago counts half. */
const HALVE_AFTER = COLUMNS;

/**
 * A count-min sketch of 256 KiB whose counters are halved from time to time, as TinyLFU does it (Einziger, Friedman and Manes, 2017). Keys
 * are hex digests: their own digits are as good as any hash of them.
 */
export function createPopularity(): Popularity {
  let counters: Uint8Array | undefined;
  let counted = 0;
  const placesOf = (key: string) =>
    Array.from({ length: ROWS }, (_, row) => row * COLUMNS + parseInt(key.slice(row * HEX, (row + 1) * HEX), 16));
  const of = (key: string) => Math.min(...placesOf(key).map((place) => counters?.[place] ?? 0));
  return {
    of,
    count(key) {
      // Made by the first who goes past the nearest tier: where all is in it nobody needs it.
      counters ??= new Uint8Array(ROWS * COLUMNS);
      const least = of(key);
      if (least < 255) for (const place of placesOf(key)) if (counters[place] === least) counters[place] = least + 1;
      counted += 1;
      if (counted < HALVE_AFTER) return;
      counted = 0;
      for (let place = 0; place < counters.length; place++) counters[place] = (counters[place] ?? 0) >> 1;
    },
  };
}
