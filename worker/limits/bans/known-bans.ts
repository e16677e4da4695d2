import type { ObjectAddress } from "../../../objects/address.ts";
import type { ReportReply } from "../../../objects/rate-limiter/bans/abuse-messages.ts";
import type { BanNotice } from "../../../objects/rate-limiter/messages.ts";
import type { Exchange } from "../../exchange.ts";
import { clientTable } from "../client-tables.ts";
import { callOwner, ownerOf } from "../owner.ts";

/** What this isolate was last told of one client's ban, in ms by its own clock. */
interface KnownBan {
  readonly reason: string;
  readonly endsAt: number;
  /** When the message left that brought it: an unban can only have come later. */
  readonly askedAt: number;
  /** Somebody asks again, until this time at the latest. */
  askingUntil: number;
}

/** What is known of a client: refused by heart, to be asked first, or nothing. */
export type BanState =
  | { readonly kind: "banned"; readonly ban: BanNotice }
  | { readonly kind: "unsure" }
  | { readonly kind: "free" };

/** An unban is promised to act within 2 s, so nothing told longer ago is believed. */
const BELIEVED_MS = 2_000;
/** While a banned client goes on, its owner is asked again so long after the last answer, off any request's path. */
const ASK_AGAIN_MS = 1_000;
const ASKING_MS = 1_000;
/** How long a request looks for the answer that another one has asked for. */
const MAX_WAIT_MS = 100;
const POLL_MS = 5;

const known = clientTable<KnownBan>();
const FREE: BanState = { kind: "free" };
const UNSURE: BanState = { kind: "unsure" };

/** Whether this isolate knows of any ban at all; without one a request pays nothing for bans. */
export function knowsBans(): boolean {
  return known.size > 0;
}

/**
 * Takes in what an owner's reply said of a client's ban.
 *
 * @param ban undefined: the client is not banned.
 * @param askedAt when the message that it answers was sent, by this isolate's clock; an answer to an older one than the
 *   last changes nothing.
 */
export function learnBan(client: string, ban: BanNotice | undefined, askedAt: number): void {
  if (ban === undefined && known.size === 0) return;
  const before = known.get(client);
  if (before !== undefined && before.askedAt > askedAt) return;
  if (ban === undefined) known.delete(client);
  else known.set(client, { reason: ban.reason, endsAt: askedAt + ban.remainingMs, askedAt, askingUntil: 0 });
}

/**
 * Whether a client is banned, as far as is known here. While it is and keeps coming, the owner is asked again off the
 * requests' path, so that none of them waits and an unban is felt within 2 s.
 */
export function banState(address: ObjectAddress, caller: Pick<Exchange, "env" | "ctx" | "configVersion">): BanState {
  const ban = known.get(address.client);
  if (ban === undefined) return FREE;
  const now = Date.now();
  // A clock that stepped back knows nothing of how long ago that was.
  const ageMs = now < ban.askedAt ? Infinity : now - ban.askedAt;
  if (now >= ban.endsAt) {
    known.delete(address.client);
    return FREE;
  }
  if (ageMs >= BELIEVED_MS) return UNSURE;
  if (ageMs >= ASK_AGAIN_MS && now >= ban.askingUntil) caller.ctx.waitUntil(askForBan(address, caller, ASKING_MS));
  return { kind: "banned", ban: { remainingMs: ban.endsAt - now, reason: ban.reason } };
}

/**
 * Whether a client is banned, asked of its owner where this isolate is not sure: by one request at a time, whose answer
 * the others look for. "unsure": the owner is silent.
 */
export async function confirmBan(
  address: ObjectAddress,
  caller: Pick<Exchange, "env" | "ctx" | "configVersion">,
  deadlineMs: number,
): Promise<BanState> {
  const startedAt = Date.now();
  for (;;) {
    const state = banState(address, caller);
    if (state.kind !== "unsure") return state;
    const now = Date.now();
    const isAsked = now < (known.get(address.client)?.askingUntil ?? 0);
    // Its promise is another request's, which would take this one along if it ended.
    if (!isAsked || now - startedAt >= MAX_WAIT_MS) break;
    await scheduler.wait(POLL_MS);
  }
  await askForBan(address, caller, deadlineMs);
  return banState(address, caller);
}

/** Asks a client's owner whether it is banned, and remembers that. Silence changes nothing. */
async function askForBan(
  address: ObjectAddress,
  { env, configVersion }: Pick<Exchange, "env" | "configVersion">,
  deadlineMs: number,
): Promise<void> {
  const { client } = address;
  const askedAt = Date.now();
  const asked = known.get(client);
  if (asked !== undefined) asked.askingUntil = askedAt + deadlineMs;
  const call = (): Promise<ReportReply> => ownerOf(env, address).report({ v: 1, configVersion, client, items: [] });
  try {
    const { ban } = await callOwner(address, call, { deadlineMs });
    learnBan(client, ban, askedAt);
  } catch {
    if (asked !== undefined) asked.askingUntil = 0;
  }
}
