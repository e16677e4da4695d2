import { LEASE_RULES, type LeaseRules } from "../leases/lease-rules.ts";

/** The choices that the proof of shards rests on, beside those of leases. A test passes others to show that its check notices. */
export interface ShardRules {
  /** When the last child must have ended, guard included, where the shard's own lease ends at `parentEnd`. */
  readonly childEnd: (parentEnd: number) => number;
  /** Whether the pool may be spent and lent while the shard's own lease is, or is not, live. */
  readonly mayLend: (isLive: boolean) => boolean;
  /** Whether tokens that an isolate returns are credited to the pool when their lease is, or is not, live here. */
  readonly creditsReturn: (isLive: boolean) => boolean;
}

/** What ships. */
export const SHARD_RULES: ShardRules = {
  childEnd: (parentEnd) => parentEnd,
  mayLend: (isLive) => isLive,
  creditsReturn: (isLive) => isLive,
};

/** Both sets of rules that a shard follows. */
export interface AllRules {
  readonly lease: LeaseRules;
  readonly shard: ShardRules;
}

/** What ships. */
export const ALL_RULES: AllRules = { lease: LEASE_RULES, shard: SHARD_RULES };
