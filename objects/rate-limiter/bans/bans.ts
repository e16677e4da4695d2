/** How long clients are banned. */
export interface BanRule {
  /** The first ban's length and those of the next ones, in ms; the last is repeated. One of 24 hours by default. */
  readonly durationsMs: readonly number[];
  /** How long after a ban ends the next one is still the next on the ladder; 24 hours by default. */
  readonly rememberMs: number;
}

/** A client's last ban; over once `until` is reached, and kept after that for the ladder's sake. */
export interface Ban {
  /** Milliseconds since the epoch, by the owner's clock. */
  readonly since: number;
  readonly until: number;
  /** For people: which limit, how much. At most 200 characters. */
  readonly reason: string;
  /** Which of `durationsMs`, from 0. */
  readonly level: number;
}

const DAY_MS = 24 * 3_600_000;
/** An unban is promised to act within 2 s, so no isolate may know a ban by heart for longer. */
const MAX_CACHED_MS = 2_000;
const MAX_REASON_LENGTH = 200;

/** Straight 24 hours. */
export const DEFAULT_BAN_RULE: BanRule = { durationsMs: [DAY_MS], rememberMs: DAY_MS };

/** Whether a client is banned now. */
export function isBanned(ban: Ban | undefined, now: number): boolean {
  return ban !== undefined && now < ban.until;
}

/**
 * Bans a client for abuse: the next duration of the ladder when its last ban ended a short while ago, else the first.
 * A client that is banned already stays banned as it is; attempts during a ban do not extend it.
 */
export function banFor(last: Ban | undefined, rule: BanRule, reason: string, now: number): Ban {
  if (last !== undefined && isBanned(last, now)) return last;
  const highest = rule.durationsMs.length - 1;
  const isNext = last !== undefined && now < last.until + rule.rememberMs;
  const level = isNext ? Math.min(last.level + 1, highest) : 0;
  return makeBan(now, rule.durationsMs[level] ?? DAY_MS, reason, level);
}

/** Bans by an operator's order: from now, for as long as told, whatever ban there was. The ladder stays where it is. */
export function banByOrder(last: Ban | undefined, durationMs: number, reason: string, now: number): Ban {
  return makeBan(now, durationMs, reason, last?.level ?? 0);
}

/** For how long an isolate may refuse by heart, in ms; 0 when the client is not banned. */
export function cacheableMs(ban: Ban | undefined, now: number): number {
  return Math.max(0, Math.min((ban?.until ?? 0) - now, MAX_CACHED_MS));
}

/** When a ban's record may go, in ms since the epoch: with one rung, at its end; else when the ladder begins anew. */
export function banForgettableAt(ban: Ban, rule: BanRule): number {
  return rule.durationsMs.length === 1 ? ban.until : ban.until + rule.rememberMs;
}

function makeBan(since: number, durationMs: number, reason: string, level: number): Ban {
  return { since, until: since + durationMs, reason: reason.slice(0, MAX_REASON_LENGTH), level };
}
