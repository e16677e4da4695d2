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
  const packed = parse(text);
  if (typeof packed !== "object" || packed === null || !("p" in packed)) return undefined;
  const policies = unpackAll(packed.p, unpackPolicy);
  const lostAt = "lost" in packed ? packed.lost : undefined;
  if (policies === undefined || (lostAt !== undefined && !isInteger(lostAt))) return undefined;
  return { policies, lostAt };
}

function unpackPolicy(entry: unknown): PolicyPermits | undefined {
  if (!Array.isArray(entry)) return undefined;
  const list: readonly unknown[] = entry;
  const [policy, configVersion, limit, last] = list;
  const leases = unpackAll(list.slice(4), unpackLease);
  if (typeof policy !== "string" || !isInteger(configVersion) || !isInteger(limit) || !isInteger(last))
    return undefined;
  if (limit < 1 || leases === undefined) return undefined;
  return { policy, configVersion, limit, permits: { leases, last } };
}

function unpackLease(entry: unknown): PermitGrant | undefined {
  if (!Array.isArray(entry)) return undefined;
  const list: readonly unknown[] = entry;
  const [id, permits, seq, startsUntil, reclaimAt] = list;
  if (typeof id !== "string" || !isInteger(permits) || permits < 1 || !isInteger(seq)) return undefined;
  if (!isInteger(startsUntil) || !isInteger(reclaimAt)) return undefined;
  return { id, permits, seq, startsUntil, reclaimAt };
}

function unpackAll<Item>(list: unknown, unpack: (entry: unknown) => Item | undefined): readonly Item[] | undefined {
  if (!Array.isArray(list)) return undefined;
  const items: Item[] = [];
  for (const entry of list) {
    const item = unpack(entry);
    if (item === undefined) return undefined;
    items.push(item);
  }
  return items;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isInteger(value: unknown): value is number {
  return Number.isSafeInteger(value);
}
