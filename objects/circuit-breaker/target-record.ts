import { isOutdated } from "../config-version.ts";
import type { HealthAnswer } from "./health-messages.ts";
import { judgeCheck, unchecked, type Health } from "./health-verdict.ts";
import type { HealthTerms, TargetNews, TargetTerms } from "./target-messages.ts";

/** What the owner of a target remembers beside its breaker. Times in ms since the epoch. */
export interface TargetRecord {
  /** As the configuration writes its URL; `NAMELESS`: that was lost, and nobody has told it again. */
  readonly target: string;
  /** Null: no isolate has spoken of it yet, only an operator. */
  readonly backend: string | null;
  /** The version of the configuration that `health` comes from; -1: none. */
  readonly configVersion: number;
  readonly health: HealthTerms | null;
  readonly verdict: Health;
  /** Checks so far. */
  readonly checks: number;
  readonly lastCheck: PastCheck | null;
  /** By an operator's order. */
  readonly isDraining: boolean;
  /** When an isolate was last heard of, to within a tenth of the time after which that matters. */
  readonly heardAt: number;
}

/** One check, as it is told to operators. */
export interface PastCheck {
  readonly at: number;
  /** Null: it said nothing of the target. */
  readonly ok: boolean | null;
  readonly status: number | null;
  readonly durationMs: number;
  readonly detail: string;
}

/** Checks go on for so long after the last isolate has shown interest ... */
const INTEREST_MS = 600_000;
/** ... or for as many intervals, where that is longer. */
const INTEREST_INTERVALS = 10;
/** The first checks are spread over so much. */
const FIRST_CHECK_MS = 1_000;
/** Of an interval, to either side. */
const SPREAD = 0.1;
/** A target of which nothing was heard for so long is forgotten, with its history. */
const KEEP_MS = 7 * 86_400_000;
/** Verdicts of before any check; no clock says 0. */
const NEVER = 0;

/** The URL of a target whose record was lost. */
export const NAMELESS = "";

/** A target never heard of. */
export function newRecord(target: string, now: number): TargetRecord {
  const terms = { target, backend: null, configVersion: -1, health: null, isDraining: false };
  return { ...terms, verdict: unchecked(NEVER), checks: 0, lastCheck: null, heardAt: now };
}

/**
 * Takes in what a message says of a target; the very record where that is nothing new. The highest version of the
 * configuration counts, and the latest of those without one. A message without checks ends none, since it may be an older
 * one's: the gateway does, which is asked for each check and knows of none any more.
 */
export function heardOf(
  known: TargetRecord | undefined,
  message: TargetTerms & { readonly configVersion: number },
  now: number,
): TargetRecord {
  const record = named(known ?? newRecord(message.target, now), message.target);
  const { backend, health, configVersion } = message;
  const isNew = isNews(record, message);
  const adopted = isNew ? { ...record, backend, health, configVersion } : record;
  const isStale = Math.abs(now - record.heardAt) > keepMs(adopted) / 10;
  return isNew || isStale ? { ...adopted, heardAt: now } : record;
}

/** The very record, unless it has lost its name. */
export function named(record: TargetRecord, target: string): TargetRecord {
  return record.target === NAMELESS ? { ...record, target } : record;
}

/** Whether somebody still wants this target's health to be known. */
export function isWatched({ health, heardAt }: TargetRecord, now: number): boolean {
  return health !== null && Math.abs(now - heardAt) <= interestMs(health);
}

/** When a target that is no more heard of may be forgotten; an operator's order has no end. */
export function targetForgettableAt(record: TargetRecord): number {
  return record.isDraining ? Infinity : record.heardAt + Math.max(KEEP_MS, keepMs(record));
}

/** When the first check is to be: soon, but not of every target at once. `random` in [0, 1). */
export function firstCheckAt({ intervalMs }: HealthTerms, now: number, random: number): number {
  return now + Math.round(random * Math.min(intervalMs, FIRST_CHECK_MS));
}

/** When the check after one that begins now is to be: objects that started together don't go on together. */
export function nextCheckAt({ intervalMs }: HealthTerms, now: number, random: number): number {
  return now + Math.round(intervalMs * (1 - SPREAD + 2 * SPREAD * random));
}

/** Takes in what came of a check. */
export function checked(record: TargetRecord, answer: HealthAnswer, now: number): TargetRecord {
  const { health, verdict, checks } = record;
  if (health === null) return record;
  switch (answer.kind) {
    case "judged": {
      const { ok, status, durationMs, detail } = answer;
      const lastCheck = { at: now, ok, status, durationMs, detail };
      return { ...record, verdict: judgeCheck(verdict, ok, health, now), checks: checks + 1, lastCheck };
    }
    case "unknown":
      return { ...record, lastCheck: { at: now, ok: null, status: null, durationMs: 0, detail: answer.detail } };
    case "not-configured":
      return { ...record, health: null, verdict: unchecked(NEVER) };
  }
}

/** Forgets what checks have said. */
export function withoutVerdict(record: TargetRecord): TargetRecord {
  return { ...record, verdict: unchecked(NEVER), lastCheck: null };
}

/** What isolates are told. */
export function newsOf({ verdict, isDraining }: TargetRecord, now: number): TargetNews {
  const forMs = verdict.since === NEVER ? null : Math.max(0, now - verdict.since);
  return { isDraining, downForMs: verdict.isDown ? forMs : null, wellForMs: verdict.isDown ? null : forMs };
}

function isNews(
  record: TargetRecord,
  { backend, health, configVersion }: TargetTerms & { readonly configVersion: number },
): boolean {
  if (isOutdated(configVersion, record.configVersion)) return false;
  const isOther = configVersion !== record.configVersion;
  if (health === null) return isOther && record.health === null && record.backend !== backend;
  return isOther || record.health === null || !isSame(health, record.health);
}

function isSame(one: HealthTerms, other: HealthTerms): boolean {
  return (["intervalMs", "timeoutMs", "rise", "fall"] as const).every((field) => one[field] === other[field]);
}

function keepMs({ health }: TargetRecord): number {
  return health === null ? KEEP_MS : interestMs(health);
}

function interestMs({ intervalMs }: HealthTerms): number {
  return Math.max(INTEREST_MS, INTEREST_INTERVALS * intervalMs);
}
