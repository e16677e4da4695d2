import { env } from "cloudflare:workers";
import { beforeAll, expect, it } from "vitest";
import { OPENING, REFUSAL, toField, type Opening } from "../../objects/web-socket-relay/opening.ts";
import { activeConfig } from "../../worker/config/active.ts";

beforeAll(async () => {
  const config = {
    allowPrivateTargets: true,
    routes: [{ id: "chat", prefix: "/", target: "http://127.0.0.1:9", webSocket: true }],
  };
  const given = { ...env, SLUICE_CONFIG: JSON.stringify(config), SLUICE_CONFIG_VERSION: "1" };
  await activeConfig(given, { waitUntil: () => {} });
});

const LIMITS = {
  maxMessage: 1_000,
  messagesPerSecond: null,
  messageBurst: 0,
  bytesPerSecond: null,
  byteBurst: 0,
  maxBuffered: 0,
};

it("says that it is the gateway that refuses a session whose route has just vanished", async () => {
  const opening: Opening = {
    v: 1,
    mode: "splice",
    session: "one",
    route: "gone",
    configVersion: 1,
    requestId: "r",
    client: { address: "192.0.2.1", forwardedFor: "192.0.2.1" },
    principal: null,
    validUntil: null,
    handshakeMs: 1_000,
    idleMs: 1_000,
    maxLifetimeMs: 1_000,
    closeMs: 1_000,
    fromClient: LIMITS,
    fromUpstream: LIMITS,
    places: [],
  };
  const headers = { upgrade: "websocket", [OPENING]: toField(opening) };
  const relay = env.WEB_SOCKET_RELAY.get(env.WEB_SOCKET_RELAY.newUniqueId());
  const answer = await relay.fetch("http://gateway.test/gone", { headers });
  await answer.text();
  expect(JSON.parse(answer.headers.get(REFUSAL) ?? "null")).toEqual({
    code: "route-not-found",
    detail: "Route gone is not in configuration 1.",
    retryAfter: null,
  });
});
