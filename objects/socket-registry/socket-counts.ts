/**
 * What sessions have done, by route and by name: `sessions.<mode>.<state>` (a gauge), `handshakes.<outcome>`, `messages.<in or out>` and of these
 * `.text` and `.binary`, `bytes` alike, `closes.<by>.<code>`, `sessionMs`, `resumes.<outcome>`, `replayed`, `upstreamReconnects.<outcome>`, `inFlightUnknown`,
 * `rateLimited`, `budgetClosed`; and the histograms `messageBytes.<in or out>.<bound>`, `relayMs.<bound>` and `sessionSeconds.<bound>`: how many were
 * at most that, and more than the bound before it. Bounds are powers of four, so histograms of any objects can be added.
 */
export type SocketCounts = Map<string, Map<string, number>>;

const MOST_ROUTES = 1_000;
/** Peers choose the codes with which they close: 2,000 of them, each way. */
const MOST_NAMES = 200;

/** Buckets of a histogram, from 1 to 4 ** 13: 64 MiB, 18 hours in ms, or two years in seconds. */
export const BUCKETS = 14;

/** Which bucket a whole number is in: the first whose bound is not less than it. */
export function bucketOf(value: number): number {
  return value <= 1 ? 0 : Math.min(BUCKETS - 1, (33 - Math.clz32(value - 1)) >> 1);
}

/** Counts under a name; a close by a peer for which there is no room, under `closes.other`. */
export function count(counts: SocketCounts, route: string, name: string, many = 1): void {
  const names = counts.get(route) ?? new Map<string, number>();
  if (!counts.has(route)) {
    if (counts.size >= MOST_ROUTES) return;
    counts.set(route, names);
  }
  const isKnown = names.size < MOST_NAMES || names.has(name) || !isPeers(name);
  const known = isKnown ? name : "closes.other";
  names.set(known, (names.get(known) ?? 0) + many);
}

/** Whether a peer has chosen it. What the gateway closes is not to be lost among what clients make up. */
function isPeers(name: string): boolean {
  return name.startsWith("closes.client.") || name.startsWith("closes.upstream.");
}

/** Adds all of `more`. */
export function addCounts(counts: SocketCounts, more: SocketCounts): void {
  for (const [route, names] of more) {
    for (const [name, many] of names) count(counts, route, name, many);
  }
}

/** What passed in a session. */
export interface Passed {
  readonly route: string;
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly resumes: number;
  readonly replayed: number;
}

/** Counts what passed in a session. */
export function countPassed(counts: SocketCounts, passed: Passed): void {
  const { route, messagesIn, messagesOut, bytesIn, bytesOut, resumes, replayed } = passed;
  count(counts, route, "messages.in", messagesIn);
  count(counts, route, "messages.out", messagesOut);
  count(counts, route, "bytes.in", bytesIn);
  count(counts, route, "bytes.out", bytesOut);
  if (resumes > 0) count(counts, route, "resumes.done", resumes);
  if (replayed > 0) count(counts, route, "replayed", replayed);
}
