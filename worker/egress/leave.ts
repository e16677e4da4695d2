import { startOf, type HeldSlot } from "../../objects/upstream-quota/held-slots.ts";
import { giveBack, giveUpAhead, type GivenUp } from "../../objects/upstream-quota/quota-borrower.ts";
import { signalOf } from "../../objects/upstream-quota/upstream-signal.ts";
import { retryAfterMs } from "../retry/retry-after.ts";
import { callQuota } from "./quota-owner.ts";
import { CALL_MS, release, type Visit } from "./visit.ts";

/** Leave to send a request once. */
export interface Leave {
  readonly kind: "leave";
  /** Whether its time is now still; if not, it is to be given back. */
  mayStart(now: number): boolean;
  /** Nothing was sent by it, nor ever will be. */
  giveBack(): void;
  /** Takes in what the upstream's answer says of its limits; the owner is told off the request's path. */
  hear(response: Response): void;
}

/** @param slot undefined: its owner is silent, and the configuration lets requests pass then. */
export function leaveBy(visit: Visit, slot: HeldSlot | undefined): Leave {
  const { exchange, desk, terms } = visit;
  const { env, ctx } = exchange;

  function giveUp({ borrower, unused }: GivenUp): void {
    desk.borrower = borrower;
    if (unused.length > 0) release(visit, { withdrawn: [], unused });
  }

  return {
    kind: "leave",
    mayStart: (now) => slot === undefined || startOf(slot, now).kind === "start",
    giveBack() {
      if (slot !== undefined) giveUp(giveBack(desk.borrower, slot));
    },
    hear({ status, headers }) {
      const asked = retryAfterMs(headers.get("retry-after"), Date.now());
      const signal = signalOf({ status, retryAfterMs: asked, rateLimit: headers.get("ratelimit") });
      if (signal.kind === "ok" && slot?.wantsSuccess !== true) return;
      if (signal.kind !== "ok") giveUp(giveUpAhead(desk.borrower));
      const message = { v: 1, epoch: slot?.epoch ?? 0, signal, ...terms } as const;
      const told = callQuota(env, terms.quota, (owner) => owner.signal(message), { deadlineMs: CALL_MS });
      ctx.waitUntil(told.catch(() => {}));
    },
  };
}
