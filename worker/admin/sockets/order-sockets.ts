import {
  MAX_DRAINED,
  type OrderMessage,
  type SessionSummary,
} from "../../../objects/socket-registry/registry-messages.ts";
import type { RelayStub } from "../../../objects/web-socket-relay/relay-stub.ts";
import type { ControlReply } from "../../../objects/web-socket-relay/session-control.ts";
import { quote } from "../../../schemas/document/describe-value.ts";
import { GatewayError } from "../../errors.ts";
import { readBytes } from "../body.ts";
import type { AdminContext } from "../index.ts";
import { json } from "../json.ts";
import { closeOf, invalid, orderFilterOf, timeOf } from "./asked-sockets.ts";
import { audited, sizeOfMessage, type SocketOrder } from "./audited.ts";
import { askShards, findSession, noSession, orderShards } from "./registry-owners.ts";

/** What a client sends is bounded alike. */
const MAX_MESSAGE_BYTES = 1_048_576;
/** Policy violation: a client that comes back by itself after any other would be back at once. */
const KICKED = 1008;
const COME_BACK = 1012;

/** DELETE /admin/sockets/{id}?code=&reason=: closes one session, both sides. */
export async function closeSocket(id: string, { env, query }: AdminContext): Promise<Response> {
  const close = closeOf(query, KICKED);
  const order = { sessions: [{ id, afterMs: 0 }], ...close };
  const reply = await orderOne(env, { order: "close", session: id, ...close }, (relay) => relay.closeSessions(order));
  return answerOf(id, reply, { id, closed: close });
}

/** POST /admin/sockets/{id}/send: sends its client the body as one message, text/* and JSON as text, application/octet-stream as binary. */
export async function sendToSocket(id: string, { env, request }: AdminContext): Promise<Response> {
  const message = await messageOf(request);
  const order = { order: "send", session: id, ...sizeOfMessage(message) } as const;
  const reply = await orderOne(env, order, (relay) => relay.sendToSessions([id], message));
  return answerOf(id, reply, { id, sent: true });
}

/** POST /admin/sockets/broadcast?route=..: sends the body to the clients of all sessions that match. */
export async function broadcast({ env, query, request }: AdminContext): Promise<Response> {
  const filter = orderFilterOf(query);
  const message = await messageOf(request);
  const told = { order: "broadcast", filter, ...sizeOfMessage(message) } as const;
  return orderAll(env, told, { v: 1, filter, order: { kind: "send", message } });
}

/** POST /admin/sockets/close?route=..&code=&reason=&spread=: closes all sessions that match, evenly over a time if one is given. */
export async function closeSockets({ env, query }: AdminContext): Promise<Response> {
  const close = { ...closeOf(query, KICKED), spreadMs: timeOf("spread", query, "0") };
  const filter = orderFilterOf(query);
  return orderAll(env, { order: "close", filter, ...close }, { v: 1, filter, order: { kind: "close", ...close } });
}

/**
 * POST /admin/sockets/drain?route=..&spread=30s&refuseNew=10m&reason=: asks the clients of all sessions that match to come back, with
 * 1012, one after the other over that time. With `refuseNew` the route takes no new sessions for so long; 0 ends that, and
 * asks nobody to leave.
 */
export async function drainSockets({ env, query, active }: AdminContext): Promise<Response> {
  if (query.has("code")) throw invalid("code: a drain closes with 1012; POST /admin/sockets/close takes a code");
  const filter = orderFilterOf(query);
  const isRefusing = query.has("refuseNew");
  if (isRefusing && (filter.route === null || Object.values(filter).filter(Boolean).length > 1))
    throw invalid("refuseNew: wanted with route, and without any other filter: it is the route that takes no new ones");
  const refusing = isRefusing ? { refuseNewMs: timeOf("refuseNew", query, "0") } : {};
  const { refuseNewMs = 0 } = refusing;
  // A slip would else be an order that holds, and does nothing.
  if (refuseNewMs > 0 && !active.config.routes.some(({ id }) => id === filter.route))
    throw invalid(`route: got ${quote(filter.route ?? "")}, wanted the id of a route of the configuration`);
  const close = { ...closeOf(query, COME_BACK), spreadMs: timeOf("spread", query, "30s"), ...refusing };
  return orderAll(env, { order: "drain", filter, ...close }, { v: 1, filter, order: { kind: "close", ...close } });
}

async function orderOne(
  env: Env,
  told: SocketOrder & { readonly session: string },
  order: (relay: RelayStub) => Promise<readonly ControlReply[]>,
): Promise<ControlReply | undefined> {
  const carryOut = async () => {
    const { ask } = await findSession(env, told.session);
    return (await ask(order))[0];
  };
  return audited(told, carryOut, (result) => ({ result }));
}

async function orderAll(env: Env, told: SocketOrder, message: OrderMessage): Promise<Response> {
  const carryOut = async () => {
    await insistOnRoom(env, message);
    const replies = await orderShards(env, message);
    const totals = { matched: 0, done: 0, gone: 0, unsupported: 0, full: 0, failed: 0 };
    for (const reply of replies) {
      for (const field of FIELDS) totals[field] += reply[field];
    }
    return totals;
  };
  return json(await audited(told, carryOut, (totals) => totals));
}

/** Before any shard is told: an order that only some of them have would be worse than none. */
async function insistOnRoom(env: Env, { filter: { route }, order }: OrderMessage): Promise<void> {
  if (order.kind !== "close" || (order.refuseNewMs ?? 0) === 0 || route === null) return;
  const parts = await askShards<SessionSummary>(env, (shard) => shard.summary());
  const { size } = new Set([route, ...parts.flatMap(({ drained }) => [...(drained?.keys() ?? [])])]);
  if (size <= MAX_DRAINED || parts.some(({ drained }) => drained?.has(route))) return;
  throw invalid(
    `refuseNew: got it for one route more than the ${size - 1} that take no new sessions already, wanted ${MAX_DRAINED} at most: take one back with refuseNew=0, or wait until one is over`,
  );
}

const FIELDS = ["matched", "done", "gone", "unsupported", "full", "failed"] as const;

function answerOf(id: string, reply: ControlReply | undefined, done: object): Response {
  if (reply === "done") return json(done);
  if (reply === "unsupported")
    throw invalid(
      "mode: got a splice, wanted any other mode of its route: nothing can be put between the bytes of a splice",
    );
  if (reply !== "full") throw noSession(id);
  throw new GatewayError("overloaded", { detail: "The client takes its messages too slowly for one more." });
}

async function messageOf(request: Request): Promise<string | ArrayBuffer> {
  const type = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase() ?? "";
  const isText = type.startsWith("text/") || type === "application/json";
  if (!isText && type !== "application/octet-stream") {
    throw invalid(
      `content-type: got ${type.slice(0, 80) || "none"}, wanted text/*, application/json or application/octet-stream`,
    );
  }
  const bytes = await readBytes(request, MAX_MESSAGE_BYTES);
  if (!isText) return bytes;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw invalid("the body: got bytes that are not UTF-8, which no text message may have");
  }
}
