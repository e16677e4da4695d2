import { POLL_MS, askToHold, isHeld, spend, turnAway } from "../../objects/rate-limiter/lease.ts";
import { refusedVerdicts, releasedVerdicts } from "./leased-verdicts.ts";
import { askOnce, conclude, decideWithoutOwner, timeLeft, type Visit } from "./leased-visit.ts";
import { isLeftAlone, leftAlone } from "./owner.ts";
import { READY, type Claim, type Outcome, type Prepared, type Refusal } from "./part.ts";

/** A request asks so often at most: an owner whose loans others have spent each time is as good as silent. */
const MAX_ASKS = 3;

/**
 * A request that other owners decide about too. Its cost is lent to this isolate first and spent when all agree; when one
 * does not, it stays on the lease for the next request.
 */
export function leasedClaim(visit: Visit): Claim {
  const { entry, costs } = visit;
  const { borrower } = entry;
  /** What was decided without the owner. */
  let alone: Outcome | undefined;

  function known(now: number, waitedMs: number): Refusal | undefined {
    const refused = turnAway(borrower, costs, now, waitedMs);
    return refused === undefined ? undefined : { kind: "refused", verdicts: refusedVerdicts(visit, refused, now) };
  }
  function decideAlone(cause: unknown): Prepared {
    const outcome = decideWithoutOwner(visit, cause);
    if (outcome.verdicts.some(({ allowed, limit }) => !allowed && !limit.shadow))
      return { kind: "refused", ...outcome };
    alone = outcome;
    return READY;
  }
  async function borrow(): Promise<Prepared> {
    let asks = 0;
    for (;;) {
      const now = Date.now();
      if (isHeld(borrower, costs, now)) return READY;
      const refusal = known(now, 1);
      if (refusal !== undefined) return refusal;
      const leftMs = timeLeft(visit);
      if (leftMs <= 0 || asks === MAX_ASKS) return decideAlone(new Error("what was lent was spent by others"));
      if (isLeftAlone(entry.address, now)) return decideAlone(leftAlone());
      const message = askToHold(borrower, costs, now);
      if (message === undefined) {
        await scheduler.wait(Math.min(POLL_MS, leftMs));
        continue;
      }
      asks += 1;
      const answered = await askOnce(visit, message);
      if (answered.kind === "silent") return decideAlone(answered.cause);
      if (!answered.allowed) return { kind: "refused", ...answered.outcome };
    }
  }

  return {
    refusal: (now) => known(now, 0),
    prepare: () => (alone !== undefined || isHeld(borrower, costs, Date.now()) ? READY : borrow()),
    isReady: (now) => alone !== undefined || isHeld(borrower, costs, now),
    commit: (now) => alone ?? conclude(visit, spend(borrower, costs, now), now),
    release: (now) => alone?.verdicts ?? releasedVerdicts(visit, now),
  };
}
