/**
 * What sessions have done, by route and by name: `sessions.<mode>.<state>` (a gauge), `handshakes.<outcome>`, `messages.in`, `messages.out`, `bytes.in`,
 * `bytes.out`, `closes.<by>.<code>`, `sessionSeconds`, `resumes`, `rateLimited`, `budgetClosed`.
 */
export type SocketCounts = Map<string, Map<string, number>>;

const MOST_ROUTES = 1_000;
/** Peers choose the codes with which they close: 2,000 of them, each way. */
const MOST_NAMES = 200;

/** Counts under a name; where there is no room for another one, under `<its first word>.other`. */
export function count(counts: SocketCounts, route: string, name: string, many = 1): void {
  const names = counts.get(route) ?? new Map<string, number>();
  if (!counts.has(route)) {
    if (counts.size >= MOST_ROUTES) return;
    counts.set(route, names);
  }
  const known = names.has(name) || names.size < MOST_NAMES ? name : `${name.split(".", 1)[0] ?? ""}.other`;
  names.set(known, (names.get(known) ?? 0) + many);
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
}

/** Counts what passed in a session. */
export function countPassed(counts: SocketCounts, passed: Passed): void {
  const { route, messagesIn, messagesOut, bytesIn, bytesOut, resumes } = passed;
  count(counts, route, "messages.in", messagesIn);
  count(counts, route, "messages.out", messagesOut);
  count(counts, route, "bytes.in", bytesIn);
  count(counts, route, "bytes.out", bytesOut);
  count(counts, route, "resumes", resumes);
}
