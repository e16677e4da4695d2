import { isCount } from "../numbers.ts";
import { MAX_ID_LENGTH, isText, wanted, type Unchecked } from "../message-checks.ts";
import { policyProblem, type BreakerPolicy } from "./breaker-policy.ts";
import { isCircuitKind, type CircuitKind } from "./circuit.ts";
import type { Counts } from "./outcome-window.ts";
import type { ProbeResult } from "./probe-permits.ts";

/**
 * What an isolate says to the breaker of a target. Either side may be of another version: unknown fields are ignored, `v`
 * rises only when that cannot be had.
 */
export interface BreakerReport extends Counts {
  readonly v: 1;
  /** The version of the configuration that `policy` comes from; the owner follows the highest, and the latest of those that are equal or 0 (none). */
  readonly configVersion: number;
  readonly policy: BreakerPolicy;
  /** Names the sender for its life; a random id of at most 64 characters. */
  readonly isolate: string;
  /** Rises with every message of an isolate. One that is sent again keeps its number, gets the same reply and counts once. */
  readonly seq: number;
  /** The epoch that the counts and the vote belong to; 0: the isolate has heard of none. */
  readonly epoch: number;
  /** How many isolates there are, as it was last told; 0: it wasn't. For an owner that has just started. */
  readonly isolates: number;
  /** A vote for opening: it sees consecutive failures. */
  readonly isFailing: boolean;
  /** A request waits for a permit to probe. */
  readonly wantsPermit: boolean;
  /** Results of probes that no reply has acknowledged; at most 32. */
  readonly probes: readonly ProbeResult[];
}

/** The answer to a `BreakerReport`, which acknowledges its probes. */
export interface BreakerReply {
  readonly v: 1;
  readonly epoch: number;
  readonly circuit: CircuitKind;
  /** How long the epoch has lasted. */
  readonly ageMs: number;
  /**
   * Open: how long it stays so before this isolate should ask for a permit, the isolates spread over a while. Closed: for how long a voter
   * is to go on refusing by itself, since the owner has just started and can't judge yet. Else 0.
   */
  readonly remainingMs: number;
  /** How long this is good for, and after which the next report is due. */
  readonly reportMs: number;
  /** Over how long a report of trouble is to be spread. */
  readonly urgentMs: number;
  /** Isolates that use this breaker. */
  readonly isolates: number;
  /** A permit for one probe; null: none. */
  readonly permit: PermitTerms | null;
}

/** Under which terms an isolate may probe. */
export interface PermitTerms {
  readonly id: number;
  /** How long after its report was sent the probe must have ended. */
  readonly deadlineMs: number;
}

const MAX_PROBES = 32;
/** While a deployment is under way, either side may meet one that is older or newer. */
export const VERSION_WANTED = "1; deploy the Worker and its objects together";

/** What is wrong with a report, in words for a log, or undefined. */
export function reportProblem(report: Unchecked<BreakerReport>): string | undefined {
  if (report.v !== 1) return wanted("v", report.v, VERSION_WANTED);
  if (!isText(report.isolate, MAX_ID_LENGTH)) return wanted("isolate", report.isolate, "1 to 64 characters");
  for (const field of ["configVersion", "seq", "epoch", "isolates", "ok", "failed", "slow"] as const) {
    if (!isCount(report[field])) return wanted(field, report[field], "an integer >= 0");
  }
  for (const field of ["isFailing", "wantsPermit"] as const) {
    if (typeof report[field] !== "boolean") return wanted(field, report[field], "true or false");
  }
  return policyProblem(report.policy) ?? probesProblem(report.probes);
}

/** What is wrong with a reply, in words for a log, or undefined. A time that is no number would never come, or always be over. */
export function replyProblem(reply: Unchecked<BreakerReply>): string | undefined {
  if (reply.v !== 1) return wanted("v", reply.v, VERSION_WANTED);
  for (const field of ["epoch", "ageMs", "remainingMs", "reportMs", "urgentMs", "isolates"] as const) {
    if (!isCount(reply[field])) return wanted(field, reply[field], "an integer >= 0");
  }
  if (!isCircuitKind(reply.circuit)) return wanted("circuit", reply.circuit, "the name of a state");
  return permitProblem(reply.permit);
}

function permitProblem(permit: unknown): string | undefined {
  if (permit === null) return undefined;
  if (typeof permit !== "object") return wanted("permit", permit, "an object or null");
  const { id, deadlineMs }: Unchecked<PermitTerms> = { ...permit };
  if (isCount(id) && isCount(deadlineMs)) return undefined;
  return wanted("permit", permit, "an id and a deadline");
}

function probesProblem(probes: unknown): string | undefined {
  if (!Array.isArray(probes)) return wanted("probes", probes, "a list");
  if (probes.length > MAX_PROBES) return wanted("probes.length", probes.length, `at most ${MAX_PROBES}`);
  const list: readonly unknown[] = probes;
  for (const [index, probe] of list.entries()) {
    if (typeof probe !== "object" || probe === null) return wanted(`probes[${index}]`, probe, "an object");
    const { permit, outcome }: Unchecked<ProbeResult> = probe;
    if (!isCount(permit)) return wanted(`probes[${index}].permit`, permit, "an integer >= 0");
    // A word of a later version says nothing that this one could count: `settleProbes` takes it as unused.
    if (typeof outcome !== "string") return wanted(`probes[${index}].outcome`, outcome, "a text");
  }
  return undefined;
}
