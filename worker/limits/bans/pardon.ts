import type { RateLimit } from "../../../schemas/index.ts";

/** What an exchange says of who is behind it. */
interface Identified {
  readonly principal: string;
  readonly verified?: boolean;
}

/** Stands for every principal that somebody has verified. */
const EVERYBODY = "*";

/** The same text for limits that tell clients apart in the same way, and so have one owner for each of them. */
export function sameIdentity({ by, clients }: RateLimit): string {
  return JSON.stringify([by, clients]);
}

/** Whether some principals are stopped by no ban under these limits. */
export function pardonsAnyone(limits: readonly RateLimit[]): boolean {
  return limits.some(({ ban }) => ban !== undefined && ban.exemptPrincipals.length > 0);
}

/**
 * Compiles whether bans under limits of one identity concern a request: not when its principal is listed, and verified.
 * The name alone would be anybody's claim.
 */
export function isPardonedBy(limits: readonly RateLimit[]): (exchange: Identified) => boolean {
  const names = new Set(limits.flatMap(({ ban }) => ban?.exemptPrincipals ?? []));
  if (names.size === 0) return () => false;
  return ({ verified, principal }) => verified === true && (names.has(principal) || names.has(EVERYBODY));
}
