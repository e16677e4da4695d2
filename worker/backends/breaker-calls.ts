import { addresses } from "../../objects/address.ts";
import type { BreakerReport } from "../../objects/circuit-breaker/breaker-messages.ts";
import { dueReport, failed, heard, wakeAt } from "../../objects/circuit-breaker/breaker-reporting.ts";
import type { BreakerView } from "../../objects/circuit-breaker/breaker-view.ts";
import type { CircuitBreaker } from "../../objects/circuit-breaker/circuit-breaker.ts";
import { targetReplyProblem, type TargetReply } from "../../objects/circuit-breaker/target-messages.ts";
import { createDependency, ONE_TRY } from "../dependencies/dependency.ts";
import type { Exchange } from "../exchange.ts";
import { namingSecret } from "../limits/client-address.ts";
import { learnNews, learnWell, type TargetState } from "./target.ts";

/** What a call to a target's owner needs of the request that makes it. */
export type Caller = Pick<Exchange, "env" | "ctx">;

/** Off the request's path; as long as an isolate takes a message for under way. */
export const CALL_MS = 1_000;
/** The runtime ends what a request left running after 30 s; then the next request's waker takes over. */
const WAKER_MS = 25_000;
/** No longer at once: one that another has come before is to be gone soon. */
const LONGEST_WAIT_MS = 1_000;
/** A waker that is so late is gone without a word. */
const LATE_MS = 1_000;
/** An owner that is gone for long is worth a line now and then. */
const COMPLAINT_MS = 60_000;

const owners = createDependency({ kind: "CircuitBreaker", remembers: 512 });

/** Makes one call to a target's owner, behind the breaker of this isolate: see `Dependency.call`. Off the request's path. */
export async function callBreaker<Reply>(
  { url }: TargetState,
  env: Env,
  call: (owner: DurableObjectStub<CircuitBreaker>) => Promise<Reply>,
): Promise<Reply> {
  const { name } = await addresses(namingSecret(env)).breaker(url);
  const namespace = env.CIRCUIT_BREAKER;
  return owners.call(name, () => call(namespace.get(namespace.idFromName(name), ONE_TRY)), { deadlineMs: CALL_MS });
}

/**
 * Sends what is due to be said of a target, off the request's path, and sees to it that the rest is said in time though no
 * request comes. To be called after each admission and each end of a call. At most one message about a target is under way.
 */
export function reportDue(state: TargetState, view: BreakerView, caller: Caller, now: number): void {
  const report = dueReport(view, now);
  if (report !== undefined) {
    caller.ctx.waitUntil(sendReport(state, view, { report, caller }));
    return;
  }
  const at = wakeAt(view, now);
  if (at === Infinity || (at >= state.wakesAt && now < state.wakesAt + LATE_MS)) return;
  state.waker += 1;
  state.wakesAt = at;
  // Not the whole exchange: it would be held for as long as this lasts.
  const { env, ctx } = caller;
  ctx.waitUntil(wakeFor(state, view, { caller: { env, ctx }, until: now + WAKER_MS }));
}

/**
 * Sends a report and takes in its reply, however late, up to a second. Never rejects. It must not end with the request that
 * makes it, since what comes of it is everybody's.
 */
export async function sendReport(
  state: TargetState,
  view: BreakerView,
  { report, caller }: { readonly report: BreakerReport; readonly caller: Caller },
): Promise<void> {
  try {
    const told = { ...report, ...state.terms };
    const reply = await callBreaker<TargetReply>(state, caller.env, (owner) => owner.report(told));
    understood(targetReplyProblem(reply));
    learn(state, view, { seq: report.seq, reply, now: Date.now() });
  } catch (error) {
    failed(view, report.seq, Date.now());
    complain(state, error, Date.now());
  }
  reportDue(state, view, caller, Date.now());
}

/** An owner of another version that cannot be understood is as good as silent. @throws Error with what is wrong. */
export function understood(problem: string | undefined): void {
  if (problem !== undefined) throw new Error(`the answer cannot be used: ${problem}`);
}

function learn(
  state: TargetState,
  view: BreakerView,
  { seq, reply, now }: { readonly seq: number; readonly reply: TargetReply; readonly now: number },
): void {
  heard(view, seq, reply, now);
  learnNews(state, reply.news, now);
  state.isolates = reply.isolates;
  // The next report brings the next news.
  state.watchedAt = now;
  state.watchMs = Math.max(state.watchMs, 2 * reply.reportMs);
  // The first epoch is that of a target that was never anything but well, as far as anybody knows.
  if (reply.circuit === "closed" && reply.epoch > 1) learnWell(state, now - reply.ageMs);
}

async function wakeFor(
  state: TargetState,
  view: BreakerView,
  { caller, until }: { readonly caller: Caller; readonly until: number },
): Promise<void> {
  const { waker } = state;
  for (;;) {
    const report = dueReport(view, Date.now());
    if (report !== undefined) await sendReport(state, view, { report, caller });
    // Another has been started, to be earlier or because this one was late.
    if (state.waker !== waker) return;
    const now = Date.now();
    const at = wakeAt(view, now);
    if (at === Infinity || now >= until) break;
    const waitMs = Math.min(LONGEST_WAIT_MS, Math.max(1, at - now));
    state.wakesAt = now + waitMs;
    await scheduler.wait(waitMs);
    if (state.waker !== waker) return;
  }
  state.wakesAt = -Infinity;
}

/** Says that an owner does not answer, once a minute at most. */
export function complain(state: TargetState, error: unknown, now: number): void {
  if (now - state.complainedAt < COMPLAINT_MS) return;
  state.complainedAt = now;
  const line = {
    level: "warn",
    message: "breaker not heard of",
    time: new Date(now).toISOString(),
    target: state.url,
    error: error instanceof Error ? error.message : String(error),
  };
  console.warn(JSON.stringify(line));
}
