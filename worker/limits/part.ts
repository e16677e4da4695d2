import type { RateLimit } from "../../schemas/index.ts";
import type { Exchange } from "../exchange.ts";
import type { PumpEnd } from "../upstream/pump.ts";
import type { Verdict } from "./headers.ts";
import type { PartKind } from "./limit-group.ts";

/**
 * Limits of a route that are decided together and in one way: for one identity, by a lease that this isolate holds, by
 * asking their owner each time, or by permits. Made once per configuration version, and used by all requests.
 */
export interface Part {
  /**
   * Permits are prepared first, since one is given back for nothing; then the others at the same time: tokens of an owner
   * that is asked cost a refund, and a lease is not touched before the commit.
   */
  readonly kind: PartKind;
  readonly limits: readonly RateLimit[];
  /**
   * Finds what the request's client has here; a promise only where its address has to be computed. Asks no owner and
   * spends nothing, so a claim that is dropped without a word has cost nothing.
   *
   * @param startedAt when the decision began: the deadline of a limit (`deadlineMs`) counts from then, waits included.
   */
  readonly open: (exchange: Exchange, startedAt: number) => Claim | Promise<Claim>;
}

/**
 * One request's claim on one part. Two phases, so that limits with different owners pass together or not at all:
 *
 *     open -> refusal -> prepare -> isReady -> commit -> finish
 *                           \-----------\----> release
 *
 * `decide.ts` opens all claims, stops at the first refusal that is known without a call, prepares, and when every claim is
 * ready commits all of them in one synchronous step. When one refuses or throws, those that were prepared are released.
 */
export interface Claim {
  /** What this isolate knows to be refused, before anyone is asked. Called once. */
  refusal(now: number): Refusal | undefined;
  /**
   * Gets what `commit` needs, asking the owner where it must. Takes nothing that `release` cannot give back.
   * Called again when it had been ready and is no longer: others have spent what it saw while another claim asked.
   *
   * @throws GatewayError to end the request at once, for example because the owner is silent and the limit is `closed`.
   */
  prepare(): Prepared | Promise<Prepared>;
  /** Whether `commit` would find everything it needs now. */
  isReady(now: number): boolean;
  /** Spends. Called at most once, after `isReady`, in the same synchronous step as the commits of all other claims. */
  commit(now: number): Outcome;
  /**
   * Gives back what `prepare` got, off the request's path (`ctx.waitUntil`), because another claim was refused. Returns
   * what the headers may still say of these limits; empty when nothing is known.
   */
  release(now: number): readonly Verdict[];
  /** Called once after a commit, when the chain has answered or failed. */
  finish?(end: ChainEnd): void;
}

/** A claim is either ready to be committed, or its part refuses the request. */
export type Prepared = Ready | Refusal;

export interface Ready {
  readonly kind: "ready";
}

/** At least one limit that is not in shadow mode refuses. Nothing is held then, and `release` is not called. */
export interface Refusal extends Outcome {
  readonly kind: "refused";
}

/** What a part says of a request. */
export interface Outcome {
  /** In the order of the part's limits. */
  readonly verdicts: readonly Verdict[];
  /** `<limit id>: <policy>` for each limit that was decided without its owner; undefined: none. */
  readonly degraded?: readonly string[];
}

/** How the rest of the chain went. */
export interface ChainEnd {
  /** Undefined: it threw. */
  readonly response: Response | undefined;
  /** What it threw, if it did. */
  readonly error: unknown;
  /** How a streamed body ended; undefined when there is none, or it was all there with the head. */
  readonly body: Promise<PumpEnd> | undefined;
}

/** The one value of a claim that has nothing to say against the request. */
export const READY: Ready = { kind: "ready" };
