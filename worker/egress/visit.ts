import type { QuotaTerms } from "../../objects/upstream-quota/quota-policy.ts";
import type { AcquireMessage, ReleaseMessage } from "../../objects/upstream-quota/quota-messages.ts";
import type { Exchange } from "../exchange.ts";
import type { Desk } from "./desk.ts";
import { callQuota } from "./quota-owner.ts";

/** One request's way to its slot. */
export interface Visit {
  readonly exchange: Exchange;
  readonly desk: Desk;
  readonly terms: QuotaTerms;
  /** Who asks; only a question needs to know. */
  readonly asker: () => Promise<Pick<AcquireMessage, "client" | "priority">>;
  /** How long it can wait, in ms since the epoch. */
  readonly deadlineAt: number;
}

/** What a call takes that is answered at once; also what one that waits for its slot is given at least. */
export const CALL_MS = 1_000;

/** Gives back what there is no use for, off the request's path. What is lost on the way is lost for a window. */
export function release(
  { exchange: { env, ctx }, desk: { isolate }, terms: { quota } }: Visit,
  what: Pick<ReleaseMessage, "withdrawn" | "unused">,
): void {
  const told = callQuota(env, quota, (owner) => owner.release({ v: 1, isolate, ...what }), { deadlineMs: CALL_MS });
  ctx.waitUntil(told.catch(() => {}));
}
