import { bucketOf, BUCKETS, count, type SocketCounts } from "../socket-registry/socket-counts.ts";

/** What has passed on a route since it was told last: counted message by message, so without an allocation. */
export interface Tally {
  /** Texts by size, then what is binary by size, then the bytes of either. */
  readonly in: Float64Array;
  readonly out: Float64Array;
  /** Messages by the ms that they were in the relay. */
  readonly relayMs: Float64Array;
}

/** Where the bytes of texts are. */
const BYTES = 2 * BUCKETS;

/** Nothing yet. */
export function newTally(): Tally {
  return {
    in: new Float64Array(BYTES + 2),
    out: new Float64Array(BYTES + 2),
    relayMs: new Float64Array(BUCKETS),
  };
}

/** Counts a message of so many bytes. */
export function tallyMessage(list: Float64Array, message: string | ArrayBuffer, bytes: number): void {
  const kind = typeof message === "string" ? 0 : 1;
  const at = kind * BUCKETS + bucketOf(bytes);
  list[at] = (list[at] ?? 0) + 1;
  list[BYTES + kind] = (list[BYTES + kind] ?? 0) + bytes;
}

/** Counts a message that was in the relay for so long. */
export function tallyRelayed({ relayMs }: Tally, ms: number): void {
  const at = bucketOf(ms);
  relayMs[at] = (relayMs[at] ?? 0) + 1;
}

/** Adds what was tallied on a route to its counts, and begins anew. */
export function settleTally(counts: SocketCounts, route: string, tally: Tally): void {
  for (const way of ["in", "out"] as const) {
    const list = tally[way];
    for (const [kind, name] of [`${way}.text`, `${way}.binary`].entries()) {
      const sizes = list.subarray(kind * BUCKETS, (kind + 1) * BUCKETS);
      const messages = sizes.reduce((sum, many) => sum + many, 0);
      if (messages === 0) continue;
      count(counts, route, `messages.${name}`, messages);
      count(counts, route, `bytes.${name}`, list[BYTES + kind] ?? 0);
      settle(counts, route, `messageBytes.${way}`, sizes);
    }
    list.fill(0);
  }
  settle(counts, route, "relayMs", tally.relayMs);
  tally.relayMs.fill(0);
}

function settle(counts: SocketCounts, route: string, name: string, buckets: Float64Array): void {
  for (const [at, many] of buckets.entries()) if (many > 0) count(counts, route, `${name}.${4 ** at}`, many);
}
