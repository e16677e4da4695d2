import type { LeaseMessage, LeaseReply } from "./lease-messages.ts";
import { MAX_TTL_MS, MIN_TTL_MS, type LeaseRules } from "./lease-rules.ts";
import type { BucketLimit } from "../algorithms/token-bucket.ts";

/** What the owner remembers, in memory only, of one isolate that asked about a client. */
export interface Peer {
  readonly isolate: string;
  readonly at: number;
  /** Tokens a second that the isolate saw asked for, by policy. */
  readonly rates: ReadonlyMap<string, number>;
  /** Its last message's number and what it was told, for the same message sent again. */
  readonly seq: number;
  readonly reply: LeaseReply;
}

/** What all isolates together want of one policy. */
export interface Demand {
  /** Tokens a second. */
  readonly rate: number;
  /** Isolates that asked within the last two seconds. */
  readonly isolates: number;
}

/** How a lease of one policy should be. */
export interface Sizing {
  /** Tokens that the isolate will use in the horizon; 0: too few for a lease. */
  readonly ideal: number;
  /** Tokens that may go to this isolate now. */
  readonly supply: number;
}

/** Who asks for a lease: see `sizeLease`. */
interface Asker {
  readonly rate: number;
  readonly cost: number;
  readonly usualCost?: number | undefined;
  readonly want: number;
  readonly isShard?: boolean;
}

const MAX_PEERS = 128;
/** An isolate that works from a lease may be silent for half the longest one; then it fades. */
const SILENT_MS = 2_500;
const FADE_MS = 1_000;
const ACTIVE_MS = 2_000;
/** Share of the limit up to which a lease is long, because nobody else wants its tokens. */
const BUSY_SHARE = 0.8;

/** For how long a shard should have something to lend. It renews several times a second; twice as much wasted twice as much. */
const MAX_POOL_MS = 250;

/** What counts for demand. */
export type Heard = Omit<Peer, "seq" | "reply">;

/** What a message tells of its isolate. */
export function heardFrom(message: LeaseMessage, now: number): Heard {
  return {
    isolate: message.isolate,
    at: now,
    rates: new Map(message.items.map(({ policy, rate }) => [policy, rate])),
  };
}

/** All peers but one, those who are silent for long left out, so that there is room for one more. */
export function otherPeers(peers: readonly Peer[], isolate: string, now: number): readonly Peer[] {
  return peers.filter((peer) => peer.isolate !== isolate && now - peer.at < 2 * MAX_TTL_MS).slice(1 - MAX_PEERS);
}

/** The demand for a policy, as its isolates reported it. */
export function demandFor(peers: readonly Heard[], policy: string, now: number): Demand {
  let rate = 0;
  for (const peer of peers) {
    const ageMs = now - peer.at;
    const fade = ageMs <= SILENT_MS ? 1 : Math.exp((SILENT_MS - ageMs) / FADE_MS);
    rate += (peer.rates.get(policy) ?? 0) * fade;
  }
  return { rate, isolates: activeIsolates(peers, now) };
}

/** How many isolates asked within the last two seconds. */
export function activeIsolates(peers: readonly Heard[], now: number): number {
  return peers.filter(({ at }) => now - at <= ACTIVE_MS).length;
}

/**
 * How long a lease of a policy should live: briefly where others want its tokens, and no longer than a bucket takes to
 * fill. A shard, which lends on, gets as long again.
 */
export function timeToLive(limit: BucketLimit, demand: Demand, isShard = false): number {
  if (demand.rate <= BUSY_SHARE * perSecond(limit)) return MAX_TTL_MS;
  const ttlMs = Math.max(MIN_TTL_MS, fillMs(limit)) * (isShard ? 2 : 1);
  return Math.round(Math.min(MAX_TTL_MS, ttlMs));
}

/** Whether demand is about to exceed what is there, so that halves of what is left would be too little for anyone. */
export function isScarce(limit: BucketLimit, tokens: number, demand: Demand): boolean {
  return tokens < 0.5 * limit.burst && demand.rate > 0.95 * perSecond(limit);
}

/**
 * What an isolate should get of a policy whose owner has `tokens`, for a lease of `ttlMs`.
 *
 * @param rate tokens a second that this isolate sees asked for.
 * @param cost of the request that asks; an isolate that would not use two such gets none, and asks each time.
 * @param usualCost of a request in that isolate; leases are bounded by how many such they are good for.
 * @param want the most requests that the isolate has use for.
 * @param isShard whether it lends on: then it needs what its isolates hold, for half of the time, and a little to lend.
 */
export function sizeLease(
  { limit, demand, tokens }: { readonly limit: BucketLimit; readonly demand: Demand; readonly tokens: number },
  { rate, cost, usualCost = 1, want, isShard = false }: Asker,
  ttlMs: number,
): Sizing {
  const supply = isScarce(limit, tokens, demand) ? tokens : Math.floor(tokens / 2);
  const forMs = isShard ? 0.3 * ttlMs + Math.min(MAX_POOL_MS, 0.3 * ttlMs) : Math.min(2_500, 0.6 * ttlMs);
  const need = (rate * forMs) / 1_000;
  if (need < 2 * Math.max(usualCost, cost)) return { ideal: 0, supply };
  const largest = isShard || perSecond(limit) > 10_000 * usualCost ? 4_096 : 256;
  return { ideal: Math.min(Math.ceil(need), Math.floor(Math.min(largest, want) * usualCost)), supply };
}

/**
 * How long an isolate should refuse what it doesn't hold, while more is asked for than comes back and than is left for
 * that long: the more isolates, the longer, so that the owner is asked ten times a second and not for every request. 0: no
 * pause.
 *
 * @param seq spreads the isolates over +-15 %, so that they don't come back together.
 */
export function holdFor(
  limit: BucketLimit,
  tokens: number,
  demand: Demand,
  { ttlMs, seq }: { readonly ttlMs: number; readonly seq: number },
  rules: LeaseRules,
): number {
  if (!isScarce(limit, tokens, demand) || demand.rate <= 1.1 * perSecond(limit)) return 0;
  const cycleMs = Math.min(demand.isolates * 100, rules.maxHoldMs(fillMs(limit), ttlMs));
  // Or ten requests in a row would be refused with 40 of a hundred an hour left: any burst is faster than such a limit.
  if (tokens > (demand.rate * cycleMs) / 1_000) return 0;
  return Math.round(cycleMs * (0.85 + (((seq * 2_654_435_761) >>> 0) / 2 ** 32) * 0.3));
}

/** After how long without a request a lease should come back; null where its tokens are not missed. */
export function closeIdleAfter(limit: BucketLimit, demand: Demand, ttlMs: number): number | null {
  if (demand.rate <= BUSY_SHARE * perSecond(limit)) return null;
  return Math.round(Math.min(0.4 * ttlMs, 0.25 * fillMs(limit) + 20));
}

/** The sustained rate in tokens a second. */
function perSecond({ tokensPerWindow, windowMs }: BucketLimit): number {
  return (tokensPerWindow * 1_000) / windowMs;
}

/** How long an empty bucket takes to fill. */
function fillMs({ tokensPerWindow, windowMs, burst }: BucketLimit): number {
  return (burst * windowMs) / tokensPerWindow;
}
