import type { BanNotice } from "../../objects/rate-limiter/messages.ts";
import type { LimiterPolicy, RateLimit } from "../../schemas/index.ts";
import type { Exchange } from "../exchange.ts";
import { askedPart } from "./asked/asked.ts";
import { sizeClientTables } from "./client-tables.ts";
import { unlessExempt } from "./exempt.ts";
import type { Verdict } from "./headers.ts";
import { leasedPart } from "./leased/leased.ts";
import { groupLimits, type LimitGroup } from "./limit-group.ts";
import type { Claim, Outcome, Part, Refusal } from "./part.ts";
import { permitsPart } from "./permits/permits.ts";
import { watchAbuse } from "./bans/watch-abuse.ts";

/** What the limits of a route say of a request. */
export interface LimitDecision extends Outcome {
  /** The client is banned, whatever else is said; undefined: it is not. */
  readonly ban?: BanNotice;
  /** Those that want to hear how the chain ended; undefined: none. */
  readonly committed?: readonly Claim[];
}

/** Decides about one request: at once when this isolate holds or knows enough, else in a call to each owner. */
export type Decide = (exchange: Exchange, startedAt: number) => LimitDecision | Promise<LimitDecision>;

/** Parts that a request asks at the same time. A permit is given back for nothing; so nobody is asked before it is there. */
const TURNS: readonly (readonly Part["kind"][])[] = [["permits"], ["asked", "leased"]];

const NO_LIMITS: LimitDecision = { verdicts: [] };

/**
 * Compiles the limits of a route into one decision per exchange: all of them give what the request costs, or none does.
 *
 * @throws GatewayError `dependency-unavailable` when an owner does not answer and a limit's `onError` is `closed`.
 */
export function compileLimits(limits: readonly RateLimit[], policy: LimiterPolicy): Decide {
  sizeClientTables(policy);
  const decideOf = unlessExempt(limits, (concerned) =>
    watchAbuse(concerned, compileGroups(groupLimits(concerned), policy)),
  );
  return (exchange, startedAt) => decideOf(exchange)?.(exchange, startedAt) ?? NO_LIMITS;
}

function compileGroups(groups: readonly LimitGroup[], { tableEntries }: LimiterPolicy): Decide {
  const [only] = groups;
  if (only?.kind === "leased" && groups.length === 1) return leasedPart(only, tableEntries).decide;
  const parts = groups.map((group) => partOf(group, tableEntries));
  const order = new Map(groups.flatMap(({ limits }) => limits).map((limit, index) => [limit, index]));
  function inOrder(decision: LimitDecision): LimitDecision {
    const verdicts = decision.verdicts.toSorted((a, b) => (order.get(a.limit) ?? 0) - (order.get(b.limit) ?? 0));
    return { ...decision, verdicts };
  }
  return (exchange, startedAt) => {
    const decision = decideTogether(parts, exchange, startedAt);
    return decision instanceof Promise ? decision.then(inOrder) : inOrder(decision);
  };
}

function partOf(group: LimitGroup, tableEntries: number): Part {
  switch (group.kind) {
    case "leased":
      return leasedPart(group, tableEntries);
    case "asked":
      return askedPart(group);
    case "permits":
      return permitsPart(group, tableEntries);
  }
}

/** One part's claim on behalf of a request. */
interface Claimed {
  readonly kind: Part["kind"];
  readonly claim: Claim;
}

function decideTogether(
  parts: readonly Part[],
  exchange: Exchange,
  startedAt: number,
): LimitDecision | Promise<LimitDecision> {
  const claimed: Claimed[] = [];
  const opening: Promise<unknown>[] = [];
  for (const { kind, open } of parts) {
    const claim = open(exchange, startedAt);
    if (claim instanceof Promise) opening.push(claim.then((opened) => claimed.push({ kind, claim: opened })));
    else claimed.push({ kind, claim });
  }
  if (opening.length === 0) return decideBy(claimed, startedAt);
  return Promise.all(opening).then(() => decideBy(claimed, Date.now()));
}

/** At once when that is refused or held which the request costs, else by calls. */
function decideBy(claimed: readonly Claimed[], now: number): LimitDecision | Promise<LimitDecision> {
  const known = claimed.map(({ claim }) => claim.refusal(now)).filter((refusal) => refusal !== undefined);
  if (known.length > 0) return merged(known);
  return claimed.every(({ claim }) => claim.isReady(now)) ? commitAll(claimed, now) : decideByCalls(claimed);
}

async function decideByCalls(claimed: readonly Claimed[]): Promise<LimitDecision> {
  const prepared = new Set<Claim>();
  for (;;) {
    for (const turn of TURNS) {
      const missing = claimed.filter(({ kind, claim }) => turn.includes(kind) && !claim.isReady(Date.now()));
      const refusal = await prepareAll(
        missing.map(({ claim }) => claim),
        prepared,
      );
      if (refusal !== undefined) return refusal;
    }
    const now = Date.now();
    // Others may have spent what one claim saw while another one asked.
    if (claimed.every(({ claim }) => claim.isReady(now))) return commitAll(claimed, now);
  }
}

function commitAll(claimed: readonly Claimed[], now: number): LimitDecision {
  const committed = claimed.map(({ claim }) => claim).filter((claim) => "finish" in claim);
  const decision = merged(claimed.map(({ claim }) => claim.commit(now)));
  return committed.length === 0 ? decision : { ...decision, committed };
}

/** Prepares claims at the same time. Where one refuses or throws, all that were prepared so far are released. */
async function prepareAll(claims: readonly Claim[], prepared: Set<Claim>): Promise<LimitDecision | undefined> {
  // Settled, not all: one that fails ends the request, and what the others got has to be known to go back.
  const settled = await Promise.allSettled(claims.map(async (claim) => claim.prepare()));
  const refusals: Refusal[] = [];
  const failures: unknown[] = [];
  for (const [index, one] of settled.entries()) {
    const claim = claims[index];
    if (one.status === "rejected") failures.push(one.reason);
    else if (one.value.kind === "refused") refusals.push(one.value);
    else if (claim !== undefined) prepared.add(claim);
    if (claim !== undefined && (one.status === "rejected" || one.value.kind === "refused")) prepared.delete(claim);
  }
  if (refusals.length === 0 && failures.length === 0) return undefined;
  const now = Date.now();
  const released = [...prepared].map((claim): Outcome => ({ verdicts: claim.release(now) }));
  if (failures.length > 0) throw failures[0];
  return merged([...refusals, ...released]);
}

function merged(outcomes: readonly Outcome[]): LimitDecision {
  const verdicts: readonly Verdict[] = outcomes.flatMap((outcome) => outcome.verdicts);
  const degraded = outcomes.flatMap((outcome) => outcome.degraded ?? []);
  return degraded.length === 0 ? { verdicts } : { verdicts, degraded };
}
