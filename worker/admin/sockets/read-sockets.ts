import { inOrder } from "../../../objects/socket-registry/registry.ts";
import {
  MAX_PAGE,
  type SessionCursor,
  type SessionPage,
  type SessionSummary,
} from "../../../objects/socket-registry/registry-messages.ts";
import { addCounts, type SocketCounts } from "../../../objects/socket-registry/socket-counts.ts";
import type { SessionDescription } from "../../../objects/web-socket-relay/session-control.ts";
import { quote } from "../../../schemas/document/describe-value.ts";
import type { AdminContext } from "../index.ts";
import { json } from "../json.ts";
import { countOf, filterOf, invalid, oneOf } from "./asked-sockets.ts";
import { askShards, findSession, noSession } from "./registry-owners.ts";

/** As `next` is written: when the session was opened, and its id. */
const CURSOR = /^(\d{1,15})\.([A-Za-z0-9_-]{1,64})$/;

/**
 * GET /admin/sockets?route=&principal=&address=&state=&mode=&limit=&cursor=: live WebSocket sessions, the newest first, with
 * counters of the last ten seconds or so. What crashed is gone from it within a minute. `unlisted`: how many more there are,
 * since the registry has room for 80,000. With `summary=true`: what is open, and what was counted, by route; and which take no new ones.
 */
export async function listSockets({ env, query }: AdminContext): Promise<Response> {
  if (oneOf("summary", ["true"], query) !== null) {
    if (query.size > 1)
      throw invalid("summary: got it beside other parameters, wanted it alone: it tells of every route");
    return summarize(env);
  }
  const limit = countOf("limit", query, { least: 1, most: MAX_PAGE, otherwise: 100 });
  const asked = { v: 1, filter: filterOf(query), limit, after: cursorOf(query.get("cursor")) } as const;
  const pages = await askShards<SessionPage>(env, (shard) => shard.list(asked));
  const found = pages.flatMap(({ sessions }) => sessions).sort(inOrder);
  const shown = found.slice(0, limit);
  const last = shown.at(-1);
  return json({
    sessions: shown.map(({ object: _object, ...session }) => session),
    next: found.length > limit && last !== undefined ? `${last.openedAt}.${last.id}` : null,
    matched: sum(pages, "matched"),
    unlisted: sum(pages, "unlisted"),
  });
}

async function summarize(env: Env): Promise<Response> {
  const parts = await askShards<SessionSummary>(env, (shard) => shard.summary());
  const all: SocketCounts = new Map();
  const draining = new Map<string, object>();
  for (const { counts, drained } of parts) {
    addCounts(all, counts);
    for (const [route, order] of drained ?? []) draining.set(route, order);
  }
  const routes = [...all].map(([route, names]) => [route, Object.fromEntries([...names].map(inSeconds))] as const);
  return json({
    since: Math.max(...parts.map(({ since }) => since)),
    routes: Object.fromEntries(routes),
    draining: Object.fromEntries(draining),
  });
}

/** Whole until here, as sums of fractions have noise. */
function inSeconds([name, many]: readonly [string, number]): readonly [string, number] {
  return name === "sessionMs" ? ["sessionSeconds", many / 1_000] : [name, many];
}

/** GET /admin/sockets/{id}: one session as its relay knows it now. */
export async function readSocket(id: string, { env }: AdminContext): Promise<Response> {
  const { ask } = await findSession(env, id);
  const session = await ask<SessionDescription | null>((relay) => relay.describeSession(id));
  if (session === null) throw noSession(id);
  return json(session);
}

function sum(pages: readonly SessionPage[], field: "matched" | "unlisted"): number {
  return pages.reduce((total, page) => total + page[field], 0);
}

function cursorOf(text: string | null): SessionCursor | null {
  if (text === null) return null;
  const [, openedAt, id] = CURSOR.exec(text) ?? [];
  if (openedAt !== undefined && id !== undefined) return { openedAt: Number(openedAt), id };
  throw invalid(`cursor: got ${quote(text)}, wanted the next of the page before`);
}
