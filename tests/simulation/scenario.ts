import type { BorrowedLimit } from "../../objects/rate-limiter/leases/borrower.ts";
import { LEASE_RULES, type LeaseRules } from "../../objects/rate-limiter/leases/lease-rules.ts";
import { SHARD_COUNT_RULES, type ShardCountRules } from "../../objects/rate-limiter/shards/shard-count.ts";
import { SHARD_RULES, type ShardRules } from "../../objects/rate-limiter/shards/shard-rules.ts";
import { steady, type Traffic } from "./traffic.ts";

/** One run of the simulator. Times in ms of true time; nothing here is random but what `seed` makes so. */
export interface Scenario {
  readonly seed: number;
  readonly durationMs: number;
  readonly isolates: number;
  /** The configurations in force: the first from the start, each isolate adopting the others within `lagMs`. */
  readonly configurations: readonly Configuration[];
  readonly traffic: Traffic;
  /** Tokens that a request costs under every policy, from and to. */
  readonly costs: readonly [number, number];
  readonly network: {
    /** Round trip: lognormal around this, cut to 5 to 120 ms. */
    readonly medianMs: number;
    /** Share of messages, each way, that never arrive. */
    readonly loss: number;
    /** Share of requests to the owner that arrive a second time, up to 12 s later. */
    readonly doubled: number;
    /** The same for returns alone. */
    readonly doubledReturns: number;
  };
  readonly isolateLifeMs: number;
  readonly owner: {
    readonly serviceMs: number;
    readonly restartEveryMs: number;
    /** Half of the restarts leave the old instance running for up to a second. */
    readonly splitBrain: boolean;
    /** What no owner may do: begin with full buckets. */
    readonly forgets: boolean;
  };
  readonly clocks: { readonly driftPpm: number; readonly staleMs: number };
  readonly rules: LeaseRules;
  /** Undefined: the owner answers everyone itself, however hot it is. */
  readonly sharding: Sharding | undefined;
}

/** When there are shards, and what befalls them. */
export interface Sharding {
  readonly counting: ShardCountRules;
  /** Mean time after which a shard's memory is lost; half of the losses leave the old instance running for up to 3 s. */
  readonly lifeMs: number;
  readonly splitBrain: boolean;
  /** Every so often nothing passes between the shards and the owner for a while. */
  readonly cutOff: { readonly everyMs: number; readonly forMs: number };
  readonly rules: ShardRules;
}

/** The limits of one configuration version; versions count from 1. */
export interface Configuration {
  readonly at: number;
  readonly lagMs: number;
  readonly limits: readonly BorrowedLimit[];
}

/** One policy of `tokensPerWindow` per `windowMs`, bucket as large unless told. */
export function limitOf(tokensPerWindow: number, windowMs: number, burst = tokensPerWindow): BorrowedLimit {
  return { policy: `${tokensPerWindow} per ${windowMs}`, tokensPerWindow, windowMs, burst, shadow: false };
}

/** Shards as they ship, whose memory lasts. */
export function sharded(changes: Partial<Sharding> = {}): Sharding {
  return {
    counting: SHARD_COUNT_RULES,
    lifeMs: Infinity,
    splitBrain: false,
    cutOff: { everyMs: 1, forMs: 0 },
    rules: SHARD_RULES,
    ...changes,
  };
}

/** A calm day: nothing fails, isolates live two minutes. */
export function scenario(changes: Partial<Scenario> & { readonly limits?: readonly BorrowedLimit[] }): Scenario {
  const { limits = [limitOf(100, 1_000)], ...rest } = changes;
  return {
    seed: 1,
    durationMs: 60_000,
    isolates: 5,
    configurations: [{ at: 0, lagMs: 0, limits }],
    traffic: steady(100),
    costs: [1, 1],
    network: { medianMs: 20, loss: 0, doubled: 0, doubledReturns: 0 },
    isolateLifeMs: 120_000,
    owner: { serviceMs: 0.7, restartEveryMs: Infinity, splitBrain: false, forgets: false },
    clocks: { driftPpm: 0, staleMs: 0 },
    rules: LEASE_RULES,
    sharding: undefined,
    ...rest,
  };
}
