import type { HeldSlot } from "../../objects/upstream-quota/held-slots.ts";
import { hearGrant, hearTrip, toleranceMs, type Ask } from "../../objects/upstream-quota/quota-borrower.ts";
import type { AcquireReply, RefusalReason } from "../../objects/upstream-quota/quota-messages.ts";
import type { UpstreamQuota } from "../../objects/upstream-quota/upstream-quota.ts";
import { unlessStopped } from "../unless-stopped.ts";
import { stopReason } from "../upstream/fetch.ts";
import { callQuota } from "./quota-owner.ts";
import { CALL_MS, release, type Visit } from "./visit.ts";

/** An object that is used for the first time may take long. */
const MEET_MS = 2_000;

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
  let sentAt = Date.now();
  try {
    const who = await asker();
    if (desk.silentSince !== undefined || desk.borrower.trips.length === 0) await meetOwner(visit);
    const leftMs = Math.max(0, Math.floor(deadlineAt - Date.now()));
    const deadlineMs = Math.max(CALL_MS, leftMs);
    const call = callQuota(
      env,
      quota,
      (owner) => {
        const how = { ...ask, waitMs: Math.min(ask.waitMs, leftMs), toleranceMs: toleranceMs(desk.borrower) };
        // As late as possible: a slot has to be longer than what passes from here until the owner hears of it.
        sentAt = Date.now();
        const grant: Promise<AcquireReply> = owner.acquire({ v: 1, isolate, seq, ...who, ...how, ...terms });
        waiting.grant = grant;
        return grant.finally(() => (waiting.grant = undefined));
      },
      { deadlineMs },
    );
    const reply = await unlessStopped(call, stop?.signal);
    desk.silentSince = undefined;
    if (reply.kind === "refused") return reply;
    const { borrower, slot } = hearGrant(desk.borrower, reply, { sentAt, receivedAt: Date.now(), spare: ask.spare });
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

/**
 * A call that waits for its slot tells late that its owner lives: of all that ask again after a restart one would get through a
 * second. And how long slots have to be it tells too late: an object that has to be made first, or a busy isolate, takes longer than
 * anybody would guess, so that of all who ask at once each would miss its first.
 */
async function meetOwner({ exchange: { env }, desk, terms: { quota } }: Visit): Promise<void> {
  let sentAt = Date.now();
  const ping = async (owner: DurableObjectStub<UpstreamQuota>): Promise<void> => {
    sentAt = Date.now();
    await owner.ping();
  };
  await callQuota(env, quota, ping, { deadlineMs: MEET_MS });
  desk.borrower = hearTrip(desk.borrower, Date.now() - sentAt);
}

function withdraw(visit: Visit, seq: number, grant: Promise<AcquireReply>): void {
  release(visit, { withdrawn: [seq], unused: [] });
  const crossed = grant.then((reply) => {
    if (reply.kind === "granted") release(visit, { withdrawn: [], unused: reply.slots });
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
