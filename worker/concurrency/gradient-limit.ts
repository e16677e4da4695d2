import type { AdaptiveConcurrency } from "../../schemas/index.ts";
import { addSample, clearSample, newSample, sampleQuantile, type TimeSample } from "./time-sample.ts";

/** The limit of one isolate for one backend, and what it is found by. Changed in place, since every request passes here. */
export interface GradientLimit {
  policy: AdaptiveConcurrency;
  /** Not rounded. */
  limit: number;
  /** What an answer takes when the backend isn't busy, in ms; undefined: not known. */
  bestMs: number | undefined;
  /** Answers of the present sample, since when, and the most requests in flight meanwhile. */
  readonly sample: TimeSample;
  sampleSince: number;
  mostInFlight: number;
  /** What samples came to, since when: the least of a few is what is best, the least of many is chance. */
  readonly survey: TimeSample;
  surveySince: number;
  /** What the last sample came to, in ms, and whether that is slower than it may be. */
  latestMs: number;
  isSlow: boolean;
  /** When a request last found no room. */
  refusedAt: number;
  /** Held to the minimum from then until then, to measure; -Infinity: not. Counted are requests that begin after the queue is gone. */
  measuringSince: number;
  countedSince: number;
  measuringUntil: number;
  /** The turn in which was measured last. */
  measuredTurn: number;
}

/** After so many times its time a sample may have few answers, but not fewer than these. */
const LONG_SAMPLES = 10;
const FEW_ANSWERS = 20;
/** A refusal is a reason to measure for so long. */
const REFUSAL_MS = 5_000;
/** What is best is told by the median of so many samples. */
const SURVEY_SAMPLES = 15;
const SURVEY_MS = 5_000;
/** Less of a difference is chance, and the least of many chances would be far off. */
const NOTABLY = 0.9;
/** A measurement of fewer answers says nothing. */
const FEWEST_ANSWERS = 10;
/** A measurement lasts so many times what an answer takes, if that is longer than its time. */
const MEASURE_ANSWERS_LONG = 5;
/** One so far from what was known is believed alone; else each counts half. */
const FAR = 1.5;

/** Before the first answer. */
export function newGradientLimit(policy: AdaptiveConcurrency, now: number): GradientLimit {
  return {
    policy,
    limit: policy.initial,
    bestMs: undefined,
    sample: newSample(),
    sampleSince: now,
    mostInFlight: 0,
    survey: newSample(),
    surveySince: now,
    latestMs: 0,
    isSlow: false,
    refusedAt: -Infinity,
    measuringSince: -Infinity,
    countedSince: -Infinity,
    measuringUntil: -Infinity,
    measuredTurn: -Infinity,
  };
}

/** How many requests may be in flight. */
export function limitOf({ limit, policy }: GradientLimit): number {
  // The policy may have become another one since.
  return Math.floor(Math.min(policy.maximum, Math.max(policy.minimum, limit)));
}

/** How many while it is being measured what is best, which may begin now; undefined: it isn't. */
export function heldTo(state: GradientLimit, now: number): number | undefined {
  if (!isMeasuring(state, now) && isDue(state, now)) measure(state, now);
  return isMeasuring(state, now) ? state.policy.minimum : undefined;
}

/** Notes that a request begins, and how many are in flight with it. */
export function noteStart(state: GradientLimit, inFlight: number): void {
  state.mostInFlight = Math.max(state.mostInFlight, inFlight);
}

/** Notes that a request found no room. */
export function noteRefusal(state: GradientLimit, now: number): void {
  state.refusedAt = now;
}

/**
 * Notes how long a response head took; nothing of a request that failed fast.
 *
 * At the end of a sample the limit follows its gradient as in Envoy's adaptive concurrency filter:
 * `gradient = clamp(0.5, 2, best * (1 + buffer) / sample)`, `limit = gradient * limit + sqrt(gradient * limit)`. Unlike there it
 * doesn't grow when less than half of it was used (as Netflix's concurrency-limits), and answers that are faster than what was
 * best are believed without a measurement.
 *
 * @param tookMs Infinity: it was given up as too slow.
 */
