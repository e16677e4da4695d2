import { isSameAbort, roundMs } from "./abort-policy.ts";
import { unpackCounts } from "./counts-packed.ts";
import { judge, noJudgement } from "./judge.ts";
import { abortVariant, enterEpoch, orderRelease, type OrderRefusal, type ReleaseState } from "./release.ts";
import { createReporters, paceMs, type Reporters } from "./reporters.ts";
import type { RolloutOrder, RolloutReply, RolloutReport, RolloutTerms } from "./rollout-messages.ts";
import { addCounts, noCounts, noneOf, slotsOf, type VariantCounts } from "./variant-counts.ts";
import { describeVariant } from "./variant-status.ts";

/** What an owner has in memory alone: when it is lost, so is a round at most. Changed in place. */
export interface RolloutMemory {
  readonly reporters: Reporters;
  /** Of the present round: the control's cells, then the other variants; of `epoch`. */
  round: readonly VariantCounts[];
  epoch: number;
  roundEndsAt: number;
}

/** When, and a random number in [0, 1) that spreads who comes back. */
export interface Moment {
  readonly now: number;
  readonly random: number;
}

/** What is to be stored, when `mustStore` before the reply leaves; and the reply. */
export interface RolloutOutcome {
  readonly state: ReleaseState;
  readonly reply: RolloutReply;
  /** An epoch has begun. Else storing can wait for a while: what is lost is evidence, and no promise. */
  readonly mustStore: boolean;
}

/** The memory of an owner that has just started. */
export function newRolloutMemory(now: number): RolloutMemory {
  return { reporters: createReporters(now), round: [], epoch: 0, roundEndsAt: -Infinity };
}

/**
 * The owner's half: takes in a report that has no problem, and says how things stand. Counts of another epoch or another release count
 * nowhere; the same message again, or one that comes after a later one of its isolate, counts no more.
 */
export function hearRollout(
  known: ReleaseState,
  memory: RolloutMemory,
  report: RolloutReport,
  { now, random }: Moment,
): RolloutOutcome {
  const state = endRound(configured(recovered(known, report, now), report, now), memory, now);
  const { isNew, isolates } = memory.reporters.note(report, now);
  if (isNew && report.epoch === state.epoch && report.release === state.terms?.release) count(memory, report);
  const reply: RolloutReply = {
    v: 1,
    epoch: state.epoch,
    release: state.terms?.release ?? report.release,
    promoted: state.promoted,
    aborted: state.aborted,
    reportMs: Math.ceil(paceMs(isolates) * (0.75 + random / 2)),
    isolates,
  };
  return { state, reply, mustStore: state.epoch !== known.epoch };
}

/** Does what an operator orders: see `orderRelease`. */
export function obeyOrder(known: ReleaseState, order: RolloutOrder, now: number): ReleaseState | OrderRefusal {
  return orderRelease(configured(known, order, now), order, now);
}

/**
 * Judges the round that is over, if one is. `hearRollout` does so by itself.
 */
export function endRound(state: ReleaseState, memory: RolloutMemory, now: number): ReleaseState {
  const { terms } = state;
  if (terms === null) return state;
  const lastsMs = terms.policy === null ? DEFAULT_ROUND_MS : roundMs(terms.policy);
  if (memory.epoch !== state.epoch || memory.round.length !== slotsOf(terms.variants.length)) {
    begin(memory, state, now + lastsMs);
    return state;
  }
  // A round that would end later than a round from now is one from before the clock stepped back.
  if (now < memory.roundEndsAt && memory.roundEndsAt - now <= lastsMs) return state;
  const { judgement, regressions } = judge(state.judgement, memory.round, terms.policy);
  let next: ReleaseState = { ...state, judgement };
  for (const { variant, cause } of regressions) {
    const name = terms.variants[variant];
    if (name === undefined || state.promoted !== null || state.aborted.includes(name)) continue;
    const figures = [0, variant].map((index) =>
      describeVariant(terms.variants[index] ?? "", judgement.totals[index] ?? noCounts()),
    );
    next = abortVariant(next, { variant: name, cause, by: "", figures }, now);
  }
  begin(memory, next, now + lastsMs);
  return next;
}

const DEFAULT_ROUND_MS = 3_000;

function begin(memory: RolloutMemory, { epoch, terms }: ReleaseState, endsAt: number): void {
  memory.round = noneOf(slotsOf(terms?.variants.length ?? 0));
  memory.epoch = epoch;
  memory.roundEndsAt = endsAt;
}

function count(memory: RolloutMemory, { counts }: RolloutReport): void {
  for (const [index, packed] of counts.entries()) {
    const total = memory.round[index];
    // Most cells of most isolates have seen nobody since their last report.
    const seen = packed[0] === 0 ? undefined : unpackCounts(packed);
    if (total !== undefined && seen !== undefined) addCounts(total, seen);
  }
}

/** An isolate that knows a higher epoch knows that the record was lost: a lower one would be taken for an old reply. */
function recovered(state: ReleaseState, { epoch }: RolloutReport, now: number): ReleaseState {
  if (epoch <= state.epoch) return state;
  return enterEpoch({ ...state, epoch }, { kind: "begun", variant: "", cause: "state-lost", by: "" }, now);
}

/** A document without versions has version 0 each time: other terms of the same version are newer ones as well. */
function configured(state: ReleaseState, stated: RolloutTerms, now: number): ReleaseState {
  const { configVersion, release, variants, policy } = stated;
  const terms: RolloutTerms = { configVersion, release, variants, policy };
  const known = state.terms;
  if (known !== null && configVersion < known.configVersion) return state;
  if (known === null || known.release !== release || !isSameList(known.variants, variants)) {
    const fresh: ReleaseState = { ...state, terms, promoted: null, aborted: [] };
    // There was nothing before it that it would have to be told from.
    if (known === null) return { ...fresh, judgement: noJudgement(variants.length) };
    return enterEpoch(fresh, { kind: "begun", variant: "", cause: "new-release", by: "" }, now);
  }
  if (known.configVersion === configVersion && isSameAbort(known.policy, policy)) return state;
  if (isSameAbort(known.policy, policy)) return { ...state, terms };
  // A wager is on one bound; what was seen stays.
  return { ...state, terms, judgement: { ...noJudgement(variants.length), totals: state.judgement.totals } };
}

function isSameList(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((name, index) => name === other[index]);
}
