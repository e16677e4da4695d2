import { advance, remaining, type Allowance } from "./algorithms/allowance.ts";
import type { Lent } from "./algorithms/allowance-leases.ts";
import type { ClientState, PolicyState } from "./client-state.ts";
import { endLeases } from "./leases/live-leases.ts";
import { keepCounts } from "./algorithms/sliding-window.ts";
import { windowAt } from "./algorithms/time-window.ts";
import { ceilingOf } from "./algorithms/token-bucket.ts";

/** What came of an operator's grant. Numbers are in units. */
export interface Granted {
  readonly v: 1;
  /** What was added: less than was asked for where the limit is full before. */
  readonly granted: number;
  /** What a request could take now. */
  readonly remaining: number;
}

/**
 * Gives a client all its tokens by an operator's order; undefined: nothing is left to remember, drop the record.
 *
 * What is on lease or reserved may still be spent, so it goes on counting: the client gets `burst` less what is out, and
 * never has more than its burst in all.
 */
export function refill(state: ClientState, now: number): ClientState | undefined {
  const settled = endLeases(state, now);
  const { leases } = settled;
  if (leases === undefined || leases.live.length + (leases.reserved?.length ?? 0) === 0) return undefined;
  const policies = settled.policies.map((policy) => add(settled, policy, Infinity, now));
  return { ...settled, policies, lostAt: undefined };
}

/**
 * Adds tokens under one limit by an operator's order, up to its ceiling; undefined: the client has used nothing under
 * it, or it is no limit, so there is nothing to add to.
 */
export function grantByOrder(
  state: ClientState,
  { policy, tokens }: { readonly policy: string; readonly tokens: number },
  now: number,
): { readonly state: ClientState; readonly reply: Granted } | undefined {
  const settled = endLeases(state, now);
  const known = settled.policies.find((one) => one.policy === policy);
  if (known === undefined) return undefined;
  const before = remaining(advance(known, now));
  const after = add(settled, known, tokens, now);
  const policies = settled.policies.map((one) => (one === known ? after : one));
  const left = remaining(after);
  return { state: { ...settled, policies }, reply: { v: 1, granted: left - before, remaining: left } };
}

function add({ leases }: ClientState, policy: PolicyState, tokens: number, now: number): PolicyState {
  const lent = [...(leases?.live ?? []), ...(leases?.reserved ?? [])].filter((one) => one.policy === policy.policy);
  return {
    policy: policy.policy,
    configVersion: policy.configVersion,
    ...addTokens(advance(policy, now), tokens, lent),
  };
}

function addTokens(allowance: Allowance, tokens: number, lent: readonly Lent[]): Allowance {
  switch (allowance.algorithm) {
    case "token-bucket": {
      const { bucket, limit, algorithm } = allowance;
      const most = ceilingOf(limit, bucket.outstanding);
      const filled = Math.min(most, bucket.tokens + tokens);
      return { algorithm, limit, bucket: { ...bucket, tokens: filled, rem: filled === most ? 0 : bucket.rem } };
    }
    case "sliding-window": {
      const { window, limit, algorithm } = allowance;
      return { algorithm, limit, window: keepCounts(window, limit, lent, tokens) };
    }
    case "approximate-sliding-window": {
      const { window, limit, algorithm } = allowance;
      const current = Math.max(Math.min(window.current, sum(lent)), window.current - tokens);
      const previous = Math.max(0, window.previous - Math.max(0, tokens - (window.current - current)));
      return { algorithm, limit, window: { ...window, current, previous } };
    }
    case "fixed-window": {
      const { quota, limit, algorithm } = allowance;
      const here = lent.filter(({ countedAt = quota.id }) => windowAt(limit.rule, countedAt).id === quota.id);
      const used = Math.max(Math.min(quota.used, sum(here)), quota.used - tokens);
      return { algorithm, limit, quota: { id: quota.id, used } };
    }
  }
}

function sum(lent: readonly Lent[]): number {
  return lent.reduce((total, { tokens }) => total + tokens, 0);
}
