import type { BreakerReply } from "./breaker-messages.ts";
import type { BreakerRules } from "./breaker-rules.ts";
import type { BreakerState } from "./circuit.ts";
import type { ProbePermit } from "./probe-permits.ts";

/** What a reply depends on beside the state. */
export interface Occasion {
  readonly permit: ProbePermit | undefined;
  /** Whether the report was a vote for opening. */
  readonly isVoter: boolean;
  readonly isolates: number;
  /** For how long the owner, which has just started, doesn't know yet how many will come; 0: it does. */
  readonly learningMs: number;
  /** Whether an isolate has told it how many there are: then they don't all report at once. */
  readonly isTold: boolean;
  readonly now: number;
  readonly random: number;
}

/** Half-open, an isolate without a permit looks again after this and its share of the spread. */
const HALF_OPEN_MS = 300;
/** Isolates that come back when an open time is over, or look while half-open, do so at this rate a second. */
const SPREAD_RATE = 200;
/** After a deployment all isolates report at once; those who come first are to leave room for the others. */
const LEARNING_FACTOR = 2.5;
/** The longest that anyone is spread over. */
const MAX_SPREAD_MS = 10_000;

/** What an isolate is told of the state, and when it is to come back: the more isolates, the later. */
export function replyTo(state: BreakerState, occasion: Occasion, rules: BreakerRules): BreakerReply {
  const { isolates, permit, now } = occasion;
  const { remainingMs, reportMs } = timesOf(state, occasion, rules);
  return {
    v: 1,
    epoch: state.epoch,
    circuit: state.circuit.kind,
    ageMs: Math.max(0, now - state.circuit.since),
    remainingMs: Math.ceil(remainingMs),
    reportMs: Math.ceil(reportMs),
    urgentMs: Math.ceil(rules.urgentMs(isolates)),
    isolates,
    permit:
      permit === undefined ? null : { id: permit.id, deadlineMs: rules.startMs + state.policy.operationTimeoutMs },
  };
}

function timesOf(
  { circuit }: BreakerState,
  { isVoter, isolates, learningMs, isTold, now, random }: Occasion,
  rules: BreakerRules,
): { readonly remainingMs: number; readonly reportMs: number } {
  const paceMs = rules.paceMs(isolates) * (learningMs > 0 && !isTold ? LEARNING_FACTOR : 1) * (0.75 + random / 2);
  const spreadMs = Math.min(MAX_SPREAD_MS, (isolates * 1_000) / SPREAD_RATE);
  switch (circuit.kind) {
    case "closed": {
      if (!isVoter) return { remainingMs: 0, reportMs: paceMs };
      // Before the voter passes requests again it should have heard whether others see the same.
      if (learningMs === 0) return { remainingMs: 0, reportMs: rules.localOpenMs / 2 };
      // Then the owner can judge, if no more have voted until then.
      const reportMs = learningMs + random * rules.urgentMs(isolates);
      return { remainingMs: reportMs + rules.answerMs, reportMs };
    }
    case "open": {
      const remainingMs = Math.max(0, circuit.until - now) + random * spreadMs;
      return { remainingMs, reportMs: Math.min(remainingMs, 2 * paceMs) };
    }
    case "half-open":
      return { remainingMs: 0, reportMs: HALF_OPEN_MS + spreadMs * (0.5 + random) };
    case "forced-open":
    case "forced-closed":
      return { remainingMs: 0, reportMs: 2 * paceMs };
  }
}
