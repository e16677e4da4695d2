import type { BanView } from "./bans/abuse-messages.ts";
import type { ClientReport } from "./messages.ts";
import type { PermitReport } from "./permits/permit-ledger.ts";

/** All that an owner can tell an operator of one client. Looking changes nothing. */
export interface ClientView extends Omit<ClientReport, "lastDecision"> {
  /** What the owner last answered since it woke, the newest first, at most 20. What isolates decide by lease is not among it. */
  readonly lastDecisions: readonly PastDecision[];
  /** Operations in flight, by policy. */
  readonly permits: readonly PermitReport[];
  /** The ban in force; null: none. */
  readonly ban: BanView | null;
}

/** One answer of the owner. */
export interface PastDecision {
  /** In ms since the epoch. */
  readonly at: number;
  readonly allowed: boolean;
  /** By `take` for one request, or by `lease` for one and those to come. */
  readonly asked: "take" | "lease";
  /** The most that the request cost under any of its limits. */
  readonly cost: number;
}

const MAX_DECISIONS = 20;

/** The decisions with a new one. A lease that is renewed or returned decides about no request. */
export function addDecision(
  decisions: readonly PastDecision[],
  { asked, message, reply, at }: Answered,
): readonly PastDecision[] {
  const cost = message.items.reduce((most, item) => Math.max(most, item.cost), 0);
  if (asked === "lease" && cost === 0) return decisions;
  return [{ at, allowed: reply.allowed, asked, cost }, ...decisions.slice(0, MAX_DECISIONS - 1)];
}

interface Answered extends Pick<PastDecision, "asked" | "at"> {
  readonly message: { readonly items: readonly { readonly cost: number }[] };
  readonly reply: { readonly allowed: boolean };
}
