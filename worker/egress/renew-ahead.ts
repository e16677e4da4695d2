import { hearAhead, type Ask } from "../../objects/upstream-quota/quota-borrower.ts";
import type { AcquireReply } from "../../objects/upstream-quota/quota-messages.ts";
import { callQuota } from "./quota-owner.ts";
import { CALL_MS, type Visit } from "./visit.ts";

/** Asks for slots ahead off the request's path, before those that are there are used up. If that fails, a request asks. */
export function renewAhead({ exchange: { env, ctx }, desk, terms, asker }: Visit, ask: Ask): void {
  async function renew(): Promise<void> {
    const who = await asker();
    desk.seq += 1;
    const { seq, isolate } = desk;
    let sentAt = Date.now();
    const reply = await callQuota(
      env,
      terms.quota,
      (owner) => {
        sentAt = Date.now();
        const grant: Promise<AcquireReply> = owner.acquire({ v: 1, isolate, seq, ...who, ...ask, ...terms });
        return grant;
      },
      { deadlineMs: CALL_MS },
    );
    desk.borrower = hearAhead(desk.borrower, reply, { sentAt, receivedAt: Date.now(), spare: ask.spare });
  }
  ctx.waitUntil(renew().catch(() => {}));
}
