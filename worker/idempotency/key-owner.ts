import type {
  ClaimMessage,
  ClaimReply,
  KeptAnswer,
  SettleMessage,
  SettleReply,
} from "../../objects/dedup/idempotency-messages.ts";
import type { AttemptOutcome, IdempotencyPolicy } from "../../objects/dedup/idempotency.ts";
import { ONE_TRY } from "../../objects/one-try.ts";
import { createDependency } from "../dependencies/dependency.ts";
import type { Exchange } from "../exchange.ts";
import { within } from "../within.ts";
import { ownerSilent } from "./refusals.ts";

/** Asks the owner of one key on behalf of one request. */
export interface KeyOwner {
  /**
   * Whether the request may be sent. When nobody says so in time, what may have been claimed all the same is given back.
   *
   * @throws GatewayError `dependency-unavailable`.
   */
  claim(fingerprint: string, policy: IdempotencyPolicy): Promise<ClaimReply>;
  /** Tells what came of it, several times if need be. Rejects when the owner took it in none of them. */
  settle(outcome: AttemptOutcome, answer?: KeptAnswer): Promise<void>;
}

const owners = createDependency({ kind: "Dedup", remembers: 512 });

/** An object that nobody has used before takes a few hundred milliseconds to come to life. */
const CLAIM_MS = 2_000;
const SETTLE_MS = 1_000;
/** Before each try to settle. All together they end within what an attempt's deadline leaves after the route's. */
const SETTLE_WAITS_MS = [0, 100, 500];

/** @param name the owner's, by `addresses().idempotency`. */
export function keyOwner(exchange: Exchange, name: string): KeyOwner {
  const { env, ctx } = exchange;
  const claim = crypto.randomUUID();
  // A stub that has failed stays so.
  const stub = () => env.DEDUP.get(env.DEDUP.idFromName(name), ONE_TRY);

  async function settle(outcome: AttemptOutcome, answer: KeptAnswer | null = null): Promise<void> {
    const message: SettleMessage = { v: 1, claim, outcome, answer };
    let failure: unknown;
    for (const waitMs of SETTLE_WAITS_MS) {
      if (waitMs > 0) await scheduler.wait(waitMs);
      try {
        await within<SettleReply>(stub().settle(message), SETTLE_MS, late);
        return;
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  return {
    settle,
    async claim(fingerprint, policy) {
      const message: ClaimMessage = { v: 1, claim, fingerprint, policy };
      const asked: Promise<ClaimReply>[] = [];
      function ask(): Promise<ClaimReply> {
        const asking: Promise<ClaimReply> = stub().claim(message);
        asked.push(asking);
        return asking;
      }
      try {
        return await owners.call(name, ask, { deadlineMs: CLAIM_MS });
      } catch (error) {
        for (const asking of asked) ctx.waitUntil(giveBack(asking, settle));
        throw ownerSilent(error);
      }
    },
  };
}

/** Nothing was sent, whatever the owner has taken down; it may do so only later, and may never say. */
async function giveBack(asked: Promise<ClaimReply>, settle: KeyOwner["settle"]): Promise<void> {
  await settle("not-sent").catch(() => {});
  const reply = await asked.catch(() => undefined);
  if (reply?.kind === "run") await settle("not-sent").catch(() => {});
}

function late(): Error {
  return new Error(`Dedup took no settlement within ${SETTLE_MS} ms`);
}
