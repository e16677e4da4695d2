import { createLru } from "../../objects/lru.ts";
import { newRetryBudget, noteRequest, takeRetry, type RetryBudget } from "../retry/retry-budget.ts";
import type { RouteTarget } from "./flight.ts";

/** What an isolate may send to a backend beside its requests. */
export interface Allowance {
  /** Notes a request, which earns its share of another one. */
  note(now: number): void;
  /** Whether one more may be sent, which is then taken for sent. */
  take(now: number): boolean;
}

/**
 * Budgets that an isolate remembers; the one used longest ago starts anew. Two for each of ten thousand backends: where requests go
 * round more of them than are remembered, every budget is a new one, and every request gets the retry that it brings.
 */
const REMEMBERED = 20_000;
/** Of an isolate that nobody has told how many there are, a second. */
const UNTOLD_PER_SECOND = 1;
/** Where all isolates have just started, the first are told of few: so long a share is no larger than that of one that isn't told. */
const LEARNING_MS = 10_000;

const budgets = createLru<string, { budget: RetryBudget }>(REMEMBERED);

/**
 * The budget of an isolate for one purpose (`retry`, `hedge`) at one backend. It is the same one for every route and configuration
 * that names the backend, so that loading a configuration grants nothing.
 *
 * @param share.ratio per request.
 * @param share.perSecond by the whole fleet; an isolate has its part of it, by what the targets' owners say of how many there are.
 */
export function allowance(
  name: string,
  { ratio, perSecond }: { readonly ratio: number; readonly perSecond: number },
  targets: readonly Pick<RouteTarget, "state">[],
): Allowance {
  let policy = { ratio, perSecond: 0 };
  let toldAt = Infinity;

  function policyNow(now: number): typeof policy {
    let isolates = 0;
    for (const { state } of targets) isolates = Math.max(isolates, state.isolates);
    if (isolates > 0) toldAt = Math.min(toldAt, now);
    const share = perSecond / Math.max(1, isolates);
    const believed = now - toldAt < LEARNING_MS || isolates === 0 ? Math.min(UNTOLD_PER_SECOND, share) : share;
    if (believed !== policy.perSecond) policy = { ratio, perSecond: believed };
    return policy;
  }
  function held(now: number): { budget: RetryBudget } {
    const known = budgets.get(name);
    if (known !== undefined) return known;
    const fresh = { budget: newRetryBudget(now) };
    budgets.set(name, fresh);
    return fresh;
  }

  return {
    note(now) {
      const holder = held(now);
      holder.budget = noteRequest(holder.budget, policyNow(now), now);
    },
    take(now) {
      const holder = held(now);
      const left = takeRetry(holder.budget, policyNow(now), now);
      if (left === undefined) return false;
      holder.budget = left;
      return true;
    },
  };
}
