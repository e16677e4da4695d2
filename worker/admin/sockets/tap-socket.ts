import type { TapReply } from "../../../objects/web-socket-relay/session-control.ts";
import { GatewayError } from "../../errors.ts";
import type { AdminContext } from "../index.ts";
import { countOf, invalid, oneOf } from "./asked-sockets.ts";
import { audited } from "./audited.ts";
import { findSession, noSession } from "./registry-owners.ts";

const REDACTED =
  "authorization,cookie,password,passwd,passcode,secret,client_secret,token,access_token,refresh_token,id_token,api_key,apikey";
const DIRECTIONS = ["in", "out", "both"] as const;

/**
 * GET /admin/sockets/{id}/tap?direction=both&sample=1&bytes=4096&redact=: what passes, as server-sent events, for ten minutes at
 * most. `redact` names members of JSON messages whose values are hidden, by default those that usually hold secrets.
 */
export async function tapSocket(id: string, { env, query, active }: AdminContext): Promise<Response> {
  if (!active.config.admin.tap) {
    throw new GatewayError("forbidden", { detail: "The configuration lets nobody see messages (admin.tap is false)." });
  }
  const options = {
    direction: oneOf("direction", DIRECTIONS, query) ?? "both",
    sample: countOf("sample", query, { least: 1, most: 1_000_000, otherwise: 1 }),
    maxBytes: countOf("bytes", query, { least: 0, most: 65_536, otherwise: 4_096 }),
    redact: (query.get("redact") ?? REDACTED).split(",").filter(Boolean).slice(0, 100),
  };
  const carryOut = async () => {
    const { ask } = await findSession(env, id);
    return ask<TapReply>((relay) => relay.tapSession(id, options));
  };
  const reply = await audited({ order: "tap", session: id, ...options }, carryOut, ({ kind }) => ({ result: kind }));
  switch (reply.kind) {
    case "tapped":
      return new Response(reply.events, {
        headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
      });
    case "gone":
      throw noSession(id);
    case "unsupported":
      throw invalid("mode: got a splice, wanted any other mode of its route: nobody sees the messages of a splice");
    case "busy":
      throw new GatewayError("too-many-connections", {
        detail: "Somebody taps this session already; it is noticed within 20 s when they have left.",
        headers: { "retry-after": "20" },
      });
  }
}
