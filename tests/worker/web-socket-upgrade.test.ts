import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import type { Exchange } from "../../worker/exchange.ts";
import { GatewayError } from "../../worker/errors.ts";
import { readFields } from "../../worker/request-fields.ts";
import { askHeld, asksStatus, type HeldAsk } from "../../worker/web-socket/ask-held.ts";
import { checkHandshake, isUpgrade, upgradeRequired } from "../../worker/web-socket/upgrade.ts";
import { exchangeFor } from "./exchange.ts";

const HANDSHAKE = { upgrade: "websocket", "sec-websocket-version": "13" };
const SESSION = "0123456789abcdefghijkl";

/** A request on a route. Fields that no `Request` may have can be read all the same. */
function exchange(route: object, headers: Record<string, string>, url = "https://chat.test/"): Exchange {
  const made = exchangeFor({ prefix: "/", ...route }, env);
  const { host, pathname: path, search } = new URL(url);
  const canonical = { ...made.canonical, host, path, query: search };
  return { ...made, canonical, request: new Request(url, { headers }), fields: readFields(new Headers(headers)) };
}

/** Why a handshake with these fields is refused: code and detail; undefined: it is not. */
function refusal(route: object, headers: Record<string, string>, url?: string): unknown {
  const asked = exchange(route, { ...HANDSHAKE, ...headers }, url);
  const { webSocket } = asked.route.route;
  if (webSocket === undefined) throw new Error("the route has WebSockets");
  try {
    checkHandshake(asked, webSocket);
    return undefined;
  } catch (error) {
    return error instanceof GatewayError ? [error.code, error.message] : error;
  }
}

it.each([
  ["GET", "websocket", true],
  ["GET", "WebSocket", true],
  ["GET", "h2c", false],
  ["POST", "websocket", false],
])("%s with upgrade: %s asks for a WebSocket: %s", (method, upgrade, asks) => {
  const { request, fields } = exchange({ webSocket: true }, { upgrade });
  expect(isUpgrade({ request: new Request(request, { method }), fields })).toBe(asks);
});

it("whoever is to ask for a WebSocket is told how", () => {
  const { code, headers } = upgradeRequired("");
  expect([code, headers]).toEqual(["upgrade-required", { upgrade: "websocket", "sec-websocket-version": "13" }]);
});

describe("a handshake", () => {
  it.each<[Record<string, string>, unknown]>([
    [{}, undefined],
    [{ "sec-websocket-version": "8" }, ["upgrade-required", "The WebSocket version is 8; 13 is spoken here."]],
    [{ "content-length": "0" }, undefined],
    [{ "content-length": "1" }, ["invalid-request", "A WebSocket handshake has no body."]],
    [{ "transfer-encoding": "chunked" }, ["invalid-request", "A WebSocket handshake has no body."]],
  ])("with %j: %j", (headers, refused) => {
    expect(refusal({ webSocket: true }, headers)).toEqual(refused);
  });

  it("that says no version is told so", () => {
    const { fields: _fields, ...asked } = exchange({ webSocket: true }, {});
    const { webSocket } = asked.route.route;
    expect(() => webSocket && checkHandshake({ ...asked, fields: readFields(new Headers()) }, webSocket)).toThrow(
      "The WebSocket version is not said; 13 is spoken here.",
    );
  });

  it("has 8 KiB of path and query at most where no other limit of sizes looks at it", () => {
    const long = (bytes: number) => `https://chat.test/${"p".repeat(4_000)}?${"q".repeat(bytes - 4_002)}`;
    const unlimited = { webSocket: true, sizeLimits: false };
    expect([
      refusal(unlimited, {}, long(8_192)),
      refusal(unlimited, {}, long(8_193)),
      refusal({ webSocket: true }, {}, long(8_193)),
    ]).toEqual([undefined, ["uri-too-long", "The URL is 8193 bytes; at most 8192 are taken."], undefined]);
  });
});

describe("the origin of a handshake", () => {
  const WILD = "https://*.example.com";
  it.each<[string, string, boolean]>([
    ["*", "https://anybody.test", true],
    ["*", "null", true],
    ["same-host", "https://chat.test", true],
    ["same-host", "HTTP://CHAT.test", true],
    ["same-host", "https://chat.test:8443", false],
    ["same-host", "https://evil.test", false],
    ["same-host", "null", false],
    ["https://app.example.com", "https://App.example.com", true],
    ["https://app.example.com", "http://app.example.com", false],
    ["https://app.example.com", "https://app.example.com.evil.test", false],
    [WILD, "https://app.example.com", true],
    [WILD, "https://a.b.example.com", true],
    [WILD, "https://example.com", false],
    [WILD, "https://evilexample.com", false],
    [WILD, "http://app.example.com", false],
    [WILD, "https://app.example.com.evil.test", false],
    [WILD, "https://app.example.com:8443", false],
  ])("where %s is let in: %s, %s", (allowed, origin, passes) => {
    // One of several is enough.
    const webSocket = { origins: ["https://other.test", allowed] };
    const refused = ["origin-not-allowed", "No page of this origin may open a WebSocket here."];
    expect(refusal({ webSocket }, { origin })).toEqual(passes ? undefined : refused);
  });

  it("has to be said where the route says so", () => {
    expect(refusal({ webSocket: { requireOrigin: true } }, {})).toEqual([
      "origin-not-allowed",
      "The handshake has no Origin, which this route requires.",
    ]);
    expect(refusal({ webSocket: { requireOrigin: true, origins: ["*"] } }, { origin: "null" })).toBeUndefined();
  });
});

