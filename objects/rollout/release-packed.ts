import { isCount, isInteger } from "../numbers.ts";
import { parsePacked, unpackList } from "../packed.ts";
import { abortPolicyProblem, type AbortPolicy } from "./abort-policy.ts";
import { packCounts, unpackCounts } from "./counts-packed.ts";
import { CELLS, noCounts, type VariantCounts } from "./variant-counts.ts";
import type { Case, Judgement } from "./judge.ts";
import { isEvidence, NO_EVIDENCE, type Evidence, type Trials } from "./regression-evidence.ts";
import type { ReleaseEvent, ReleaseState } from "./release.ts";
import type { RolloutTerms } from "./rollout-messages.ts";
import type { VariantStatus } from "./variant-status.ts";

/** A release's state as one text: some 500 characters, and 500 for each variant. */
export function packRelease({ epoch, terms, promoted, aborted, history, judgement }: ReleaseState): string {
  const { totals, usual, failed, slow, cases } = judgement;
  return JSON.stringify({
    e: epoch,
    c: terms === null ? null : [terms.configVersion, terms.release, terms.variants, terms.policy],
    p: promoted,
    a: aborted,
    h: history.map((one) => [
      one.at,
      one.epoch,
      one.kind,
      one.variant,
      one.cause,
      one.by,
      one.figures?.map(packFigures),
    ]),
    t: totals.map(packCounts),
    u: packCounts({ ...noCounts(), requests: usual.total, times: usual }),
    f: packTrials(failed),
    s: packTrials(slow),
    k: cases.map(({ errors, times, recent }) => [
      packEvidence(errors),
      packEvidence(times),
      packTrials([recent.canary, recent.control]),
    ]),
  });
}

/**
 * What `packRelease` packed, or undefined when the text is not a state that this code could have reached. Members and list entries
 * that it does not know are ignored.
 */
export function unpackRelease(text: string): ReleaseState | undefined {
  const packed = parsePacked(text);
  if (typeof packed !== "object" || packed === null) return undefined;
  const { e: epoch, c, p: promoted, a, h, ...rest }: Packed = packed;
  const terms = c === null ? null : unpackTerms(c);
  const aborted = textsOf(a);
  const history = unpackList(h, unpackEvent);
  const judgement = unpackJudgement(rest);
  if (!isCount(epoch) || epoch === 0 || terms === undefined || aborted === undefined) return undefined;
  if (!(promoted === null || typeof promoted === "string") || history === undefined) return undefined;
  if (judgement === undefined || judgement.totals.length !== (terms?.variants.length ?? 0)) return undefined;
  return { epoch, terms, promoted, aborted, history, judgement };
}

/** The members of a packed state, as they may really be. */
interface Packed {
  readonly e?: unknown;
  readonly c?: unknown;
  readonly p?: unknown;
  readonly a?: unknown;
  readonly h?: unknown;
  readonly t?: unknown;
  readonly u?: unknown;
  readonly f?: unknown;
  readonly s?: unknown;
  readonly k?: unknown;
}

const KINDS: readonly unknown[] = ["begun", "aborted", "promoted", "reset"] satisfies readonly ReleaseEvent["kind"][];
const CAUSES: readonly unknown[] = [
  "new-release",
  "more-errors",
  "slower",
  "operator",
  "state-lost",
] satisfies readonly ReleaseEvent["cause"][];

function packEvidence({ rounds, logs }: Evidence): readonly unknown[] {
  // Minus infinity has no JSON.
  return rounds === 0 ? [0] : [rounds, logs];
}

function unpackEvidence(packed: unknown): Evidence | undefined {
  if (!Array.isArray(packed)) return undefined;
  const [rounds, logs]: readonly unknown[] = packed;
  if (rounds === 0) return NO_EVIDENCE;
  return isCount(rounds) && Array.isArray(logs) && isEvidence(logs) ? { rounds, logs } : undefined;
}