export function noteTime(state: GradientLimit, startedAt: number, tookMs: number, now: number): void {
  const { policy, sample } = state;
  if (isMeasuring(state, now)) {
    if (startedAt >= state.countedSince) addSample(sample, tookMs);
    if (sample.count >= policy.measureAnswers) endMeasurement(state, now);
    return;
  }
  if (state.measuringUntil !== -Infinity) endMeasurement(state, now);
  // The clock has stepped back.
  if (now < state.sampleSince || now < state.surveySince) forgetSamples(state, now);
  addSample(sample, tookMs);
  if (!isFull(state, now)) return;
  const sampleMs = sampleQuantile(sample, policy.quantile);
  if (sampleMs !== undefined) {
    survey(state, sampleMs, now);
    follow(state, sampleMs);
  }
  beginSample(state, now);
}

/** Of few answers a quantile is chance, which would refuse requests of a backend that is well; a slow one has to do with fewer. */
function isFull({ policy, sample, sampleSince }: GradientLimit, now: number): boolean {
  const ageMs = now - sampleSince;
  if (ageMs >= LONG_SAMPLES * policy.sampleMs) return sample.count >= Math.min(FEW_ANSWERS, policy.sampleAnswers);
  return ageMs >= policy.sampleMs && sample.count >= policy.sampleAnswers;
}

function follow(state: GradientLimit, sampleMs: number): void {
  const { policy, limit } = state;
  if (sampleMs < Infinity) state.bestMs ??= sampleMs;
  // Of requests that are given up nobody knows how long they would have taken: as slow as can be.
  const gradient = sampleMs < Infinity ? ((state.bestMs ?? sampleMs) * (1 + policy.buffer)) / sampleMs : 0;
  const scaled = limit * Math.min(2, Math.max(0.5, gradient));
  const next = Math.min(policy.maximum, Math.max(policy.minimum, scaled + Math.sqrt(scaled)));
  if (next < limit || state.mostInFlight >= limit / 2) state.limit = next;
  state.latestMs = sampleMs;
  state.isSlow = gradient < 1;
}

function survey(state: GradientLimit, sampleMs: number, now: number): void {
  addSample(state.survey, sampleMs);
  if (state.survey.count < SURVEY_SAMPLES || now - state.surveySince < SURVEY_MS) return;
  const surveyMs = sampleQuantile(state.survey, 0.5);
  if (surveyMs !== undefined && surveyMs < NOTABLY * (state.bestMs ?? Infinity)) state.bestMs = surveyMs;
  clearSample(state.survey);
  state.surveySince = now;
}

/**
 * Measured is only where answers are slow and somebody is refused for it; in the first part of a turn of the clock, at the same time by
 * all isolates: alone, one would see the queues that the others make, and take them for the best there is.
 */
function isDue(state: GradientLimit, now: number): boolean {
  const { policy, isSlow, refusedAt, measuredTurn } = state;
  if (!isSlow || Math.abs(now - refusedAt) > REFUSAL_MS) return false;
  const turn = Math.floor(now / policy.measureEveryMs);
  if (turn === measuredTurn) return false;
  return now - turn * policy.measureEveryMs < policy.measureMs / 2;
}

function measure(state: GradientLimit, now: number): void {
  const { measureEveryMs, measureMs } = state.policy;
  state.measuredTurn = Math.floor(now / measureEveryMs);
  state.measuringSince = now;
  state.countedSince = now + Math.min(state.latestMs, measureEveryMs / 4);
  state.measuringUntil = state.countedSince + Math.max(measureMs, MEASURE_ANSWERS_LONG * (state.bestMs ?? 0));
  beginSample(state, now);
}

function endMeasurement(state: GradientLimit, now: number): void {
  const { policy, sample } = state;
  const measuredMs = sample.count < FEWEST_ANSWERS ? undefined : sampleQuantile(sample, policy.quantile);
  if (measuredMs !== undefined && measuredMs < Infinity) state.bestMs = learned(state.bestMs ?? measuredMs, measuredMs);
  state.measuringUntil = -Infinity;
  state.isSlow = false;
  forgetSamples(state, now);
}

function learned(knownMs: number, measuredMs: number): number {
  const isFar = measuredMs > knownMs * FAR || knownMs > measuredMs * FAR;
  return isFar ? measuredMs : (knownMs + measuredMs) / 2;
}

function isMeasuring({ measuringSince, measuringUntil }: GradientLimit, now: number): boolean {
  return now < measuringUntil && now >= measuringSince;
}

function forgetSamples(state: GradientLimit, now: number): void {
  clearSample(state.survey);
  state.surveySince = now;
  beginSample(state, now);
}

function beginSample(state: GradientLimit, now: number): void {
  clearSample(state.sample);
  state.sampleSince = now;
  state.mostInFlight = 0;
}
