import { addresses, type ObjectAddress } from "../../objects/address.ts";
import { failed, giveUp } from "../../objects/rate-limiter/lease.ts";
import type { LeaseMessage, LeaseReply } from "../../objects/rate-limiter/lease-messages.ts";
import type { OwnerNotices } from "../../objects/rate-limiter/messages.ts";
import { noteShards, shardFor } from "../../objects/rate-limiter/shard-choice.ts";
import type { Exchange } from "../exchange.ts";
import { namingSecret } from "./client-address.ts";
import { isolateName, type TableEntry } from "./lease-table.ts";
import { callOwner, ownerOf } from "./owner.ts";

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

async function moveToShard(entry: TableEntry, shard: number, caller: Caller): Promise<void> {
  const { client } = entry.owner;
  const { name } = await addresses(namingSecret(caller.env)).addressShard(client, shard);
  if (entry.shard !== shard) move(entry, shard, { name, client }, caller);
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
