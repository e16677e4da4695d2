import { addresses, type ObjectAddress } from "../../../objects/address.ts";
import { failed, giveUp } from "../../../objects/rate-limiter/leases/lease.ts";
import type { LeaseMessage, LeaseReply } from "../../../objects/rate-limiter/leases/lease-messages.ts";
import type { OwnerNotices } from "../../../objects/rate-limiter/messages.ts";
import { isRootSilent, noteShards, shardFailed, shardFor } from "../../../objects/rate-limiter/shards/shard-choice.ts";
import type { Exchange } from "../../exchange.ts";
import { namingSecret } from "../client-address.ts";
import { isolateName, type TableEntry } from "./lease-table.ts";
import { callOwner, isLeftAlone, ownerOf } from "../owner.ts";

const RETURN_MS = 1_000;

type Caller = Pick<Exchange, "env" | "ctx">;

/** A message about a client's lease as the object wants to hear it that is asked now: the owner, or a shard of it. */
export function addressed({ terms, owner, shard, choice }: TableEntry, message: LeaseMessage): LeaseMessage {
  if (!terms.evenIfBanned && shard === undefined) return message;
  const shardOf = { root: owner.name, count: choice.count };
  return {
    ...message,
    ...(terms.evenIfBanned && { evenIfBanned: true }),
    ...(shard !== undefined && { shardOf }),
  };
}

/** Returns a lease to whom it is from. A return that is lost costs its tokens until the lease has ended. */
export async function sendBack(entry: TableEntry, message: LeaseMessage, env: Env): Promise<void> {
  const { address } = entry;
  const sent = addressed(entry, message);
  const call = () => ownerOf(env, address).lease(sent);
  await callOwner<LeaseReply>(address, call, { deadlineMs: RETURN_MS }).then(ignore, ignore);
}

/**
 * Turns to the shard of a hot client that a reply tells of, or back to its owner when nobody has told of shards for as
 * long as the last word was good (docs/design/shards.md). Off any request's path; what is held goes back first.
 */
export function followShards(entry: TableEntry, notices: OwnerNotices, caller: Caller): void {
  const now = Date.now();
  noteShards(entry.choice, notices, now);
  const shard = shardFor(entry.choice, isolateName(), now);
  if (shard === entry.shard) return;
  if (shard === undefined) move(entry, undefined, entry.owner, caller);
  else caller.ctx.waitUntil(moveToShard(entry, shard, caller));
}

/**
 * Whom a failed call counts against. A shard that failed is left for the owner at once, since the word of shards may be good
 * for a minute more; not one that only says that its owner is silent, who would be asked by everybody then.
 *
 * @param address that was called.
 */
export function blameFor(entry: TableEntry, address: ObjectAddress, error: unknown, caller: Caller): ObjectAddress {
  if (address === entry.owner) return address;
  if (isRootSilent(error)) return entry.owner;
  if (address === entry.address) leaveShard(entry, caller);
  return address;
}

/** Whether nobody is asked about this client now, because its owner failed. A shard that others saw fail is left for him. */
export function isSilent(entry: TableEntry, caller: Caller, now: number): boolean {
  if (entry.shard !== undefined && isLeftAlone(entry.address, now)) leaveShard(entry, caller);
  return isLeftAlone(entry.owner, now);
}

function leaveShard(entry: TableEntry, caller: Caller): void {
  shardFailed(entry.choice, Date.now());
  move(entry, undefined, entry.owner, caller);
}

async function moveToShard(entry: TableEntry, shard: number, caller: Caller): Promise<void> {
  const { client } = entry.owner;
  const { name } = await addresses(namingSecret(caller.env)).addressShard(client, shard);
  // It may have been called off while the name was made.
  const isStillTold = shardFor(entry.choice, isolateName(), Date.now()) === shard;
  if (isStillTold && entry.shard !== shard) move(entry, shard, { name, client }, caller);
}

function move(entry: TableEntry, shard: number | undefined, address: ObjectAddress, caller: Caller): void {
  const { borrower } = entry;
  const message = giveUp(borrower, Date.now());
  if (message !== undefined) caller.ctx.waitUntil(sendBack(entry, message, caller.env));
  // A lease that is on its way would be of the one before.
  failed(borrower, borrower.awaited, Date.now());
  entry.shard = shard;
  entry.address = address;
}

function ignore(): void {}
