import type { ObjectAddress } from "../../../objects/address.ts";
import {
  isAsking,
  newPermitBorrower,
  type PermitBorrower,
} from "../../../objects/rate-limiter/permits/permit-borrower.ts";
import { newLease, type PermitLease } from "../../../objects/rate-limiter/permits/permit-lease.ts";
import type { RateLimit } from "../../../schemas/index.ts";
import { labelOf, type Label } from "../headers.ts";

/** One client's operations in flight under one limit, in this isolate. */
export interface PermitEntry {
  readonly address: ObjectAddress;
  readonly borrower: PermitBorrower;
  /** What was started without the owner's word (`onError`): outside the promise, and counted by nobody else. */
  local: PermitLease;
  /** In header values, as the limit was stated last. */
  label: Label;
  labelled: RateLimit;
  /** Somebody waits to give back what is idle, until this time at the latest. */
  watchedUntil: number;
}

/** An entry, and those that had to go for it: what they hold is to be given back. */
export interface FoundPermits {
  readonly entry: PermitEntry;
  readonly gone: readonly PermitEntry[];
}

/** Entries looked at to find one that may go; where all are in use the table grows past its bound, by what is in flight. */
const MAX_LOOKED_AT = 8;

/** In the order of their last use. */
const entries = new Map<string, PermitEntry>();

/**
 * The entry of a client under a limit, made when there is none. One with operations in flight is never dropped: they
 * would be forgotten, and counted for as long as the owner waits for a dead isolate's.
 *
 * @param capacity of the table.
 */
export function findPermits(
  limit: RateLimit,
  address: ObjectAddress,
  { configVersion, capacity }: { readonly configVersion: number; readonly capacity: number },
): FoundPermits {
  const key = `${limit.id}\n${address.client}`;
  const known = entries.get(key);
  const entry = known ?? newEntry(limit, address, configVersion);
  entries.delete(key);
  entries.set(key, entry);
  if (known === undefined) return { entry, gone: makeRoom(capacity, entry) };
  adopt(known, limit, configVersion);
  return { entry, gone: [] };
}

/** How many clients' operations are known here; for tests. */
export function permitEntries(): number {
  return entries.size;
}

function newEntry(limit: RateLimit, address: ObjectAddress, configVersion: number): PermitEntry {
  // 48 random bits: told apart from the 255 others that may be in one row.
  const id = crypto.randomUUID().slice(0, 13);
  const { client } = address;
  const named = { client, policy: limit.id, configVersion, limit: permitsOf(limit) };
  return {
    address,
    borrower: newPermitBorrower(id, named),
    local: { ...newLease(id), startsUntil: Infinity, counted: Infinity },
    label: labelOf(limit, client),
    labelled: limit,
    watchedUntil: 0,
  };
}

/** A request under an older configuration, begun before the newer one came, changes nothing. */
function adopt(entry: PermitEntry, limit: RateLimit, configVersion: number): void {
  const { borrower } = entry;
  if (entry.labelled === limit || configVersion < borrower.configVersion) return;
  entry.labelled = limit;
  entry.label = labelOf(limit, borrower.client);
  borrower.configVersion = configVersion;
  borrower.limit = permitsOf(limit);
}

function permitsOf({ maxConcurrent, requestsPerWindow }: RateLimit): number {
  return maxConcurrent ?? requestsPerWindow;
}

function makeRoom(capacity: number, made: PermitEntry): readonly PermitEntry[] {
  const now = Date.now();
  const gone: PermitEntry[] = [];
  let looked = 0;
  for (const [key, entry] of entries) {
    if (entries.size <= capacity || looked === MAX_LOOKED_AT) break;
    looked += 1;
    entries.delete(key);
    if (entry === made || isInUse(entry, now)) {
      entries.set(key, entry);
      continue;
    }
    gone.push(entry);
  }
  return gone;
}

function isInUse({ borrower, local }: PermitEntry, now: number): boolean {
  return borrower.lease.operations.length + local.operations.length > 0 || isAsking(borrower, now);
}
