import { isInteger } from "../../numbers.ts";
import { parsePacked, unpackList } from "../../packed.ts";
import { MAX_LEASE_MS, MAX_OPERATION_MS } from "./permit-messages.ts";
import { freeAt, type PermitGrant, type Permits } from "./permits.ts";

/** Everything the owner remembers of one client's operations in flight: one row. */
export interface PermitState {
  readonly policies: readonly PolicyPermits[];
  /** When an unreadable record was replaced, in ms since the epoch: under a policy not listed all permits were in use then. */
  readonly lostAt: number | undefined;
}

/** One limit of one client. */
export interface PolicyPermits {
  readonly policy: string;
  /** The configuration version that set `limit`. */
  readonly configVersion: number;
  /** Operations in flight at once. */
  readonly limit: number;
  readonly permits: Permits;
}

/** How long a row stays that has nothing in flight any more, so that an older configuration does not take its place. */
const KEEP_MS = 60_000;
/** The longest that anything started under a lost record may last; more than the guard on top. */
const LOST_MS = MAX_LEASE_MS + MAX_OPERATION_MS + KEEP_MS;

/** A client never seen: everything is free. */
export const NO_PERMITS: PermitState = { policies: [], lostAt: undefined };

/** The state that takes the place of a record that cannot be read. */
export function lostPermitState(now: number): PermitState {
  return { policies: [], lostAt: now };
}

/** When a row says nothing any more that a client without one would not be told too, in ms since the epoch. */
export function permitsForgettableAt({ policies, lostAt }: PermitState): number {
  const from = lostAt === undefined ? 0 : lostAt + LOST_MS;
  return policies.reduce((at, { permits }) => Math.max(at, freeAt(permits) + KEEP_MS), from);
}

/** A client's permits as one short text. */
export function packPermits({ policies, lostAt }: PermitState): string {
  const p = policies.map(({ policy, configVersion, limit, permits: { leases, last } }) => [
    policy,
    configVersion,
    limit,
    last,
    ...leases.map(({ id, permits, seq, startsUntil, reclaimAt }) => [id, permits, seq, startsUntil, reclaimAt]),
  ]);
  return JSON.stringify(lostAt === undefined ? { p } : { p, lost: lostAt });
}

/** What `packPermits` packed, or undefined when the text is not that. Members that it does not know are ignored. */
export function unpackPermits(text: string): PermitState | undefined {
  const packed = parsePacked(text);
  if (typeof packed !== "object" || packed === null || !("p" in packed)) return undefined;
  const policies = unpackList(packed.p, unpackPolicy);
  const lostAt = "lost" in packed ? packed.lost : undefined;
  if (policies === undefined || (lostAt !== undefined && !isInteger(lostAt))) return undefined;
  return { policies, lostAt };
}

function unpackPolicy([policy, configVersion, limit, last, ...rest]: readonly unknown[]): PolicyPermits | undefined {
  const leases = unpackList(rest, unpackLease);
  if (typeof policy !== "string" || !isInteger(configVersion) || !isInteger(limit) || !isInteger(last))
    return undefined;
  if (limit < 1 || leases === undefined) return undefined;
  return { policy, configVersion, limit, permits: { leases, last } };
}

function unpackLease([id, permits, seq, startsUntil, reclaimAt]: readonly unknown[]): PermitGrant | undefined {
  if (typeof id !== "string" || !isInteger(permits) || permits < 1 || !isInteger(seq)) return undefined;
  if (!isInteger(startsUntil) || !isInteger(reclaimAt)) return undefined;
  return { id, permits, seq, startsUntil, reclaimAt };
}
