import type { Backend, BreakerSettings, Route } from "../../schemas/index.ts";
import { compileBalancer } from "../backends/balancer.ts";
import type { ChosenTarget, NoTarget } from "../backends/choice.ts";
import { targetTerms } from "../backends/target.ts";
import { watchTargets } from "../backends/watch-targets.ts";
import { compileQuota } from "../egress/egress-quota.ts";
import { compileGate } from "../backends/backend-gate.ts";
import type { ErrorCode } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import { pause } from "../pause.ts";
import type { RetryStop } from "../retry/may-retry.ts";
import { compileTargets, type Flight, type Outgoing } from "./flight.ts";
import { callOff, compileHedge, isHedgeable, type Hedge, type Race } from "./hedge.ts";
import { tryOnce, type FailedTry, type Head } from "./one-try.ts";
import type { Send } from "./prepare-request.ts";
import type { OutgoingBody } from "./request-body.ts";
import { REFUSE, type Refusal } from "./refusal.ts";
import { ANY_OTHER, compileRetries } from "./retries.ts";
import { compileRunway, type Done } from "./take-off.ts";

/** How requests are sent to a backend for which one try at one target is not all there is to it. */
export interface Tries {
  readonly send: Send;
  /** As `Runway` says. */
  refusal(exchange: Exchange, now: number): NoTarget | undefined;
}

/** What tries go by beside their backend's settings. */
export interface TriesTerms {
  /** The route's, or the backend's own where it is a fallback. Undefined: no breaker. */
  readonly breaker: BreakerSettings | undefined;
  /** What a request gets that no target takes. */
  readonly refusal: Refusal;
}

/** Of the gateway's own, so that no other backend stands in: it would get what is too much for this one. */
const HELD_BACK: ReadonlySet<NoTarget["why"]> = new Set(["egress-queue-full", "overloaded"]);
const NO_STATUS: ReadonlySet<number> = new Set();
/** How a try fails at a target that is not there. */
const UNHEARD: ErrorCode = "upstream-unreachable";

/**
 * Compiles how a route's requests are sent to a backend: a target is chosen, its breaker asked, the request sent, and what came of
 * that settled; then the answer is relayed, or another try follows.
 */
