import { addresses } from "../../objects/address.ts";
import type { BanCursor, BanList } from "../../objects/rate-limiter/bans/ban-index-messages.ts";
import { GatewayError } from "../errors.ts";
import { namingSecret } from "../limits/client-address.ts";
import { askOwner } from "./client-owner.ts";
import type { AdminContext } from "./index.ts";
import { json } from "./json.ts";

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;
/** As `next` is written: when the ban began, and the client's handle. */
const CURSOR = /^(\d{1,15})\.([A-Za-z0-9]{1,64})$/;

/**
 * GET /admin/bans?filter=&limit=&cursor=: the bans in force, the newest first. `filter` is a client's id or a part of the
 * reason. The index of bans hears of each from its owner, as a rule at once: what counts is `GET /admin/clients/{id}`.
 */
export async function listBans({ env, query }: AdminContext): Promise<Response> {
  const limit = limitOf(query.get("limit"));
  const after = cursorOf(query.get("cursor"));
  const address = { ...(await addresses(namingSecret(env)).banIndex()), client: "" };
  const asked = { v: 1, limit, after, filter: query.get("filter") } as const;
  const list: BanList = await askOwner(env, address, (owner) => owner.listBans(asked));
  const next = list.next === null ? null : `${list.next.since}.${list.next.client}`;
  return json({ bans: list.bans, next, listed: list.listed, more: list.more });
}

function limitOf(text: string | null): number {
  if (text === null) return DEFAULT_LIMIT;
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw new GatewayError("invalid-request", {
    detail: `limit: got ${JSON.stringify(text)}, wanted a whole number from 1 to ${MAX_LIMIT}.`,
  });
}

function cursorOf(text: string | null): BanCursor | null {
  if (text === null) return null;
  const [, since, client] = CURSOR.exec(text) ?? [];
  if (since !== undefined && client !== undefined) return { since: Number(since), client };
  throw new GatewayError("invalid-request", {
    detail: `cursor: got ${JSON.stringify(text)}, wanted the next of the page before.`,
  });
}
