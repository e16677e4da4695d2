import { addTime } from "../latency-histogram.ts";
import { packCounts } from "./counts-packed.ts";
import type { RolloutReply, RolloutReport, RolloutTerms } from "./rollout-messages.ts";
import { noneOf, slotOf, slotsOf, type VariantCounts } from "./variant-counts.ts";

/** What one isolate knows of a release. Changed in place, because every request of its route passes here. Times by its own clock. */
export interface RolloutView {
  /** Names the isolate and numbers its messages. */
  readonly reporter: { readonly isolate: string; seq: number };
  terms: RolloutTerms;
  /** What the owner said last; `epoch` 0: nothing yet. */
  epoch: number;
  promoted: string | null;
  aborted: readonly string[];
  /** Not reported yet, of this epoch: the cells of the control, then the other variants. */
  counts: readonly VariantCounts[];
  /** Whether a request has come since the last report: how things stand is its business. */
  isUsed: boolean;
  isolates: number;
  reportMs: number;
  reportAt: number;
  /** The message whose reply is awaited; 0: none. */
  awaited: number;
  awaitedSince: number;
}

/** A request that counts. */
export interface Trial {
  readonly epoch: number;
  /** Of the counts: see `slotOf`. */
  readonly slot: number;
}

/** How it ended: an error, or the time until the head of the answer. */
export type TrialEnd = { readonly kind: "error" } | { readonly kind: "answer"; readonly ms: number };

/** A call that isn't answered by then is taken for lost; whoever sends should not wait longer either. */
const ANSWER_MS = 1_000;

/** What an isolate knows that has heard nothing: each variant gets its share. */
export function newRolloutView(reporter: RolloutView["reporter"], terms: RolloutTerms): RolloutView {
  return {
    reporter,
    terms,
    epoch: 0,
    promoted: null,
    aborted: [],
    counts: noneOf(slotsOf(terms.variants.length)),
    isUsed: false,
    isolates: 0,
    reportMs: ANSWER_MS,
    reportAt: -Infinity,
    awaited: 0,
    awaitedSince: -Infinity,
  };
}

/** Another configuration holds from now on; of another release all is new. One of an older version changes nothing. */
export function reconfigureRollout(view: RolloutView, terms: RolloutTerms): void {
  if (terms.configVersion < view.terms.configVersion) return;
  const isOther = terms.release !== view.terms.release || terms.variants.join("\n") !== view.terms.variants.join("\n");
  view.terms = terms;
  if (!isOther) return;
  // What is awaited is about another release.
  Object.assign(view, { epoch: 0, promoted: null, aborted: [], awaited: 0, reportAt: -Infinity });
  view.counts = noneOf(slotsOf(terms.variants.length));
}

/**
 * Notes that a request begins.
 *
 * @param variant by index, when it counts; undefined: it was chosen by something else than its share.
 * @param cell of the client, below `CELLS`.
 * @returns what is to be handed to `endTrial`, on any way out but the client's own; undefined: nothing.
 */
export function beginTrial(view: RolloutView, variant: number | undefined, cell: number): Trial | undefined {
  view.isUsed = true;
  return variant === undefined || view.epoch === 0 ? undefined : { epoch: view.epoch, slot: slotOf(variant, cell) };
}

/** Counts how a request ended. What began in another epoch counts nowhere. */
export function endTrial(view: RolloutView, { epoch, slot }: Trial, end: TrialEnd): void {
  const counts = epoch === view.epoch ? view.counts[slot] : undefined;
  if (counts === undefined) return;
  counts.requests += 1;
  if (end.kind === "error") counts.errors += 1;
  else addTime(counts.times, end.ms);
}

/** The report that is due, if one is; to be sent off the request's path. Its reply goes to `rolloutHeard`, its failure to `rolloutFailed`. */
export function dueRollout(view: RolloutView, now: number): RolloutReport | undefined {
  const isAwaiting = view.awaited !== 0 && Math.abs(now - view.awaitedSince) < ANSWER_MS;
  // A report that is due later than any pace is from before the clock stepped back.
  const isEarly = now < view.reportAt && view.reportAt - now <= 2 * view.reportMs;
  const hasNews = view.isUsed || view.counts.some(({ requests }) => requests > 0);
  if (isAwaiting || isEarly || !hasNews) return undefined;
  const { reporter, terms, epoch, isolates } = view;
  reporter.seq += 1;
  view.awaited = reporter.seq;
  view.awaitedSince = now;
  view.isUsed = false;
  const counts = view.counts.map(packCounts);
  view.counts = noneOf(slotsOf(terms.variants.length));
  return { v: 1, ...terms, isolate: reporter.isolate, seq: reporter.seq, epoch, isolates, counts };
}

/** Takes in the owner's reply to message `seq`; one that isn't awaited any more says nothing. */
export function rolloutHeard(view: RolloutView, seq: number, reply: RolloutReply, now: number): void {
  if (seq !== view.awaited) return;
  view.awaited = 0;
  view.isolates = reply.isolates;
  view.reportMs = reply.reportMs;
  view.reportAt = now + reply.reportMs;
  // Others have a newer configuration, which this isolate will have too; till then each variant has its share.
  if (reply.release !== view.terms.release) return;
  if (reply.epoch !== view.epoch) view.counts = noneOf(slotsOf(view.terms.variants.length));
  view.epoch = reply.epoch;
  view.promoted = reply.promoted;
  view.aborted = reply.aborted;
}

/** The call of message `seq` failed, or is given up: its counts are lost, what was last said still holds. */
export function rolloutFailed(view: RolloutView, seq: number, now: number): void {
  if (seq !== view.awaited) return;
  view.awaited = 0;
  view.reportAt = now + Math.max(ANSWER_MS, view.reportMs);
}