export function compileTries(route: Route, backend: Backend, { breaker, refusal }: TriesTerms): Tries {
  const targets = compileTargets(route, backend, breaker);
  const balancer = compileBalancer(
    backend,
    targets.map((target) => target.breaker),
  );
  const runway = compileRunway(targets, {
    name: backend.name,
    balancer,
    quota: compileQuota(route, backend.quota),
    gate: compileGate(route, backend),
  });
  const retries = compileRetries(backend, targets);
  const hedge = compileHedge(backend, targets);
  const isWatched = targets.length > 1 || backend.healthCheck !== undefined;
  const watched = isWatched ? targets.map(({ url, state }) => ({ state, terms: targetTerms(url, backend) })) : [];
  const retried = retries?.statuses ?? NO_STATUS;

  return { send, refusal: (exchange, now) => runway.refusal(exchange, now) };

  async function send(exchange: Exchange, headers: Headers, body: OutgoingBody): Promise<Response> {
    const outgoing = { exchange, headers, body };
    const { notes, isUpgrade = false } = exchange;
    const now = Date.now();
    balancer?.strip?.(headers);
    if (isWatched) watchTargets(exchange, watched, now);
    // One alone is asked whenever a request comes.
    if (targets.length > 1) for (const { breaker: one } of targets) one?.lookAfter(exchange, now);
    retries?.allowance.note(now);
    const avoided = targets.findIndex(({ url }) => url === exchange.avoided);
    const done: Done = { tried: avoided < 0 ? [] : [avoided], refused: [], flights: [] };
    const bringHead = hedge === undefined || !isHedgeable(outgoing) ? undefined : hedged(hedge, outgoing, done);
    const isCuttable = bringHead !== undefined || retries?.isRepeatable(outgoing) === true;
    const first = await runway.takeOff(exchange, { done, isCuttable });
    if (first.kind === "none") return (HELD_BACK.has(first.why) ? REFUSE : refusal).send(outgoing, first);
    let flight = first;
    // Whom an origin does not let in is told so.
    const failing = isUpgrade ? NO_STATUS : retried;
    for (let made = 0; ; made += 1) {
      const end = await tryOnce(outgoing, flight, { retried: failing, isRepeat: made > 0, bringHead });
      note(exchange, end.flight);
      if (end.kind === "answered") return bound(exchange, end.answer, end.flight);
      const next = await followUp(outgoing, end, { made, done });
      if (typeof next === "string") {
        if (next !== "no-retries") notes.retryStop = next;
        return bound(exchange, await end.passOn(), end.flight);
      }
      end.drop();
      (notes.retried ??= []).push(end.why);
      flight = next;
    }
  }

  /** The next try after one that failed, launched; or why there is none. A handshake is sent to each target once at most. */
  async function followUp(
    outgoing: Outgoing,
    { failure, why }: FailedTry,
    { made, done }: { readonly made: number; readonly done: Done },
  ): Promise<Flight | RetryStop> {
    const { exchange } = outgoing;
    const { isUpgrade = false } = exchange;
    const by = retries ?? (isUpgrade && why === UNHEARD ? ANY_OTHER : undefined);
    if (by === undefined) return "no-retries";
    const elsewhere = by.decide(outgoing, { failure, made, askedMs: 0 });
    if (elsewhere.kind === "stop") return elsewhere.why;
    const now = Date.now();
    const choice = await runway.choose(exchange, now, done);
    if (choice.kind === "none") return choice.why;
    const over = retries === undefined ? "no-retries" : "exhausted";
    if (isUpgrade && flightsTo(choice, done) > 0) return over;
    if (targets[choice.index]?.breaker?.isRefusing(now) === true) return "breaker-open";
    // The wait that a target asks for is no other target's, and not over when another one has failed since.
    const askedMs = Math.max(0, ...done.flights.map((flight) => askedOf(flight, choice.index, now)));
    const decision = askedMs > 0 ? by.decide(outgoing, { failure, made, askedMs }) : elsewhere;
    if (decision.kind === "stop") return decision.why;
    if (!by.allowance.take(Date.now())) return "budget";
    await pause(exchange, decision.afterMs);
    const next = await runway.takeOff(exchange, { done, choice, isCuttable: retries !== undefined });
    if (next.kind === "none") return next.why;
    if (!isUpgrade || flightsTo(next.choice, done) === 1) return next;
    // The chosen one's breaker has refused meanwhile.
    callOff(outgoing, next);
    return over;
  }

  /** Brings heads with a second flight where the first takes long. */
  function hedged(by: Hedge, outgoing: Outgoing, done: Done): (race: Race) => Promise<Head> {
    by.note(Date.now());
    return (race) => by.bringHead(outgoing, race, second);

    async function second(): Promise<Flight | undefined> {
      const { exchange } = outgoing;
      const flight = await runway.takeOff(exchange, { done, isCuttable: true, isUrgent: true });
      if (flight.kind === "none") return undefined;
      if (flight.attempt?.probe === undefined) return flight;
      // A permit to probe is not for a request that may be cut off at any moment.
      callOff(outgoing, flight);
      return undefined;
    }
  }
}

function note({ notes }: Exchange, { target, choice }: Flight): void {
  notes.target = target.url;
  if (choice.sticky !== undefined) notes.sticky = choice.sticky;
}

function bound({ bindLater }: Exchange, answer: Response, { choice }: Flight): Response {
  if (choice.bind !== undefined && bindLater !== undefined) bindLater(choice.bind);
  else choice.bind?.(answer);
  return answer;
}

function flightsTo({ index }: ChosenTarget, { flights }: Done): number {
  return flights.filter(({ choice }) => choice.index === index).length;
}

/** For how long the target of a flight asks to be left alone, if it is this one. */
function askedOf({ choice, aloneUntil }: Flight, index: number, now: number): number {
  return choice.index === index ? aloneUntil - now : 0;
}
