import { hearGrant, type Ask, type HeldSlot } from "../../objects/upstream-quota/quota-borrower.ts";
import type { AcquireReply, RefusalReason } from "../../objects/upstream-quota/quota-messages.ts";
import { stopReason } from "../upstream/fetch.ts";
import { callQuota } from "./quota-owner.ts";
import { CALL_MS, release, type Visit } from "./visit.ts";

/** What came of a question. */
export type Answer =
  | { readonly kind: "start"; readonly slot: HeldSlot }
  | { readonly kind: "refused"; readonly why: RefusalReason; readonly retryAfterMs: number }
  | { readonly kind: "silent" };

/**
 * Asks the owner of a quota for a slot, and waits until it comes or won't. Whoever is stopped meanwhile withdraws, and gives back a
 * grant that crosses that.
 *
 * @throws GatewayError what has stopped the exchange.
 */
export async function askOwner(visit: Visit, ask: Ask): Promise<Answer> {
  const { exchange, desk, terms, asker, deadlineAt } = visit;
  const { env, stop } = exchange;
  const { quota } = terms;
  desk.seq += 1;
  const { seq, isolate } = desk;
  const waiting: { grant?: Promise<AcquireReply> | undefined } = {};
  try {
    // A call that waits for its slot tells late that its owner lives: of all that ask again after a restart one would get through a second.
    if (desk.silentSince !== undefined) await callQuota(env, quota, (owner) => owner.ping(), { deadlineMs: CALL_MS });
    const sentAt = Date.now();
    const deadlineMs = Math.max(CALL_MS, deadlineAt - sentAt);
    const call = callQuota(
      env,
      quota,
      (owner) => {
        const grant: Promise<AcquireReply> = owner.acquire({ v: 1, isolate, seq, ...asker, ...ask, ...terms });
        waiting.grant = grant;
        return grant.finally(() => (waiting.grant = undefined));
      },
      { deadlineMs },
    );
    const reply = await unlessStopped(call, stop?.signal);
    desk.silentSince = undefined;
    if (reply.kind === "refused") return reply;
    const { borrower, slot } = hearGrant(desk.borrower, reply, { sentAt, receivedAt: Date.now() });
    desk.borrower = borrower;
    return slot === undefined ? { kind: "silent" } : { kind: "start", slot };
  } catch (error) {
    if (waiting.grant !== undefined) withdraw(visit, seq, waiting.grant);
    const reason = stopReason(stop?.signal);
    if (reason !== undefined) throw reason;
    if (desk.silentSince === undefined) complain(quota, error);
    desk.silentSince ??= Date.now();
    return { kind: "silent" };
  }
}

function unlessStopped<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const stopped = () => reject(signal.reason);
    signal.addEventListener("abort", stopped, { once: true });
    if (signal.aborted) stopped();
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stopped));
  });
}

function withdraw(visit: Visit, seq: number, grant: Promise<AcquireReply>): void {
  release(visit, { withdrawn: [seq], unused: [] });
  const crossed = grant.then((reply) => {
    if (reply.kind === "granted") release(visit, { withdrawn: [], unused: reply.slots.map(({ id }) => id) });
  });
  visit.exchange.ctx.waitUntil(crossed.catch(() => {}));
}

/** Once for each silence. */
function complain(quota: string, error: unknown): void {
  const line = {
    level: "warn",
    message: "quota not heard of",
    time: new Date().toISOString(),
    quota,
    error: error instanceof Error ? error.message : String(error),
  };
  console.warn(JSON.stringify(line));
}
