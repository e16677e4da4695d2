import type { Backend, BreakerSettings, Route, Timeouts } from "../../schemas/index.ts";
import type { ChosenTarget } from "../backends/choice.ts";
import { targetBreaker, type Attempt, type CallEnd, type TargetBreaker } from "../backends/target-breaker.ts";
import { targetState, type TargetState } from "../backends/target.ts";
import type { CallTime } from "../concurrency/gate.ts";
import type { GateVisit } from "../backends/backend-gate.ts";
import type { CountedCall } from "../balance/in-flight.ts";
import type { Leave } from "../egress/leave.ts";
import { beginCall, endCall, noteAnswer } from "../balance/target-load.ts";
import type { Exchange } from "../exchange.ts";
import type { Release } from "../../objects/connection-pool/pool.ts";
import { retryAfterMs } from "../retry/retry-after.ts";
import type { Watch } from "../watch.ts";
import { fetchUpstream } from "./fetch.ts";
import { isBrokenBySource } from "./pump.ts";
import type { OutgoingBody } from "./request-body.ts";
import { compileTargetUrl, type TargetUrl } from "./target-url.ts";

/** A target as the requests of one route meet it. */
export interface RouteTarget {
  readonly url: string;
  readonly urlOf: TargetUrl;
  readonly state: TargetState;
  /** Undefined: none is configured. */
  readonly breaker: TargetBreaker | undefined;
  /** `headers` is what one try may take until its head: the least of what the route, its retries and its breaker allow. */
  readonly timeouts: Timeouts;
  /** Whether anybody wants to know how many calls are in flight and how long they take. */
  readonly isMeasured: boolean;
}

/** A request that may be sent to any target. */
export interface Outgoing {
  readonly exchange: Exchange;
  readonly headers: Headers;
  readonly body: OutgoingBody;
}

/** A request on its way to one target. Whoever launches one must `land` it on every way out. */
export interface Flight {
  readonly kind: "flight";
  readonly target: RouteTarget;
  readonly choice: ChosenTarget;
  readonly attempt: Attempt | undefined;
  /** Undefined: it needed nobody's. */
  readonly leave: Leave | undefined;
  /** Its place at the backend; undefined: there are as many as one likes. */
  readonly visit: GateVisit | undefined;
  /** Gives back its turn, where it had to take one. */
  readonly turn: Release;
  /** Milliseconds since the epoch. */
  readonly sentAt: number;
  /** Ends it at the origin; undefined: it ends with the exchange. */
  readonly cut: AbortController | undefined;
  readonly call: CountedCall | undefined;
  /** Until when its target has asked to be left alone, in ms since the epoch; 0: it hasn't. */
  aloneUntil: number;
  /** Whether it has landed: whatever comes of it after that is nobody's. */
  isOver: boolean;
}

/** Compiles the targets of a backend for a route, in their order. */
export function compileTargets(
  route: Route,
  backend: Backend,
  breaker: BreakerSettings | undefined,
): readonly RouteTarget[] {
  const { timeouts } = route;
  const perTryMs = backend.retry?.perTryMs ?? Infinity;
  const operationMs = breaker === undefined || breaker.shadow ? Infinity : breaker.policy.operationTimeoutMs;
  const headers = Math.min(timeouts.headers, perTryMs, operationMs);
  return backend.targets.map(({ url }) => {
    const state = targetState(url);
    return {
      url,
      urlOf: compileTargetUrl(route.path, url),
      state,
      breaker: breaker === undefined ? undefined : targetBreaker(state, backend, breaker),
      timeouts: { ...timeouts, headers },
      isMeasured: backend.targets.length > 1 || backend.hedge !== undefined,
    };
  });
}

/** Under which terms a flight begins. */
export interface LaunchTerms {
  readonly target: RouteTarget;
  readonly choice: ChosenTarget;
  readonly attempt: Attempt | undefined;
  readonly leave: Leave | undefined;
  readonly visit: GateVisit | undefined;
  readonly turn: Release;
  /** Whether another try may come of the exchange while this one is still at its origin: only then it pays for a signal. */
  readonly isCuttable: boolean;
}

/** Begins a try. */
export function launch(exchange: Exchange, terms: LaunchTerms): Flight {
  const { target, choice, attempt, leave, visit, turn, isCuttable } = terms;
  const sentAt = Date.now();
  // A probe has to be over at its origin when its permit is, and one that took a turn when that is another's.
  const cut =
    isCuttable || exchange.pool !== undefined || attempt?.probe !== undefined ? new AbortController() : undefined;
  const call = target.isMeasured ? beginCall(target.state.load, exchange.deadline - sentAt, sentAt) : undefined;
  return {
    kind: "flight",
    target,
    choice,
    attempt,
    leave,
    visit,
    turn,
    sentAt,
    cut,
    call,
    aloneUntil: 0,
    isOver: false,
  };
}

