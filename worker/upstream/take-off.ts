import type { Release } from "../../objects/connection-pool/pool.ts";
import type { Asked, Balancer, Choice, NoTarget } from "../backends/choice.ts";
import type { Admitted, TargetBreaker } from "../backends/target-breaker.ts";
import type { EgressQuota } from "../egress/egress-quota.ts";
import type { Leave } from "../egress/leave.ts";
import type { BackendGate } from "../backends/backend-gate.ts";
import type { Exchange } from "../exchange.ts";
import { stopReason } from "./fetch.ts";
import { launch, type Flight, type RouteTarget } from "./flight.ts";
import { BUFFER_BYTES } from "./request-body.ts";
import { noTurn, takeTurn } from "./turn.ts";

/** Targets that an exchange is done with, by index. */
export interface Done extends Asked {
  readonly tried: number[];
  readonly refused: number[];
  /** Every try that has taken off. */
  readonly flights: Flight[];
}

/** What a flight takes off with. */
export interface TakeOffTerms {
  readonly done: Done;
  /** Whether another try may come while this one is at its origin. */
  readonly isCuttable: boolean;
  /** Already chosen; undefined: that is still to be done. */
  readonly choice?: Choice;
  /** Whether it is of use only now, so that it waits for nothing. Default false. */
  readonly isUrgent?: boolean;
}

/** Finds targets for tries. */
export interface Runway {
  /** The target for the next try; without a balancer always the only one. */
  choose(exchange: Exchange, now: number, done: Done): Choice | Promise<Choice>;
  /** Chooses a target that lets the request pass and launches a flight to it; notes who was asked in `done`. */
  takeOff(exchange: Exchange, terms: TakeOffTerms): Promise<Flight | NoTarget>;
  /**
   * Why nobody takes a request, where this isolate knows so without a question: it need not be prepared then, nor its body read.
   * Undefined: somebody may.
   */
  refusal(exchange: Exchange, now: number): NoTarget | undefined;
}

const ONLY: Choice = { kind: "target", index: 0, sticky: undefined, bind: undefined };

/** What stands before the targets of a backend. */
export interface RunwayTerms {
  /** Of the backend. */
  readonly name: string;
  /** Undefined: there is one target. */
  readonly balancer: Balancer | undefined;
  /** Undefined: a try needs nobody's leave. */
  readonly quota: EgressQuota | undefined;
  /** Undefined: there may be any number of tries at once. */
  readonly gate: BackendGate | undefined;
}

/** Compiles where a backend's tries go. */
export function compileRunway(targets: readonly RouteTarget[], { name, balancer, quota, gate }: RunwayTerms): Runway {
  const choose = (exchange: Exchange, now: number, done: Done) =>
    balancer === undefined ? ONLY : balancer.choose(exchange, now, done);

  async function takeOff(exchange: Exchange, terms: TakeOffTerms): Promise<Flight | NoTarget> {
    if (exchange.pool === undefined) return await inTurn(exchange, terms, noTurn);
    const mayWait = terms.isUrgent !== true;
    // Nobody has a turn who waits for a slot, or those who wait would keep all others from origins that are free.
    const asked = await quota?.leaveFor(exchange, mayWait);
    if (asked?.kind === "none") return asked;
    let leave = asked;
    let turn = await takeTurn(exchange, name, mayWait && leave === undefined).catch((error: unknown) => {
      asked?.giveBack();
      throw error;
    });
    if (typeof turn !== "function" && leave !== undefined) {
      leave.giveBack();
      if (!mayWait) return turn;
      // The slot would be over by then. Once it has a turn it asks again, lest it miss slots and turns for ever.
      leave = undefined;
      turn = await takeTurn(exchange, name, true);
    }
    if (typeof turn !== "function") return turn;
    let flight: Flight | NoTarget | undefined;
    try {
      return (flight = await inTurn(exchange, terms, turn, leave));
    } finally {
      if (flight?.kind !== "flight") turn();
    }
  }

  async function inTurn(
    exchange: Exchange,
    terms: TakeOffTerms,
    turn: Release,
    slot?: Leave,
  ): Promise<Flight | NoTarget> {
    const { done, isCuttable, choice, isUrgent = false } = terms;
    let given = choice;
    let leave = slot;
    for (;;) {
      if (quota !== undefined && leave === undefined) {
        const asked = await quota.leaveFor(exchange, !isUrgent);
        if (asked.kind === "none") return asked;
        leave = asked;
      }
      const now = Date.now();
      const choosing = given ?? choose(exchange, now, done);
      const chosen = choosing instanceof Promise ? await choosing : choosing;
      given = undefined;
      if (chosen.kind === "none") {
        leave?.giveBack();
        return chosen;
      }
      const target = targets[chosen.index];
      if (target === undefined) throw new Error(`target ${chosen.index} was chosen of ${targets.length}`);
      const { breaker } = target;
      const asking = breaker?.admit(exchange, now, isLate(exchange));
      const admitted = asking instanceof Promise ? await asking : asking;
      if (admitted?.kind !== "refused") {
        const attempt = admitted?.attempt;
        const callOff = () => {
          leave?.giveBack();
          if (attempt !== undefined) breaker?.settle(exchange, attempt, { kind: "aborted" }, Date.now());
        };
        const reason = stopReason(exchange.stop?.signal);
        if (reason !== undefined) {
          callOff();
          throw reason;
        }
        if (leave?.mayStart(Date.now()) === false) {
          // A breaker or a balancer has taken too long to answer.
          callOff();
          leave = undefined;
          given = chosen;
          continue;
        }
        // Last, so that nobody has a place who still waits for something.
        const visit = gate?.enter(exchange);
        if (visit?.kind === "none") {
          callOff();
          return visit;
        }
        done.tried.push(chosen.index);
        const flight = launch(exchange, { target, choice: chosen, attempt, isCuttable, leave, visit, turn });
        done.flights.push(flight);
        return flight;
      }
      done.refused.push(chosen.index);
      if (balancer === undefined) {
        leave?.giveBack();
        return { kind: "none", why: "breaker-open", retryAfterMs: admitted.retryAfterMs };
      }
    }
  }

  function refusal(exchange: Exchange, now: number): NoTarget | undefined {
    for (const { breaker } of targets) if (breaker?.isRefusing(now) !== true) return undefined;
    let retryAfterMs = Infinity;
    for (const { breaker } of targets) {
      // Asked all the same: it may have something to report, and says when to come back.
      const admitted = breaker?.admit(exchange, now, isLate(exchange));
      if (admitted === undefined || admitted instanceof Promise || admitted.kind === "pass") {
        returnUnused(exchange, breaker, admitted);
        return undefined;
      }
      retryAfterMs = Math.min(retryAfterMs, admitted.retryAfterMs);
    }
    return { kind: "none", why: "breaker-open", retryAfterMs };
  }

  return { choose, takeOff, refusal };
}

/** Whether some of a request's body is still to come when it is sent. */
function isLate({ request, fields }: Exchange): boolean {
  return request.body !== null && Number(fields.get("content-length") ?? Infinity) > BUFFER_BYTES;
}

/** Only a clock that steps back makes a breaker that was refusing let a request pass. */
function returnUnused(
  exchange: Exchange,
  breaker: TargetBreaker | undefined,
  admitted: Admitted | Promise<Admitted> | undefined,
): void {
  const settle = (known: Admitted | undefined): void => {
    if (known?.kind === "pass") breaker?.settle(exchange, known.attempt, { kind: "aborted" }, Date.now());
  };
  if (admitted instanceof Promise) return exchange.ctx.waitUntil(admitted.then(settle));
  settle(admitted);
}
