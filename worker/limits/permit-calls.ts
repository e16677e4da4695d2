import {
  permitAnswered,
  permitCallFailed,
  releaseAll,
  releaseAt,
  releaseIdle,
} from "../../objects/rate-limiter/permit-borrower.ts";
import type { PermitMessage, PermitMessageReply } from "../../objects/rate-limiter/permit-messages.ts";
import type { Exchange } from "../exchange.ts";
import { learnBan } from "./known-bans.ts";
import { callOwner, ownerOf } from "./owner.ts";
import type { PermitEntry } from "./permit-table.ts";

/** Nobody waits longer for an answer off a request's path: the borrower counts it as lost then. */
const CALL_MS = 1_000;
/** The runtime ends what a request left running after 30 s; then the next request's watch takes over. */
const WATCH_MS = 25_000;
/** A watch looks again at the earliest after so long. */
const LOOK_MS = 20;

/** What a call needs of the request that makes it. */
type Caller = Pick<Exchange, "env" | "ctx">;

/**
 * Sends a question about a client's permits and takes in the answer. Rejects as `callOwner` does; an answer that comes
 * after that changes nothing, and what it granted is given back when it is idle.
 */
export async function askPermits(
  { address, borrower }: PermitEntry,
  message: PermitMessage,
  env: Env,
  deadlineMs: number,
): Promise<void> {
  try {
    const call = (): Promise<PermitMessageReply> => ownerOf(env, address).permits(message);
    const askedAt = Date.now();
    const { items, ban } = await callOwner(address, call, { deadlineMs });
    learnBan(address.client, ban, askedAt);
    const [item] = items;
    if (item?.policy !== borrower.policy) throw new Error(`RateLimiter answered about ${item?.policy ?? "nothing"}`);
    permitAnswered(borrower, item, Date.now());
  } catch (error) {
    permitCallFailed(borrower, message);
    throw error;
  }
}

/** Sends a question that nobody waits for. When it fails, the next one says the same. */
export function tellPermits(entry: PermitEntry, message: PermitMessage, caller: Caller): void {
  caller.ctx.waitUntil(askPermits(entry, message, caller.env, CALL_MS).catch(() => {}));
}

/** Gives back all that is not in flight of an entry that has left the table, off the request's path. */
export function givePermitsBack(entry: PermitEntry, caller: Caller): void {
  const message = releaseAll(entry.borrower, Date.now());
  if (message !== undefined) tellPermits(entry, message, caller);
}

/**
 * Sees to it that permits go back when they are idle for as long as the owner said, so that others need not wait. One
 * request at a time waits for that, whatever the number of requests.
 */
export function watchIdlePermits(entry: PermitEntry, caller: Caller, now: number): void {
  if (entry.isForgotten) return givePermitsBack(entry, caller);
  if (now < entry.watchedUntil || releaseAt(entry.borrower) === undefined) return;
  caller.ctx.waitUntil(releaseWhenIdle(entry, caller.env, now + WATCH_MS));
}

async function releaseWhenIdle(entry: PermitEntry, env: Env, until: number): Promise<void> {
  for (;;) {
    const now = Date.now();
    const dueAt = releaseAt(entry.borrower);
    if (dueAt === undefined || now >= until) break;
    const waitMs = Math.min(until - now, Math.max(LOOK_MS, dueAt - now));
    // Not for all the time at once: whoever watches may be gone without a word.
    entry.watchedUntil = now + waitMs + 2 * CALL_MS;
    const message = releaseIdle(entry.borrower, now);
    if (message === undefined) await scheduler.wait(waitMs);
    else await askPermits(entry, message, env, CALL_MS).catch(() => scheduler.wait(CALL_MS));
  }
  entry.watchedUntil = 0;
}