function unpackTerms(packed: unknown): RolloutTerms | undefined {
  if (!Array.isArray(packed)) return undefined;
  const [configVersion, release, names, policy]: readonly unknown[] = packed;
  const variants = textsOf(names);
  if (!isCount(configVersion) || typeof release !== "string" || variants === undefined) return undefined;
  return isPolicy(policy) ? { configVersion, release, variants, policy } : undefined;
}

function unpackEvent([at, epoch, kind, variant, cause, by, packed]: readonly unknown[]): ReleaseEvent | undefined {
  if (!isInteger(at) || !isCount(epoch) || !isKind(kind) || !isCause(cause)) return undefined;
  if (typeof variant !== "string" || typeof by !== "string") return undefined;
  // Missing is undefined until it has been JSON, and null then.
  if (packed === undefined || packed === null) return { at, epoch, kind, variant, cause, by };
  const figures = unpackList(packed, unpackFigures);
  return figures === undefined ? undefined : { at, epoch, kind, variant, cause, by, figures };
}

function packFigures({ name, requests, errors, p50Ms, p95Ms, p99Ms }: VariantStatus): readonly unknown[] {
  return [name, requests, errors, p50Ms, p95Ms, p99Ms];
}

function unpackFigures([name, requests, errors, p50Ms, p95Ms, p99Ms]: readonly unknown[]): VariantStatus | undefined {
  if (typeof name !== "string" || !isAmount(requests) || !isAmount(errors)) return undefined;
  if (!isTime(p50Ms) || !isTime(p95Ms) || !isTime(p99Ms)) return undefined;
  return { name, requests, errors, p50Ms, p95Ms, p99Ms };
}

function isTime(value: unknown): value is number | null {
  return value === null || isAmount(value);
}

function unpackJudgement({ t, u, f, s, k }: Packed): Judgement | undefined {
  const totals = Array.isArray(t) ? t.map(unpackCounts) : [undefined];
  const usual = unpackCounts(u)?.times;
  const [failed, slow] = [unpackTrials(f, CELLS), unpackTrials(s, CELLS)];
  const cases = unpackList(k, unpackCase);
  if (!totals.every(isKnown) || usual === undefined || cases === undefined) return undefined;
  if (failed === undefined || slow === undefined || cases.length !== Math.max(0, totals.length - 1)) return undefined;
  return { totals, usual, failed, slow, cases };
}

function unpackCase([packedErrors, packedTimes, packedRecent]: readonly unknown[]): Case | undefined {
  const errors = unpackEvidence(packedErrors);
  const times = unpackEvidence(packedTimes);
  const [canary, control] = unpackTrials(packedRecent, 2) ?? [];
  if (errors === undefined || times === undefined || canary === undefined || control === undefined) return undefined;
  return { errors, times, recent: { canary, control } };
}

/** Trials and bad ones in turn. */
function packTrials(some: readonly Trials[]): readonly number[] {
  return some.flatMap(({ trials, bad }) => [trials, bad]);
}

function unpackTrials(packed: unknown, count: number): readonly Trials[] | undefined {
  if (!Array.isArray(packed) || packed.length !== 2 * count || !packed.every(isAmount)) return undefined;
  const amounts: readonly number[] = packed;
  return Array.from({ length: count }, (_, index) => ({
    trials: amounts[2 * index] ?? 0,
    bad: amounts[2 * index + 1] ?? 0,
  }));
}

function textsOf(packed: unknown): readonly string[] | undefined {
  if (!Array.isArray(packed)) return undefined;
  const list: readonly unknown[] = packed;
  return list.every((text) => typeof text === "string") ? list : undefined;
}

function isKnown(counts: VariantCounts | undefined): counts is VariantCounts {
  return counts !== undefined;
}

function isAmount(value: unknown): value is number {
  return typeof value === "number" && value >= 0;
}

function isPolicy(policy: unknown): policy is AbortPolicy | null {
  return abortPolicyProblem(policy) === undefined;
}

function isKind(kind: unknown): kind is ReleaseEvent["kind"] {
  return KINDS.includes(kind);
}

function isCause(cause: unknown): cause is ReleaseEvent["cause"] {
  return CAUSES.includes(cause);
}
