import type { BreakerReply, BreakerReport } from "./breaker-messages.ts";
import type { BreakerRules } from "./breaker-rules.ts";

/** What the owner remembers, in memory only, of one isolate. Times are -Infinity where something never was. */
export interface Peer {
  readonly isolate: string;
  readonly at: number;
  /** Its last message's number and what it was told, for the same message sent again. */
  readonly seq: number;
  readonly reply: BreakerReply;
  /** When it last voted for opening in the present epoch. */
  readonly votedAt: number;
  /** When it last reported that of its calls as many failed, or were slow, as open a breaker. */
  readonly failingAt: number;
  readonly slowAt: number;
}

/** What counts of a peer while its reply is being found. */
export type Heard = Omit<Peer, "seq" | "reply">;

/** More isolates than this are not told apart; a breaker so busy is to be split by region. */
const MAX_PEERS = 2_048;
/** An isolate reports once in at most three paces; this many later it is gone. */
export const ACTIVE_PACES = 4;

/** All peers but one, without those who are gone. A peer from the future is one from before the clock stepped back. */
export function otherPeers(peers: readonly Peer[], isolate: string, now: number, rules: BreakerRules): readonly Peer[] {
  const activeMs = ACTIVE_PACES * rules.paceMs(peers.length);
  const others = peers.filter((peer) => peer.isolate !== isolate && Math.abs(now - peer.at) <= activeMs);
  return others.length < MAX_PEERS ? others : others.slice(1 - MAX_PEERS);
}

/** How many peers a time of which is within `ms`. */
export function countWithin(
  peers: readonly Heard[],
  time: "votedAt" | "failingAt" | "slowAt",
  ms: number,
  now: number,
): number {
  let count = 0;
  for (const peer of peers) if (Math.abs(now - peer[time]) <= ms) count += 1;
  return count;
}

/** What a report says of its isolate, whose counts and vote belong to the present epoch, beside what is known of it. */
export function heardFrom(report: BreakerReport, known: Heard | undefined, now: number): Heard {
  const { isolate, ok, failed, slow, policy } = report;
  const calls = ok + failed;
  return {
    isolate,
    at: now,
    votedAt: report.isFailing ? now : (known?.votedAt ?? -Infinity),
    failingAt: failed > 0 && failed >= policy.failureRate * calls ? now : (known?.failingAt ?? -Infinity),
    slowAt: slow > 0 && slow >= policy.slowCallRate * calls ? now : (known?.slowAt ?? -Infinity),
  };
}

/** An isolate that is there, and of which nothing counts in the present epoch. */
export function present<Known extends Heard>(known: Known): Known {
  return { ...known, votedAt: -Infinity, failingAt: -Infinity, slowAt: -Infinity };
}