describe("what a request says of a held session", () => {
  /** @param more of the exchange: who it is. */
  function ask(
    query: string,
    more: Partial<Exchange> = {},
    headers: Record<string, string> = HANDSHAKE,
  ): Promise<HeldAsk> {
    const asked = exchange({ webSocket: { held: {} } }, headers, `https://chat.test/live${query}`);
    const { held } = asked.route.route.webSocket ?? {};
    if (held === undefined) throw new Error("the route holds sessions");
    return askHeld({ ...asked, ...more }, held);
  }

  const terms = {
    isStatus: false,
    recv: null,
    control: false,
    holdMs: 30_000,
    ring: { messages: 1_000, bytes: 1_048_576 },
    resumeOn1001: false,
    durable: false,
    reconnect: null,
  };

  it("is nothing where it names none: nobody can come back to it", async () => {
    const { session, ...asked } = await ask("?a=1?b");
    expect(asked).toEqual({ terms: { ...terms, owner: null }, url: "https://chat.test/live?a=1?b", name: undefined });
    expect(session).toMatch(/^[0-9a-f-]{36}$/);
    expect((await ask("")).session).not.toBe(session);
  });

  it("is not the origin's, and tells operators nothing by which it can be resumed", async () => {
    const { name = "", ...asked } = await ask(`?_ws_session=${SESSION}&_ws_recv=3&_ws_ctl=1&a=1`);
    expect(asked).toEqual({
      terms: { ...terms, recv: 3, control: true, owner: expect.stringMatching(/^v1:held-socket:/) },
      url: "https://chat.test/live?a=1",
      session: name.slice(-32),
    });
    expect(asked.session).toHaveLength(32);
    expect((await ask(`?_ws_session=${SESSION}`)).url).toBe("https://chat.test/live");
    expect((await ask(`?_ws_session=${SESSION}`, {}, {})).terms.isStatus).toBe(true);
  });

  it("is named by its id alone, and bound to route and principal, but to no address", async () => {
    const mine = { principal: "me" };
    const [anyone, other, me, again, second] = await Promise.all([
      ask(`?_ws_session=${SESSION}`),
      ask(`?_ws_session=${SESSION}`, {
        client: { address: "192.0.2.9", network: "192.0.2.9", forwardedFor: "", scheme: "https" },
        principal: "192.0.2.9",
      }),
      ask(`?_ws_session=${SESSION}`, mine),
      ask(`?_ws_session=${SESSION}`, mine),
      ask(`?_ws_session=${SESSION}2`, mine),
    ]);
    expect([other, me, again].map(({ name }) => name)).toEqual([anyone.name, anyone.name, anyone.name]);
    expect([other.terms.owner, again.terms.owner, second.terms.owner]).toEqual([
      anyone.terms.owner,
      me.terms.owner,
      me.terms.owner,
    ]);
    expect([me.terms.owner === anyone.terms.owner, second.name === me.name]).toEqual([false, false]);
  });

  it("that cannot be read is refused in words", async () => {
    await expect(ask("?_ws_session=short")).rejects.toThrow(/^_ws_session: got 5 characters, .* random bits\.$/);
  });
});

it.each<[string, string, string, boolean]>([
  ["GET", `?_ws_session=${SESSION}`, "application/json", true],
  ["GET", `?a=1&_ws_session=${SESSION}`, "text/html, application/json;q=0.9", true],
  ["GET", `?a_ws_session=${SESSION}`, "application/json", false],
  ["GET", "", "application/json", false],
  ["GET", `?_ws_session=${SESSION}`, "text/html", false],
  ["POST", `?_ws_session=${SESSION}`, "application/json", false],
])("%s %s for %s asks what is known of a session: %s", (method, query, accept, asks) => {
  const asked = exchange({ webSocket: { held: {} } }, { accept }, `https://chat.test/${query}`);
  expect(asksStatus({ ...asked, canonical: { ...asked.canonical, method } })).toBe(asks);
});
