import { noJudgement, type Judgement } from "./judge.ts";
import type { RolloutOrder, RolloutTerms } from "./rollout-messages.ts";
import type { VariantStatus } from "./variant-status.ts";

/** Why a release's state came to be. */
export type ReleaseCause = "new-release" | "more-errors" | "slower" | "operator" | "state-lost";

/** One change of a release's state. */
export interface ReleaseEvent {
  readonly at: number;
  readonly epoch: number;
  readonly kind: "begun" | "aborted" | "promoted" | "reset";
  /** The variant that it is about; "" for all. */
  readonly variant: string;
  readonly cause: ReleaseCause;
  /** Who ordered it; "" for nobody. */
  readonly by: string;
  /** Of an abort that nobody ordered, what it was judged by: of the control and of the variant, since their epoch began. */
  readonly figures?: readonly VariantStatus[];
}

/** Everything that the owner of a release stores. */
export interface ReleaseState {
  /** Rises with every change of what variants get. What was counted in an earlier one never counts. */
  readonly epoch: number;
  /** null: nobody has reported yet. */
  readonly terms: RolloutTerms | null;
  readonly promoted: string | null;
  readonly aborted: readonly string[];
  /** The last changes, the oldest first; at most 20. */
  readonly history: readonly ReleaseEvent[];
  /** Of the present epoch. */
  readonly judgement: Judgement;
}

const HISTORY = 20;

/** Of a release never heard of. */
export const NEW_RELEASE: ReleaseState = {
  epoch: 1,
  terms: null,
  promoted: null,
  aborted: [],
  history: [],
  judgement: noJudgement(0),
};

/** A change that begins an epoch. */
export type ReleaseChange = Omit<ReleaseEvent, "at" | "epoch">;

/** Begins the next epoch: what was counted in this one says nothing of it. */
export function enterEpoch(
  state: ReleaseState,
  { kind, variant, cause, by, ...judged }: ReleaseChange,
  now: number,
): ReleaseState {
  const epoch = state.epoch + 1;
  const history = [...state.history, { at: now, epoch, kind, variant, cause, by, ...judged }].slice(-HISTORY);
  return { ...state, epoch, history, judgement: noJudgement(state.terms?.variants.length ?? 0) };
}

/** Takes a variant back, from everybody. One that was promoted no longer is. */
export function abortVariant(state: ReleaseState, change: Omit<ReleaseChange, "kind">, now: number): ReleaseState {
  const { variant } = change;
  const next = enterEpoch(state, { ...change, kind: "aborted" }, now);
  const aborted = [...state.aborted.filter((name) => name !== variant), variant];
  return { ...next, aborted, promoted: state.promoted === variant ? null : state.promoted };
}

/**
 * Does what an operator asks; the very state where it is so already, but for a reset, which begins anew each time. Aborting the control is refused as there is nobody to take over,
 * and so is an unknown variant.
 */
export function orderRelease(state: ReleaseState, order: RolloutOrder, now: number): ReleaseState | OrderRefusal {
  const { kind, variant = "", by = "" } = order;
  if (kind === "reset") {
    const next = enterEpoch(state, { kind: "reset", variant: "", cause: "operator", by }, now);
    return { ...next, promoted: null, aborted: [] };
  }
  const names = state.terms?.variants ?? [];
  if (!names.includes(variant)) {
    const known = names.map((name) => JSON.stringify(name)).join(", ");
    const wanted = names.length === 0 ? "a release that somebody reported" : `one of ${known}`;
    return { problem: `variant: got ${JSON.stringify(variant)}, wanted ${wanted}` };
  }
  if (kind === "abort") {
    if (variant === names[0]) {
      const wanted = "another one: the control is who takes over; to take it from everybody promote a variant";
      return { problem: `variant: got ${JSON.stringify(variant)}, wanted ${wanted}` };
    }
    return state.aborted.includes(variant) ? state : abortVariant(state, { variant, cause: "operator", by }, now);
  }
  if (state.promoted === variant) return state;
  const next = enterEpoch(state, { kind: "promoted", variant, cause: "operator", by }, now);
  return { ...next, promoted: variant, aborted: state.aborted.filter((name) => name !== variant) };
}

/** Why an order is not carried out, in words. */
export interface OrderRefusal {
  readonly problem: string;
}
