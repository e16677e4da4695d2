import type { AbuseRule, AttemptReport, Attempts } from "./attempts.ts";
import {
  abuseThreshold,
  countReport,
  forgetBefore,
  isAbuse,
  noAttempts,
  forgettableAt as attemptsForgettableAt,
} from "./attempts.ts";
import type { Ban, BanRule } from "./bans.ts";
import { banFor, banForgettableAt } from "./bans.ts";

/** What the owner remembers of one client's behaviour. */
export interface Abuse {
  readonly policies: readonly PolicyAttempts[];
  /** The last ban, in force or over. */
  readonly ban: Ban | undefined;
  /** When the ban's record may go, in ms since the epoch: at its end, or when the ladder begins anew. */
  readonly banKeptUntil: number;
  /** Attempts from before count no more, also under limits not heard of yet. */
  readonly since: number;
}

/** One limit's attempts. */
export interface PolicyAttempts {
  readonly policy: string;
  /** The configuration version that set `rule`. */
  readonly configVersion: number;
  readonly rule: AbuseRule;
  readonly attempts: Attempts;
}

/** Under what rules a report is judged. */
export interface AbuseJudgement {
  readonly policy: string;
  readonly configVersion: number;
  readonly rule: AbuseRule;
  readonly ban: BanRule;
}

/** A client of which nothing is known. */
export const NO_ABUSE: Abuse = { policies: [], ban: undefined, banKeptUntil: 0, since: 0 };

/** The state that takes the place of a record that cannot be read: nobody is banned for what nobody can read. */
export function lostAbuse(now: number): Abuse {
  return { ...NO_ABUSE, since: now };
}

/**
 * Counts a report and bans the client when it shows abuse. Attempts of before or during a ban never count once it is
 * over: a client that went on meanwhile begins with nothing.
 *
 * A report of an older configuration is judged by the newer rule. Windows of another length lie differently in time, so
 * their attempts are never added up: a new length begins with nothing, an older one is ignored.
 */
export function judge(abuse: Abuse, judgement: AbuseJudgement, report: AttemptReport, now: number): Abuse {
  const { policy } = judgement;
  const known = abuse.policies.find((one) => one.policy === policy);
  const { rule, configVersion } =
    known === undefined || judgement.configVersion >= known.configVersion ? judgement : known;
  if (rule.windowMs !== judgement.rule.windowMs) return abuse;
  const before = known?.rule.windowMs === rule.windowMs ? known.attempts : noAttempts(abuse.since, now);
  const attempts = countReport(before, rule, report, now);
  // Limits that were renamed or removed would pile up in the record.
  const others = abuse.policies.filter((one) => one.policy !== policy && policyForgettableAt(one) > now);
  const counted = { ...abuse, policies: [...others, { policy, configVersion, rule, attempts }] };
  // While a ban lasts nothing is counted, so nothing is abuse.
  if (!isAbuse(attempts, rule)) return counted;
  const reason = `${policy}: ${abuseThreshold(rule)} attempts or more within ${rule.windowMs} ms`;
  const ban = banFor(abuse.ban, judgement.ban, reason, now);
  return startBan(counted, ban, banForgettableAt(ban, judgement.ban));
}

/** Puts a ban into force, an operator's or `judge`'s. Its record is kept until `keptUntil` at least. */
export function startBan(abuse: Abuse, ban: Ban, keptUntil: number = ban.until): Abuse {
  const banKeptUntil = Math.max(keptUntil, ban.until, abuse.ban === undefined ? 0 : abuse.banKeptUntil);
  return { policies: forgetAll(abuse.policies, ban.until), ban, banKeptUntil, since: ban.until };
}

/** Ends a ban at once and forgets what led to it, so that the next report does not renew it; the ladder begins anew. */
export function unban(abuse: Abuse, now: number): Abuse {
  return { policies: forgetAll(abuse.policies, now), ban: undefined, banKeptUntil: 0, since: now };
}

/** When the record may be dropped, in ms since the epoch: a client without one is judged alike from then on. */
export function abuseForgettableAt({ policies, ban, banKeptUntil, since }: Abuse): number {
  let at = Math.max(since, ban === undefined ? 0 : banKeptUntil);
  for (const policy of policies) at = Math.max(at, policyForgettableAt(policy));
  return at;
}

function policyForgettableAt({ attempts, rule }: PolicyAttempts): number {
  return attemptsForgettableAt(attempts, rule);
}

function forgetAll(policies: readonly PolicyAttempts[], since: number): readonly PolicyAttempts[] {
  return policies.map((one) => ({ ...one, attempts: forgetBefore(one.attempts, since) }));
}
