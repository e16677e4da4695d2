import type { CallEnd } from "../backends/target-breaker.ts";
import { codeOf } from "../problem.ts";
import type { TryFailure } from "../retry/may-retry.ts";
import { stayToTheEnd } from "../stay-to-the-end.ts";
import { watched, type Watch } from "../watch.ts";
import {
  headOf,
  land,
  noteRetryAfter,
  saysWhen,
  timeAtTarget,
  watchBody,
  type Flight,
  type Outgoing,
} from "./flight.ts";
import type { Race } from "./hedge.ts";
import { originFailure, type OriginFailure } from "./origin-failure.ts";
import { BUFFER_BYTES, relayAnswer } from "./relay-answer.ts";
import { isUnwatched } from "./request-body.ts";

/** How a try ended. */
export type TryEnd =
  /** With the client's answer. */
  { readonly kind: "answered"; readonly answer: Response; readonly flight: Flight } | FailedTry;

/** A try that another may follow. Either `passOn` or `drop` is called, once. */
export interface FailedTry {
  readonly kind: "failed";
  readonly failure: TryFailure;
  /** The failure for the log: a status or an error's code. */
  readonly why: string;
  readonly flight: Flight;
  /** Makes it the client's answer after all; rejects with its error when there was none. */
  passOn(): Response | Promise<Response>;
  /** Lets go of what is left of it. */
  drop(): void;
}

/** An origin's head, and the flight that brought it. */
export interface Head {
  readonly response: Response;
  readonly flight: Flight;
  /** An error that has been noted already, when there was still hope for a better answer. Default false. */
  readonly isNoted?: boolean;
}

/** How a try goes about it. */
export interface TryTerms {
  /** Answers that are worth another try. */
  readonly retried: ReadonlySet<number>;
  /** Whether another try came before, so that this one may have less time than its target deserves. */
  readonly isRepeat: boolean;
  /** Brings the head of this try or of a second flight; undefined: nothing is hedged. */
  readonly bringHead: ((race: Race) => Promise<Head>) | undefined;
}

/**
 * Sends a request once, to the target of `flight`, and lands every flight that it took, whatever happens.
 *
 * @throws what ends the exchange as a whole: the client's doing, or a step that stopped it.
 */
export async function tryOnce(outgoing: Outgoing, flight: Flight, terms: TryTerms): Promise<TryEnd> {
  const { exchange } = outgoing;
  const { retried, bringHead } = terms;
  const flights = [flight];
  // A permit whose end nobody hears of keeps the breaker half-open until it runs out.
  const letGo = flight.attempt?.probe === undefined ? undefined : stayToTheEnd(exchange);
  let head: Head | undefined;
  try {
    return await watched(async (watch) => {
      head =
        bringHead === undefined
          ? { response: await headOf(outgoing, flight, watch), flight }
          : await bringHead({ flights, watch, retried });
      return await take(outgoing, head, { watch, retried });
    }, exchange.isUpgrade);
  } catch (error) {
    // What is cut off here fails as if its connection had.
    const how = exchange.stop?.signal.aborted === true ? undefined : originFailure(error);
    if (how === undefined) throw error;
    const by = head?.flight ?? flight;
    const { body } = outgoing;
    const counts = head === undefined ? !isUnwatched(body) && hadItsTime(how, flight, outgoing, terms) : !body.isOwed();
    land(outgoing, by, counts ? { kind: "error", error: head === undefined ? how : "body-cut" } : { kind: "aborted" });
    const passOn = () => Promise.reject<Response>(error);
    return { kind: "failed", why: codeOf(error), failure: { kind: "unanswered" }, flight: by, passOn, drop: nothing };
  } finally {
    for (const other of flights) {
      land(outgoing, other, { kind: "aborted" });
      // An error of one that nobody has waited for any longer, the other being silent.
      if (head === undefined) other.cut?.abort();
    }
    letGo?.();
  }
}

/** Takes a head for the client's answer, or for a failure. */
async function take(
  outgoing: Outgoing,
  { response, flight, isNoted = false }: Head,
  { watch, retried }: { readonly watch: Watch; readonly retried: ReadonlySet<number> },
): Promise<TryEnd> {
  const { exchange } = outgoing;
  // Its time was over in the same moment.
  if (flight.isOver && !isNoted) throw new Error("a try that was given up has been answered");
  const { status, headers } = response;
  const answeredAt = Date.now();
  exchange.notes.upstreamMs = answeredAt - flight.sentAt;
  const durationMs = Math.max(0, timeAtTarget(outgoing, flight, answeredAt));
  const hasRetryAfter = (status === 429 || status >= 500) && saysWhen(response, answeredAt);
  const end: CallEnd = { kind: "response", status, hasRetryAfter, durationMs };
  const { method } = exchange.canonical;
  const { timeouts } = flight.target;
  const wholeBy = wholeByOf(flight, retried.has(status));
  const relay = () => relayAnswer({ exchange, method, response, answeredAt, timeouts, wholeBy, watch });
  if (retried.has(status)) {
    // Once it is read its connection can be used again: a target in trouble is spared another one.
    const isShort = Number(headers.get("content-length") ?? Infinity) <= BUFFER_BYTES;
    const kept = isShort ? await relay() : undefined;
    land(outgoing, flight, end);
    noteRetryAfter(flight, response, answeredAt);
    const failure = { kind: "status", status } as const;
    const drop = kept === undefined ? () => void response.body?.cancel().catch(nothing) : nothing;
    return { kind: "failed", why: String(status), failure, flight, passOn: () => kept ?? relay(), drop };
  }
  const relayed = relay();
  const answer = relayed instanceof Promise ? await relayed : relayed;
  land(outgoing, flight, end);
  if (answer === relayed) watchBody(outgoing, flight);
  return { kind: "answered", answer, flight };
}

/**
 * Whether a target had the time that it deserves before it was given up. Not where other tries had left it less of the total, or a
 * client that sent its body slowly more than half of it: else the last byte of a body, sent late, would be a failure of the target.
 */
function hadItsTime(how: OriginFailure, flight: Flight, outgoing: Outgoing, { isRepeat }: TryTerms): boolean {
  if (how !== "timeout") return true;
  const { headers, total, idle } = flight.target.timeouts;
  if (isRepeat) return flight.sentAt + headers <= outgoing.exchange.deadline;
  const longest = Math.min(headers, total, outgoing.body.sent === undefined ? Infinity : idle);
  return timeAtTarget(outgoing, flight, Date.now()) >= longest / 2;
}

/**
 * By when a short body must be there: by the end of its permit, where it is a probe's. That of a failed answer which another try may
 * follow, by the end of its own try, like its head: the rest of a 503 must not hold a request for longer than a target that is silent.
 */
function wholeByOf({ sentAt, target, attempt, cut }: Flight, isFailed: boolean): number {
  const permitEnd = attempt?.probe?.deadlineAt ?? Infinity;
  return isFailed && cut !== undefined ? Math.min(permitEnd, sentAt + target.timeouts.headers) : permitEnd;
}

function nothing(): void {}
