import { addCounts, count, countPassed, type SocketCounts } from "../socket-registry/socket-counts.ts";
import type { SessionDescription } from "./session-control.ts";
import type { SessionEnd } from "./session-log.ts";

/** Of all relays of this isolate: one report carries what many of them have counted. */
let pending: SocketCounts = new Map();

/** Counts a handshake: `open`, `upstream-refused`, or the code of the gateway's refusal. */
export function countHandshake(route: string, outcome: string): void {
  count(pending, route, `handshakes.${outcome}`);
}

/** Counts a session that has ended. */
export function countEnd(session: SessionDescription, { by, code, why }: SessionEnd): void {
  const { route, openedAt } = session;
  count(pending, route, `closes.${by}.${code ?? "none"}`);
  count(pending, route, "sessionSeconds", (Date.now() - openedAt) / 1_000);
  if (why !== undefined) count(pending, route, why);
  countPassed(pending, session);
}

/** Takes all that has not been told; undefined: there is nothing. */
export function takeCounts(): SocketCounts | undefined {
  if (pending.size === 0) return undefined;
  const taken = pending;
  pending = new Map();
  return taken;
}

/** Keeps what could not be told. */
export function keepCounts(counts: SocketCounts): void {
  addCounts(pending, counts);
}