/**
 * Sends a flight's request and waits for its head, by `fetchUpstream`.
 *
 * @throws GatewayError as that does.
 */
export function headOf({ exchange, headers, body }: Outgoing, flight: Flight, watch: Watch): Promise<Response> {
  const { canonical, deadline, stop } = exchange;
  const { target, sentAt, attempt, leave, turn } = flight;
  exchange.notes.isSent = true;
  const request = {
    url: target.urlOf(canonical.path, canonical.query),
    method: canonical.method,
    headers,
    body,
    timeouts: target.timeouts,
    sentAt,
    deadline: Math.min(deadline, attempt?.probe?.deadlineAt ?? Infinity),
    signal: signalOf(flight, stop),
  };
  const head = fetchUpstream(request, watch);
  const come = exchange.pool === undefined ? head : head.finally(turn);
  return leave === undefined ? come : come.then((response) => heard(leave, response));
}

function heard(leave: Leave, response: Response): Response {
  leave.hear(response);
  return response;
}

/** How long a flight's target has had by now, in ms, without what the client took for its body; -Infinity: nobody knows. */
export function timeAtTarget({ body }: Outgoing, { sentAt }: Flight, now: number): number {
  return now - sentAt - body.clientMs(now);
}

function signalOf({ cut }: Flight, stop: AbortController | undefined): AbortSignal | undefined {
  if (cut === undefined || stop === undefined) return cut?.signal ?? stop?.signal;
  return AbortSignal.any([cut.signal, stop.signal]);
}

/**
 * Notes what came of a flight, once, for its target's breaker and for the balancer. One that brought no answer is ended at its
 * origin too.
 */
export function land(outgoing: Outgoing, flight: Flight, end: CallEnd): void {
  if (flight.isOver) return;
  const { exchange } = outgoing;
  flight.isOver = true;
  const { target, attempt, cut, call, visit, turn } = flight;
  const now = Date.now();
  if (end.kind !== "response") cut?.abort();
  turn();
  if (attempt !== undefined) target.breaker?.settle(exchange, attempt, end, now);
  const stream = end.kind === "response" ? exchange.notes.body : undefined;
  const ms = timeAtTarget(outgoing, flight, now);
  if (visit !== undefined) {
    // Of a body that nobody saw go it is not known how fast its target is.
    visit.note(ms === -Infinity ? { kind: "nothing" } : callTime(end));
    if (stream === undefined) visit.leave();
    else void stream.then(() => visit.leave());
  }
  if (call === undefined) return;
  const { load } = target.state;
  if (end.kind === "response" && end.status < 500 && ms > -Infinity) noteAnswer(load, end.durationMs, now);
  // How long it would have taken is not known, but so long at least.
  if (end.kind === "error" && end.error === "timeout") noteAnswer(load, ms, now);
  if (stream === undefined) return endCall(load, call);
  void stream.then(() => endCall(load, call));
}

/** What a call says of how busy its backend is. One that failed fast says nothing, whatever its answer was. */
function callTime(end: CallEnd): CallTime {
  if (end.kind === "error" && end.error === "timeout") return { kind: "given-up" };
  if (end.kind !== "response" || end.status >= 500 || end.status === 429) return { kind: "nothing" };
  return { kind: "head", tookMs: end.durationMs };
}

/** Whether an answer says when to come back. Garbage doesn't, and a target that fails with it has failed. */
export function saysWhen({ headers }: Response, now: number): boolean {
  return retryAfterMs(headers.get("retry-after"), now) !== undefined;
}

/** Notes what a failed answer asks for by `Retry-After`; garbage asks for nothing. */
export function noteRetryAfter(flight: Flight, { headers }: Response, now: number): void {
  const waitMs = retryAfterMs(headers.get("retry-after"), now);
  if (waitMs !== undefined) flight.aloneUntil = now + waitMs;
}

/** Watches the streamed body of a flight that has landed: one that its target cuts off is one failure more. */
export function watchBody({ exchange, body: sent }: Outgoing, { target, attempt }: Flight): void {
  const { body } = exchange.notes;
  if (attempt === undefined || body === undefined) return;
  void body.then((end) => {
    // A target that is cut off in the middle of a request breaks its answer off as well.
    if (!isBrokenBySource(end) || sent.isOwed()) return;
    target.breaker?.settle(exchange, attempt, { kind: "error", error: "body-cut" }, Date.now());
  });
}
