import { isCount } from "../numbers.ts";
import { MAX_ID_LENGTH, isText, wanted, type Unchecked } from "../message-checks.ts";
import { abortPolicyProblem, type AbortPolicy } from "./abort-policy.ts";
import { unpackCounts, type PackedCounts } from "./counts-packed.ts";
import { slotsOf } from "./variant-counts.ts";

/** What a configuration says of a release. */
export interface RolloutTerms {
  /** The version of the configuration; the owner follows the highest, and the latest of those that are equal. */
  readonly configVersion: number;
  /** Names what is released: with another name all begins anew. At most 64 characters. */
  readonly release: string;
  /** Names of the variants, the control first; at most 8, each at most 64 characters. */
  readonly variants: readonly string[];
  /** null: nothing is aborted but by order. */
  readonly policy: AbortPolicy | null;
}

/**
 * What an isolate says of a release. Either side may be of another version: unknown fields are ignored, `v` rises only when that cannot
 * be had.
 */
export interface RolloutReport extends RolloutTerms {
  readonly v: 1;
  /** Names the sender for its life; a random id of at most 64 characters. */
  readonly isolate: string;
  /** Rises with every message of an isolate. One that is sent again keeps its number, and counts once. */
  readonly seq: number;
  /** The epoch that the counts belong to; 0: the isolate has heard of none. */
  readonly epoch: number;
  /** How many isolates there are, as it was last told; 0: it wasn't. For an owner that has just started. */
  readonly isolates: number;
  /** Of the control's 16 cells and then of each other variant, since the last report. */
  readonly counts: readonly PackedCounts[];
}

/** The answer to a `RolloutReport`. */
export interface RolloutReply {
  readonly v: 1;
  readonly epoch: number;
  /** What this is about; when it isn't what the isolate reported, its configuration is an older one. */
  readonly release: string;
  /** The variant that all get; null: each gets its share. */
  readonly promoted: string | null;
  /** Variants that nobody gets. */
  readonly aborted: readonly string[];
  /** After which the next report is due: the more isolates, the later. */
  readonly reportMs: number;
  /** Isolates that report. */
  readonly isolates: number;
}

const ORDERS = ["abort", "promote", "reset"] as const;

/** What an operator orders. `reset`: each variant gets its share again, and nothing that was seen before counts. */
export type RolloutOrderKind = (typeof ORDERS)[number];

/** An operator's order, with what the configuration says of the release, which nobody may have reported yet. */
export interface RolloutOrder extends RolloutTerms {
  readonly v: 1;
  readonly kind: RolloutOrderKind;
  /** The variant that it is about; `reset` has none. */
  readonly variant?: string;
  /** Who gives it, for the history; at most 64 characters. */
  readonly by?: string;
}

const MAX_VARIANTS = 8;
const VERSION_WANTED = "1; deploy the Worker and its objects together";

/** What is wrong with a report, in words for a log; undefined: nothing. */
export function rolloutReportProblem(report: Unchecked<RolloutReport>): string | undefined {
  const { v, isolate, variants, counts } = report;
  if (v !== 1) return wanted("v", v, VERSION_WANTED);
  if (!isText(isolate, MAX_ID_LENGTH)) return wanted("isolate", isolate, ID_WANTED);
  for (const field of ["seq", "epoch", "isolates"] as const) {
    if (!isCount(report[field])) return wanted(field, report[field], COUNT_WANTED);
  }
  return termsProblem(report) ?? countsProblem(counts, variants);
}

/** What is wrong with an order, in words for a log; undefined: nothing. */
export function rolloutOrderProblem(order: Unchecked<RolloutOrder>): string | undefined {
  const { v, kind, variant, by } = order;
  if (v !== 1) return wanted("v", v, VERSION_WANTED);
  if (!ORDERS.some((known) => known === kind)) return wanted("kind", kind, `one of ${ORDERS.join(", ")}`);
  if (by !== undefined && !isText(by, MAX_ID_LENGTH)) return wanted("by", by, ID_WANTED);
  if (kind !== "reset" && !isText(variant, MAX_ID_LENGTH)) return wanted("variant", variant, ID_WANTED);
  return termsProblem(order);
}

const COUNT_WANTED = "an integer >= 0";
const ID_WANTED = "1 to 64 characters";

function termsProblem({ configVersion, release, variants, policy }: Unchecked<RolloutTerms>): string | undefined {
  if (!isCount(configVersion)) return wanted("configVersion", configVersion, COUNT_WANTED);
  if (!isText(release, MAX_ID_LENGTH)) return wanted("release", release, ID_WANTED);
  return variantsProblem(variants) ?? abortPolicyProblem(policy);
}

function variantsProblem(variants: unknown): string | undefined {
  if (!Array.isArray(variants)) return wanted("variants", variants, "a list");
  const list: readonly unknown[] = variants;
  if (list.length < 2 || list.length > MAX_VARIANTS) {
    return wanted("variants.length", list.length, `2 to ${MAX_VARIANTS}`);
  }
  for (const [index, name] of list.entries()) {
    if (!isText(name, MAX_ID_LENGTH)) return wanted(`variants[${index}]`, name, ID_WANTED);
    if (list.indexOf(name) !== index) return wanted(`variants[${index}]`, name, "each name once");
  }
  return undefined;
}

function countsProblem(counts: unknown, variants: unknown): string | undefined {
  const length = slotsOf(Array.isArray(variants) ? variants.length : 0);
  if (!Array.isArray(counts)) return wanted("counts", counts, "a list");
  const list: readonly unknown[] = counts;
  if (list.length !== length)
    return wanted("counts.length", list.length, `${length}, for the control's cells and each other variant`);
  const wrong = list.findIndex((packed) => unpackCounts(packed) === undefined);
  if (wrong === -1) return undefined;
  return wanted(`counts[${wrong}]`, list[wrong], "requests, errors, and pairs of a bucket and its count");
}
