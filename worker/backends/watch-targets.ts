import { watchReplyProblem, type TargetTerms, type WatchReply } from "../../objects/circuit-breaker/target-messages.ts";
import type { Exchange } from "../exchange.ts";
import { CALL_MS, callBreaker, complain, understood, type Caller } from "./breaker-calls.ts";
import { learnNews, type TargetState } from "./target.ts";

/** What watching targets needs of a request. */
export type WatchCaller = Caller & Pick<Exchange, "configVersion">;

/** A target and what its owner is told of it: see `targetTerms`. */
export interface WatchedTarget {
  readonly state: TargetState;
  readonly terms: TargetTerms;
}

/** A backend of a hundred targets is not asked about all at once by one request. */
const MOST_AT_ONCE = 6;
/** After a call that failed. */
const PAUSE_MS = 5_000;
/** A verdict that nobody has confirmed for so long is none: whoever checks the target may be gone. */
const STALE_MS = 60_000;

/**
 * Asks the owners of targets for news, off the request's path, where those that are known are older than the owner said; which
 * also keeps its health checks going. To be called with each request: it costs a comparison per target.
 */
export function watchTargets(caller: WatchCaller, targets: readonly WatchedTarget[], now: number): void {
  // In either direction: a clock that stepped back must not silence this isolate.
  const isDue = ({ state }: WatchedTarget) => Math.abs(now - state.watchedAt) >= state.watchMs;
  if (!targets.some(isDue)) return;
  for (const target of longestAgo(targets.filter(isDue))) {
    const { state } = target;
    state.watchedAt = now;
    state.watchMs = Math.max(state.watchMs, CALL_MS);
    caller.ctx.waitUntil(watch(target, caller));
  }
}

/** Where a request comes now and then, the first ones would be due again each time, and the others never be asked. */
function longestAgo(due: readonly WatchedTarget[]): readonly WatchedTarget[] {
  if (due.length <= MOST_AT_ONCE) return due;
  return due.toSorted((one, other) => one.state.watchedAt - other.state.watchedAt).slice(0, MOST_AT_ONCE);
}

async function watch({ state, terms }: WatchedTarget, { env, configVersion }: WatchCaller): Promise<void> {
  const { isolate } = state.isolate;
  try {
    const reply = await callBreaker<WatchReply>(state, env, (owner) =>
      owner.watch({ v: 1, configVersion, isolate, ...terms }),
    );
    understood(watchReplyProblem(reply));
    const { news, isolates, pollMs } = reply;
    state.watchMs = pollMs;
    state.isolates = isolates;
    learnNews(state, news, Date.now());
  } catch (error) {
    const now = Date.now();
    state.watchMs = Math.max(state.watchMs, PAUSE_MS);
    if (now - state.newsAt > STALE_MS) state.downSince = undefined;
    complain(state, error, now);
  }
}
