import type { BanView } from "./abuse-messages.ts";
import type { ClientReport } from "./messages.ts";
import type { PermitReport } from "./permit-ledger.ts";

/** All that an owner can tell an operator of one client. Looking changes nothing. */
export interface ClientView extends Omit<ClientReport, "lastDecision"> {
  /** What the owner last answered since it woke, the newest first, at most 10. What isolates decide by lease is not among it. */
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
}

const MAX_DECISIONS = 10;

/** The decisions with a new one. */
export function addDecision(decisions: readonly PastDecision[], decision: PastDecision): readonly PastDecision[] {
  return [decision, ...decisions.slice(0, MAX_DECISIONS - 1)];
}
