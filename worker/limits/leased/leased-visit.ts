import { isHeld, spend, type Admitted, type Refused } from "../../../objects/rate-limiter/leases/lease.ts";
import type { LeaseMessage } from "../../../objects/rate-limiter/leases/lease-messages.ts";
import { GatewayError } from "../../errors.ts";
import type { Exchange } from "../../exchange.ts";
import { callAbout, renewLease, watchIdle } from "./lease-calls.ts";
import { admittedVerdicts, refusedVerdicts, repliedVerdicts, type Judged } from "./leased-verdicts.ts";
import type { Outcome } from "../part.ts";
import { withoutOwner } from "../without-owner.ts";

/** One request at a client's entry in the table. */
export interface Visit extends Judged {
  readonly exchange: Exchange;
  readonly startedAt: number;
  readonly deadlineMs: number;
}

/** What the owner said to a visit's message, or why it said nothing. */
export type Answered =
  | { readonly kind: "heard"; readonly allowed: boolean; readonly outcome: Outcome }
  | { readonly kind: "silent"; readonly cause: unknown };

/** How much of its deadline a visit has left, in milliseconds. */
export function timeLeft({ startedAt, deadlineMs }: Visit): number {
  return startedAt + deadlineMs - Date.now();
}

/** What is said of a request that was decided here, and what follows off its path. */
export function conclude(visit: Visit, decided: Admitted | Refused, now: number): Outcome {
  const { entry, exchange } = visit;
  if (decided.kind === "refused") return { verdicts: refusedVerdicts(visit, decided, now) };
  if (decided.renewal !== undefined) renewLease(entry, decided.renewal, exchange);
  watchIdle(entry, exchange, now);
  return { verdicts: admittedVerdicts(visit, decided, now) };
}

/** Asks the owner within what is left of the deadline. Throws what the shield refuses with. */
export async function askOnce(visit: Visit, message: LeaseMessage): Promise<Answered> {
  const { entry, exchange, deadlineMs } = visit;
  const leftMs = timeLeft(visit);
  // Short of time because it waited for another call: its silence counts only when that call is overdue too.
  const countsLate = () => leftMs * 2 >= deadlineMs || Date.now() - entry.borrower.awaitedSince >= deadlineMs;
  try {
    const reply = await callAbout(entry, message, exchange, { deadlineMs: leftMs, countsLate });
    const now = Date.now();
    watchIdle(entry, exchange, now);
    return { kind: "heard", allowed: reply.allowed, outcome: { verdicts: repliedVerdicts(visit, reply, now) } };
  } catch (cause) {
    if (cause instanceof GatewayError) throw cause;
    return { kind: "silent", cause };
  }
}

/**
 * Decides by the declared policies, because the owner is silent and what is held does not suffice; unless another
 * request's call has brought enough meanwhile.
 */
export function decideWithoutOwner(visit: Visit, cause: unknown): Outcome {
  const { entry, limits, costs } = visit;
  const now = Date.now();
  if (isHeld(entry.borrower, costs, now)) return conclude(visit, spend(entry.borrower, costs, now), now);
  return withoutOwner(limits, entry.address.client, costs, cause);
}
