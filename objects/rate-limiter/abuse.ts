import type { AbuseRule, AttemptReport, Attempts } from "./attempts.ts";
import { abuseThreshold, countReport, forgetBefore, isAbuse, noAttempts } from "./attempts.ts";
import type { Ban, BanRule } from "./bans.ts";
import { banFor } from "./bans.ts";

/** What the owner remembers of one client's behaviour. */
export interface Abuse {
  readonly policies: readonly PolicyAttempts[];
  /** The last ban, in force or over. */
  readonly ban: Ban | undefined;
  /** Attempts from before count no more, also under limits not heard of yet. */
  readonly since: number;
}

/** One limit's attempts. */
export interface PolicyAttempts {
  readonly policy: string;
  readonly attempts: Attempts;
}

/** Under what rules a report is judged. */
export interface AbuseJudgement {
  readonly policy: string;
  readonly rule: AbuseRule;
  readonly ban: BanRule;
}

/** A client of which nothing is known. */
export const NO_ABUSE: Abuse = { policies: [], ban: undefined, since: 0 };

/**
 * Counts a report and bans the client when it shows abuse. Attempts of before or during a ban never count once it is
 * over: a client that went on meanwhile begins with nothing.
 */
export function judge(abuse: Abuse, judgement: AbuseJudgement, report: AttemptReport, now: number): Abuse {
  const { policy, rule } = judgement;
  const known = abuse.policies.find((one) => one.policy === policy)?.attempts ?? noAttempts(abuse.since, now);
  const attempts = countReport(known, rule, report, now);
  const policies = [...abuse.policies.filter((one) => one.policy !== policy), { policy, attempts }];
  // While a ban lasts nothing is counted, so nothing is abuse.
  if (!isAbuse(attempts, rule)) return { ...abuse, policies };
  const reason = `${policy}: ${abuseThreshold(rule)} attempts or more within ${rule.windowMs} ms`;
  return startBan({ ...abuse, policies }, banFor(abuse.ban, judgement.ban, reason, now));
}

/** Puts a ban into force, an operator's or `judge`'s. */
export function startBan(abuse: Abuse, ban: Ban): Abuse {
  return { policies: forgetAll(abuse.policies, ban.until), ban, since: ban.until };
}

/** Ends a ban at once and forgets what led to it, so that the next report does not renew it; the ladder begins anew. */
export function unban(abuse: Abuse, now: number): Abuse {
  return { policies: forgetAll(abuse.policies, now), ban: undefined, since: now };
}

function forgetAll(policies: readonly PolicyAttempts[], since: number): readonly PolicyAttempts[] {
  return policies.map(({ policy, attempts }) => ({ policy, attempts: forgetBefore(attempts, since) }));
}
