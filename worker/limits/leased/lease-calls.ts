import { answer, close, closeAt, failed, giveUp } from "../../../objects/rate-limiter/leases/lease.ts";
import type { LeaseMessage, LeaseReply } from "../../../objects/rate-limiter/leases/lease-messages.ts";
import type { Exchange } from "../../exchange.ts";
import { within } from "../../within.ts";
import type { TableEntry } from "./lease-table.ts";
import { addressed, blameFor, followShards, sendBack } from "./lease-place.ts";
import { learnBan } from "../bans/known-bans.ts";
import { noteIsolates } from "../local-buckets.ts";
import { callOwner, ownerOf } from "../owner.ts";
import { passShield } from "../shield.ts";

/** Nobody waits longer for a reply to come after its request has given up: the lease counts it as lost then. */
const CALL_MS = 1_000;
/** The runtime ends what a request left running after 30 s; then the next request's watch takes over. */
const WATCH_MS = 25_000;
/** A watch looks again at the earliest after so long. */
const LOOK_MS = 20;

/** A call that failed may have been to a shard that nobody has told of for long. */
const NOTHING_SAID = {};

/** What a call needs of the request that makes it. */
type Caller = Pick<Exchange, "env" | "ctx" | "client">;

/**
 * Sends a message about a client's lease and takes in the reply, also one that comes after its request has given up or its
 * client has gone: the lease that it brings is as good as any. Rejects as `callOwner` does, and with what the shield refuses
 * by.
 *
 * @param countsLate whether silence until the deadline counts against the owner; default always.
 */
export async function callAbout(
  entry: TableEntry,
  message: LeaseMessage,
  caller: Caller,
  { deadlineMs, countsLate }: { readonly deadlineMs: number; readonly countsLate?: () => boolean },
): Promise<LeaseReply> {
  const { address } = entry;
  const sent = addressed(entry, message);
  const lost = () => failed(entry.borrower, message.seq, Date.now());
  const askedAt = Date.now();
  let isSent = false;
  function call(): Promise<LeaseReply> {
    isSent = true;
    const reply: Promise<LeaseReply> = ownerOf(caller.env, address).lease(sent);
    const taken = reply.then((said) => heard(entry, message, said, { caller, askedAt }));
    caller.ctx.waitUntil(within(taken, CALL_MS, () => new Error("lost")).then(ignore, lost));
    return taken;
  }
  try {
    const shield = passShield(caller.env, address.client, caller.client.network);
    if (shield !== undefined) await shield;
    const blame = (error: unknown) => blameFor(entry, address, error, caller).name;
    return await callOwner(address, call, { deadlineMs, blame, ...(countsLate && { countsLate }) });
  } catch (error) {
    if (!isSent) lost();
    followShards(entry, NOTHING_SAID, caller);
    throw error;
  }
}

/** Asks for more, off the request's path. */
export function renewLease(entry: TableEntry, renewal: LeaseMessage, caller: Caller): void {
  // When it fails, what is left is spent and the next request asks.
  caller.ctx.waitUntil(callAbout(entry, renewal, caller, { deadlineMs: CALL_MS }).then(ignore, ignore));
}

/** Returns the lease of an entry that has left the table, off the request's path. */
export function returnLease(entry: TableEntry, caller: Caller): void {
  const message = giveUp(entry.borrower, Date.now());
  if (message !== undefined) caller.ctx.waitUntil(sendBack(entry, message, caller.env));
}

/**
 * Sees to it that the lease goes back when it is idle for as long as its owner said. One request at a time waits for
 * that, whatever the number of requests.
 */
export function watchIdle(entry: TableEntry, caller: Caller, now: number): void {
  if (now < entry.watchedUntil || closeAt(entry.borrower) === undefined) return;
  entry.watchedUntil = now + WATCH_MS;
  caller.ctx.waitUntil(returnWhenIdle(entry, caller.env, entry.watchedUntil));
}

async function returnWhenIdle(entry: TableEntry, env: Env, until: number): Promise<void> {
  for (;;) {
    const now = Date.now();
    const dueAt = closeAt(entry.borrower);
    if (dueAt === undefined || now >= until) break;
    const message = close(entry.borrower, now);
    if (message !== undefined) {
      await sendBack(entry, message, env);
      break;
    }
    await scheduler.wait(Math.min(until - now, Math.max(LOOK_MS, dueAt - now)));
  }
  entry.watchedUntil = 0;
}

function heard(
  entry: TableEntry,
  message: LeaseMessage,
  reply: LeaseReply,
  { caller, askedAt }: { readonly caller: Caller; readonly askedAt: number },
): LeaseReply {
  answer(entry.borrower, message.seq, reply, Date.now());
  noteIsolates(entry.address.client, reply.isolates);
  learnBan(entry.address.client, reply.ban, askedAt);
  followShards(entry, reply, caller);
  // What is held for a request goes back by that: returned before it has looked, it would be asked for again and again.
  if (entry.isForgotten && message.hold !== true) returnLease(entry, caller);
  // The last request may be over: what is renewed behind it would lie until the lease ends, and be lost.
  if (!entry.isForgotten) watchIdle(entry, caller, Date.now());
  return reply;
}

function ignore(): void {}
