import { addCounts, bucketOf, count, countPassed, type SocketCounts } from "../socket-registry/socket-counts.ts";
import type { SessionDescription } from "./session-control.ts";
import type { SessionEnd } from "./session-log.ts";
import { newTally, settleTally, type Tally } from "./tally.ts";

/** Of a configuration, over the time of an isolate. */
const MOST_ROUTES = 1_000;

/** Of all relays of this isolate: one report carries what many of them have counted. */
let pending: SocketCounts = new Map();
/** By route. */
const tallies = new Map<string, Tally>();

/** Where the messages of a route are counted. */
export function tallyOf(route: string): Tally {
  const known = tallies.get(route) ?? newTally();
  if (tallies.size < MOST_ROUTES) tallies.set(route, known);
  return known;
}

/** How a dial of an upstream that was lost went, or why there is no more. */
export type Reconnect = "open" | "failed" | "refused" | "gave-up";

/** Counts a dial of an upstream that was lost. */
export function countReconnect(route: string, outcome: Reconnect): void {
  count(pending, route, `upstreamReconnects.${outcome}`);
}

/** Counts an upstream that is lost, with what it was told since it said something last: nobody knows whether that has come. */
export function countUnknown(route: string, messages: number): void {
  if (messages > 0) count(pending, route, "inFlightUnknown", messages);
}

/** Counts a session that is closed because more waits in it than may. */
export function countBudgetClosed(route: string): void {
  count(pending, route, "budgetClosed");
}

/** Counts a client that comes back after a restart, or in vain: the code that says so. */
export function countResume(route: string, outcome: "restored" | number): void {
  count(pending, route, `resumes.${outcome}`);
}

/** Counts a handshake: `open`, `upstream-refused`, or the code of the gateway's refusal. */
export function countHandshake(route: string, outcome: string): void {
  count(pending, route, `handshakes.${outcome}`);
}

/** Counts a session that has ended. */
export function countEnd(session: SessionDescription, { by, code, why }: SessionEnd): void {
  const { route, openedAt } = session;
  count(pending, route, `closes.${by}.${code ?? "none"}`);
  const ms = Date.now() - openedAt;
  count(pending, route, "sessionMs", ms);
  count(pending, route, `sessionSeconds.${4 ** bucketOf(Math.ceil(ms / 1_000))}`);
  if (why !== undefined) count(pending, route, why);
  countPassed(pending, session);
}

/** Takes all that has not been told; undefined: there is nothing. */
export function takeCounts(): SocketCounts | undefined {
  for (const [route, tally] of tallies) settleTally(pending, route, tally);
  if (pending.size === 0) return undefined;
  const taken = pending;
  pending = new Map();
  return taken;
}

/** Keeps what could not be told. */
export function keepCounts(counts: SocketCounts): void {
  addCounts(pending, counts);
}
