import {
  PERMIT_CALL_MS,
  permitAnswered,
  permitCallFailed,
  releaseAll,
  releaseAt,
  releaseIdle,
} from "../../../objects/rate-limiter/permits/permit-borrower.ts";
import type { PermitMessage, PermitMessageReply } from "../../../objects/rate-limiter/permits/permit-messages.ts";
import type { Exchange } from "../../exchange.ts";
import { within } from "../../within.ts";
import { learnBan } from "../bans/known-bans.ts";
import { noteIsolates } from "../local-buckets.ts";
import { callOwner, ownerOf } from "../owner.ts";
import type { PermitEntry } from "./permit-table.ts";

/** The runtime ends what a request left running after 30 s; then the next request's watch takes over. */
const WATCH_MS = 25_000;
/** A watch looks again at the earliest after so long. */
const LOOK_MS = 20;

/** What a call needs of the request that makes it. */
type Caller = Pick<Exchange, "env" | "ctx">;

/**
 * Sends a question about a client's permits and takes in the answer, also one that comes after its request has given up: a
 * slow owner's permits are as good as any. Rejects as `callOwner` does.
 */
export async function askPermits(
  entry: PermitEntry,
  message: PermitMessage,
  caller: Caller,
  deadlineMs: number,
): Promise<void> {
  const { address, borrower } = entry;
  let call: Promise<void> | undefined;
  function lost(): void {
    permitCallFailed(borrower, message);
    // The owner may have granted all the same.
    watchIdlePermits(entry, caller, Date.now());
  }
  function send(): Promise<void> {
    const askedAt = Date.now();
    call = ownerOf(caller.env, address)
      .permits(message)
      .then((reply) => {
        learnBan(address.client, reply.ban, askedAt);
        noteIsolates(address.client, reply.isolates);
        heard(entry, reply, caller);
      });
    // Others wait for this answer too: it must be taken in though its own client may leave.
    caller.ctx.waitUntil(within(call, PERMIT_CALL_MS, () => new Error("late")).catch(lost));
    return call;
  }
  try {
    await callOwner(address, send, { deadlineMs });
  } catch (error) {
    if (call === undefined) lost();
    throw error;
  }
}

function heard(entry: PermitEntry, { items }: PermitMessageReply, caller: Caller): void {
  const [item] = items;
  const { policy } = entry.borrower;
  if (item?.policy !== policy)
    throw new Error(`RateLimiter answered about ${item?.policy ?? "nothing"}, not ${policy}`);
  const now = Date.now();
  permitAnswered(entry.borrower, item, now);
  watchIdlePermits(entry, caller, now);
}

/** Sends a question that nobody waits for. When it fails, the next one says the same. */
export function tellPermits(entry: PermitEntry, message: PermitMessage, caller: Caller): void {
  caller.ctx.waitUntil(askPermits(entry, message, caller, PERMIT_CALL_MS).catch(() => {}));
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
  if (now < entry.watchedUntil || releaseAt(entry.borrower) === undefined) return;
  caller.ctx.waitUntil(releaseWhenIdle(entry, caller, now + WATCH_MS));
}

async function releaseWhenIdle(entry: PermitEntry, caller: Caller, until: number): Promise<void> {
  for (;;) {
    const now = Date.now();
    const dueAt = releaseAt(entry.borrower);
    if (dueAt === undefined || now >= until) break;
    const waitMs = Math.min(until - now, Math.max(LOOK_MS, dueAt - now));
    // Not for all the time at once: whoever watches may be gone without a word.
    entry.watchedUntil = now + waitMs + 2 * PERMIT_CALL_MS;
    const message = releaseIdle(entry.borrower, now);
    if (message === undefined) await scheduler.wait(waitMs);
    else await askPermits(entry, message, caller, PERMIT_CALL_MS).catch(() => scheduler.wait(PERMIT_CALL_MS));
  }
  entry.watchedUntil = 0;
}
