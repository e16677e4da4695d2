import { POLL_MS, askToHold, isHeld, isThere, spend, turnAway } from "../../../objects/rate-limiter/leases/lease.ts";
import { askAlone } from "../../../objects/rate-limiter/leases/lease-asking.ts";
import { LEASE_RULES } from "../../../objects/rate-limiter/leases/lease-rules.ts";
import { returnLease } from "./lease-calls.ts";
import { isSilent } from "./lease-place.ts";
import { refusedVerdicts, releasedVerdicts } from "./leased-verdicts.ts";
import { askOnce, conclude, decideWithoutOwner, timeLeft, type Visit } from "./leased-visit.ts";
import { leftAlone } from "../owner.ts";
import { READY, type Claim, type Outcome, type Prepared, type Refusal } from "../part.ts";

/** A request asks so often at most: an owner whose loans others have spent each time is as good as silent. */
const MAX_ASKS = 3;

/**
 * A request that other owners decide about too. Its cost is lent to this isolate first and spent when all agree; when one
 * does not, it stays on the lease for the next request.
 */
export function leasedClaim(visit: Visit): Claim {
  const { entry, costs, exchange } = visit;
  const { borrower } = entry;
  /** What was decided without the owner, or by it where it could not lend: nothing is to be spent any more. */
  let decided: Outcome | undefined;

  function known(now: number, waitedMs: number): Refusal | undefined {
    const refused = turnAway(borrower, costs, now, waitedMs);
    return refused === undefined ? undefined : { kind: "refused", verdicts: refusedVerdicts(visit, refused, now) };
  }
  function decideAlone(cause: unknown): Prepared {
    const outcome = decideWithoutOwner(visit, cause);
    if (outcome.verdicts.some(({ allowed, limit }) => !allowed && !limit.shadow))
      return { kind: "refused", ...outcome };
    decided = outcome;
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
      if (isSilent(entry, visit.exchange, now)) return decideAlone(leftAlone());
      const message = askToHold(borrower, costs, now);
      if (message === undefined) {
        await scheduler.wait(Math.min(POLL_MS, leftMs));
        continue;
      }
      asks += 1;
      const answered = await askOnce(visit, message);
      if (answered.kind === "silent") return decideAlone(answered.cause);
      if (answered.allowed) continue;
      return isThere(borrower, costs) ? takeAtOnce() : { kind: "refused", ...answered.outcome };
    }
  }
  /** Near the end of a quota nothing can be lent: what the owner takes then is lost when another limit refuses. */
  async function takeAtOnce(): Promise<Prepared> {
    const answered = await askOnce(visit, askAlone(borrower, costs, Date.now(), LEASE_RULES));
    if (answered.kind === "silent") return decideAlone(answered.cause);
    if (!answered.allowed) return { kind: "refused", ...answered.outcome };
    decided = answered.outcome;
    return READY;
  }
  /** What was lent to an entry that has left the table goes back once the request that asked for it has had its part. */
  function tidy(): void {
    if (entry.isForgotten) returnLease(entry, exchange);
  }

  return {
    refusal: (now) => known(now, 0),
    prepare: () => (decided !== undefined || isHeld(borrower, costs, Date.now()) ? READY : borrow()),
    isReady: (now) => decided !== undefined || isHeld(borrower, costs, now),
    commit(now) {
      const outcome = decided ?? conclude(visit, spend(borrower, costs, now), now);
      tidy();
      return outcome;
    },
    release(now) {
      const verdicts = decided?.verdicts ?? releasedVerdicts(visit, now);
      tidy();
      return verdicts;
    },
  };
}
