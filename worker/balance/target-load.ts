import { begin, countInFlight, finish, noneInFlight, type CountedCall, type InFlight } from "./in-flight.ts";
import {
  addHistogram,
  addTime,
  clearHistogram,
  emptyHistogram,
  quantile,
  type LatencyHistogram,
} from "../../objects/latency-histogram.ts";

/** What one isolate has seen of how busy and how fast a target is. Changed in place; one for the life of the isolate. */
export interface TargetLoad {
  readonly inFlight: InFlight;
  /** A peak average in ms as of `latencyAt`; undefined: no answer yet. */
  latencyMs: number | undefined;
  latencyAt: number;
  /** Answers since `windowAt`, and of the window before. */
  recent: LatencyHistogram;
  before: LatencyHistogram;
  windowAt: number;
}

/** Half of a latency's weight is gone after this. */
const HALF_LIFE_MS = 10_000;
/** A quantile is of the last one to two of these. */
const WINDOW_MS = 30_000;
/** Of fewer answers a p95 is one of the two slowest, by chance. */
const FEWEST_ANSWERS = 20;

const both = emptyHistogram();

/** Nothing seen. */
export function newTargetLoad(): TargetLoad {
  return {
    inFlight: noneInFlight(),
    latencyMs: undefined,
    latencyAt: 0,
    recent: emptyHistogram(),
    before: emptyHistogram(),
    windowAt: 0,
  };
}

/**
 * Counts a try as in flight, until `endCall`.
 *
 * @param leaseMs the longest that it may last: after that it counts no more, whether or not its end is heard of.
 */
export function beginCall(load: TargetLoad, leaseMs: number, now: number): CountedCall {
  return begin(load.inFlight, leaseMs, now);
}

/** Ends a try, on whatever way out; again changes nothing. */
export function endCall(load: TargetLoad, call: CountedCall): void {
  finish(load.inFlight, call);
}

/** How many tries are in flight to the target, of this isolate. */
export function callsInFlight(load: TargetLoad, now: number): number {
  return countInFlight(load.inFlight, now);
}

/**
 * Takes the time until a response head into account, or the time after which one was given up. Not that of a connection refused
 * or a 5xx: a target that fails fast must not look fast.
 *
 * The average takes a time above it at once and lower ones slowly, as Finagle's peak EWMA does: a target that begins to stall
 * is avoided from its first slow answer on.
 */
export function noteAnswer(load: TargetLoad, ms: number, now: number): void {
  const known = latencyOf(load, now);
  const kept = known === undefined || ms >= known ? 0 : keptSince(load.latencyAt, now);
  load.latencyMs = (load.latencyMs ?? 0) * kept + ms * (1 - kept);
  load.latencyAt = now;
  turnWindow(load, now);
  addTime(load.recent, ms);
}

/**
 * The average in ms, halved with every ten seconds in which there was no answer: one that was slow once and is avoided since
 * must come to be tried again. Undefined: never an answer.
 */
export function latencyOf({ latencyMs, latencyAt }: TargetLoad, now: number): number | undefined {
  return latencyMs === undefined ? undefined : latencyMs * keptSince(latencyAt, now);
}

/** What 95 % of the answers of the last 30 to 60 s took at most, in ms, or up to 19 % more; undefined for fewer than 20 answers. */
export function p95Of(load: TargetLoad, now: number): number | undefined {
  turnWindow(load, now);
  if (load.recent.total + load.before.total < FEWEST_ANSWERS) return undefined;
  clearHistogram(both);
  addHistogram(both, load.recent);
  addHistogram(both, load.before);
  return quantile(both, 0.95);
}

function keptSince(at: number, now: number): number {
  return 2 ** (-Math.max(0, now - at) / HALF_LIFE_MS);
}

function turnWindow(load: TargetLoad, now: number): void {
  const age = now - load.windowAt;
  if (age < WINDOW_MS) return;
  const { recent, before } = load;
  clearHistogram(before);
  // Older than two windows, all of it is.
  if (age >= 2 * WINDOW_MS) clearHistogram(recent);
  load.recent = before;
  load.before = recent;
  load.windowAt = now;
}
