/**
 * The constants and choices that the breaker's promises rest on. Production passes `BREAKER_RULES`; a test passes others
 * to show that its check notices.
 */
export interface BreakerRules {
  /** How long after it was asked for a permit may be used to start a probe. */
  readonly startMs: number;
  /** When the owner gives up waiting for a probe that may last `deadlineMs` from its asking. */
  readonly permitEnd: (grantedAt: number, deadlineMs: number) => number;
  /** From when an isolate counts a permit. */
  readonly permitStart: (sentAt: number, receivedAt: number) => number;
  /** Whether an unsettled permit of an earlier epoch occupies a place. */
  readonly occupies: (permitEpoch: number, epoch: number) => boolean;
  /** Whether a result of epoch `sent` counts in epoch `current`. */
  readonly acceptsEpoch: (sent: number, current: number) => boolean;
  /** Permits in a row that were never heard of again and count as one failed probe. */
  readonly lostProbes: number;
  /** Neutral answers to probes that count as one success. */
  readonly neutralAnswers: number;
  /** How many isolates must agree. */
  readonly quorum: (isolates: number) => number;
  /** How long a vote counts. */
  readonly quorumMs: number;
  /** How long an owner that has just started doesn't trust its count of isolates. */
  readonly learningMs: number;
  /** How many isolates must agree meanwhile at least, of so many that it has heard of. */
  readonly earlyQuorum: (heard: number) => number;
  /** How long a voter whose owner is learning goes on refusing after its next report, so that the reply finds it so. */
  readonly answerMs: number;
  /** How long a report is remembered, so that a repetition gets the same reply. */
  readonly rememberMs: number;
  /** How long an isolate opens by itself while its owner answers. */
  readonly localOpenMs: number;
  /** The longest an isolate opens by itself while its owner doesn't answer. */
  readonly aloneOpenMaxMs: number;
  /** How long an isolate keeps the last state that it heard of when nobody can tell it the next. */
  readonly graceMs: number;
  /** Between two regular reports of an isolate. */
  readonly paceMs: (isolates: number) => number;
  /** Over how long reports of trouble are spread. */
  readonly urgentMs: (isolates: number) => number;
}

/**
 * What ships. 100 ms of guard cover 0.1 % of drift over 11 s on both sides (22 ms) and a clock that stands still for
 * 50 ms. 100 regular reports a second leave room for the urgent ones below what one object is to bear. 200 ms for
 * the urgent ones of 500 isolates and a round trip end well before the second for which an isolate opens by itself. At
 * 50,000 requests a second of which 30 % fail, 16 isolates a second see consecutive failures: a quorum of ten would trip. Four of
 * those that come first after a deployment are as many as must agree among 20; were two enough, three sick ones that have ten times
 * the requests of 17 others would trip now and then.
 */
export const BREAKER_RULES: BreakerRules = {
  startMs: 1_000,
  permitEnd: (grantedAt, deadlineMs) => grantedAt + deadlineMs + 100,
  permitStart: (sentAt) => sentAt,
  occupies: () => true,
  acceptsEpoch: (sent, current) => sent === current,
  lostProbes: 3,
  neutralAnswers: 5,
  quorum: (isolates) => Math.min(40, Math.max(1, Math.ceil(isolates / 5))),
  quorumMs: 1_000,
  learningMs: 1_000,
  earlyQuorum: (heard) => Math.max(4, Math.ceil(heard / 2)),
  answerMs: 250,
  rememberMs: 10_000,
  localOpenMs: 1_000,
  aloneOpenMaxMs: 30_000,
  graceMs: 1_000,
  paceMs: (isolates) => Math.min(10_000, Math.max(1_000, isolates * 10)),
  urgentMs: (isolates) => Math.min(200, isolates / 2),
};
