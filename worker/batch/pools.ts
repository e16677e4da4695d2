import { newPool, type Pool } from "../../objects/connection-pool/pool.ts";
import type { PoolTally } from "../../objects/connection-pool/slots.ts";

/** What this isolate's invocations have waited for, by backend. */
export interface PoolReport extends PoolTally {
  readonly backend: string;
}

/** Backends that are remembered; of more, those go that were met longest ago. */
const MOST_BACKENDS = 1_000;

/** Pools that are in use, each until then at most: an invocation may end without a word. */
const open = new Map<Pool, number>();
/** What those came to that are not. */
const past = new Map<string, PoolTally>();

/** A pool for one invocation, which is over by `until` in ms since the epoch. */
export function openPool(until: number, now: number): Pool {
  closeOverdue(now);
  const pool = newPool();
  open.set(pool, until);
  return pool;
}

/** Counts what a pool came to. */
export function closePool(pool: Pool): void {
  if (!open.delete(pool)) return;
  for (const [backend, tally] of pool.tallies()) {
    const all = sum(past.get(backend), { ...tally, active: 0, queued: 0 });
    past.delete(backend);
    past.set(backend, all);
    for (const first of past.keys()) if (past.size > MOST_BACKENDS) past.delete(first);
  }
}

function closeOverdue(now: number): void {
  for (const [pool, until] of open) if (until <= now) closePool(pool);
}

/** Everything that was waited for since this isolate began, and what is now. */
export function poolReports(now: number): readonly PoolReport[] {
  closeOverdue(now);
  const all = new Map(past);
  for (const pool of open.keys()) {
    for (const [backend, tally] of pool.tallies()) all.set(backend, sum(all.get(backend), tally));
  }
  return Array.from(all, ([backend, tally]) => ({ backend, ...tally }));
}

function sum(one: PoolTally | undefined, other: PoolTally): PoolTally {
  if (one === undefined) return other;
  return {
    active: one.active + other.active,
    queued: one.queued + other.queued,
    admitted: one.admitted + other.admitted,
    waited: one.waited + other.waited,
    waitedMs: one.waitedMs + other.waitedMs,
    timedOut: one.timedOut + other.timedOut,
  };
}
