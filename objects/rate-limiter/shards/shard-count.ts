import type { LeaseMessage } from "../leases/lease-messages.ts";
import type { ShardNotice } from "../messages.ts";

/** When a client is spread over shards, and over how many. A test makes it easier to reach. */
export interface ShardCountRules {
  /** Above so many calls a second at one object it should be two ... */
  readonly hotPerSecond: number;
  readonly hotMs: number;
  /** ... and below so many, half. */
  readonly coolPerSecond: number;
  readonly coolMs: number;
  readonly most: number;
  /** How long callers may believe what they were told. */
  readonly ttlMs: number;
}

/**
 * What ships. An object that writes a row for every call serves 200 to 500 a second; half of it is kept free. Halving at 50 makes
 * 100 of two shards' calls, far from doubling again.
 */
export const SHARD_COUNT_RULES: ShardCountRules = {
  hotPerSecond: 300,
  hotMs: 5_000,
  coolPerSecond: 50,
  coolMs: 60_000,
  most: 32,
  ttlMs: 60_000,
};

/** How busy one client keeps its root and shards. In memory only; losing it costs the time to learn it again. */
export interface CallLoad {
  /** 0: no shards. */
  readonly count: number;
  /** The running period: since when, and the lease calls of isolates in it, wherever they went. */
  readonly since: number;
  readonly calls: number;
  /** For how long the periods before it have been cool. */
  readonly coolForMs: number;
  /** Whether the first period is still running: only then a shard knows better. */
  readonly isNew: boolean;
}

/** The load of a client that is asked about for the first time. */
export function newLoad(now: number): CallLoad {
  return { count: 0, since: now, calls: 0, coolForMs: 0, isNew: true };
}

/** Counts a message of an isolate, or those that a shard reports. Looks back once a period, so it costs an addition. */
export function countCalls(
  load: CallLoad,
  { shard }: LeaseMessage,
  now: number,
  rules: ShardCountRules = SHARD_COUNT_RULES,
): CallLoad {
  const current = now - load.since >= rules.hotMs || now < load.since ? nextPeriod(load, now, rules) : load;
  const calls = current.calls + (shard === undefined ? 1 : shard.calls);
  // A root that has just started hears from the first of its shards that they exist.
  const count =
    shard !== undefined && current.isNew ? Math.min(rules.most, Math.max(current.count, shard.count)) : current.count;
  return { ...current, calls, count };
}

/** What to tell callers; undefined: nothing. */
export function shardNotice(
  { count }: CallLoad,
  { ttlMs }: ShardCountRules = SHARD_COUNT_RULES,
): ShardNotice | undefined {
  return count < 2 ? undefined : { count, ttlMs };
}

function nextPeriod({ count, since, calls, coolForMs }: CallLoad, now: number, rules: ShardCountRules): CallLoad {
  const spanMs = Math.max(1, now - since);
  const perSecond = (calls * 1_000) / spanMs / Math.max(1, count);
  const fresh = { since: now, calls: 0, coolForMs: 0, isNew: false };
  if (perSecond > rules.hotPerSecond) return { ...fresh, count: Math.min(rules.most, Math.max(2, 2 * count)) };
  if (perSecond >= rules.coolPerSecond || count === 0) return { ...fresh, count };
  if (coolForMs + spanMs < rules.coolMs) return { ...fresh, count, coolForMs: coolForMs + spanMs };
  return { ...fresh, count: count > 2 ? count / 2 : 0 };
}
