import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createServer } from "node:net";
import { valueOf, valuesOf } from "../support/message-head.ts";
import { beginHandshake, openSocket, shakeHands, type HandshakeOptions } from "../support/web-socket/client.ts";
import { eventually, startRelayed, type Relayed } from "../support/web-socket/relayed.ts";

/** Only the owner decides, however busy the machine is. */
const ONCE = { requestsPerWindow: 1, windowSeconds: 3600, onError: "closed", deadline: "20s" };
const RULES = {
  splice: true,
  bridge: { mode: "bridge" },
  listed: { origins: ["https://app.example.com", "https://*.example.org"], requireOrigin: true },
  any: { origins: ["*"] },
  only: { required: true },
  told: { rejectAfterUpgrade: true, newSessions: { ...ONCE, by: "header:x-who" } },
  few: { sessionsPerAddress: 2, closeTimeout: "1s" },
  single: { sessionsPerRoute: 1, closeTimeout: "1s" },
  rare: { newSessions: ONCE },
  quick: { handshakeTimeout: "700ms" },
  quicker: { mode: "bridge", handshakeTimeout: "700ms" },
  leaving: { handshakeTimeout: "3s" },
  "leaving-bridge": { mode: "bridge", handshakeTimeout: "3s" },
  off: false,
};

let relayed: Relayed;
let host: string;

beforeAll(async () => {
  relayed = await startRelayed(RULES);
  host = new URL(relayed.gateway.url).host;
});

afterAll(() => relayed?.stop());

function knock(route: string, options: HandshakeOptions = {}) {
  return shakeHands(relayed.gateway.url, { path: `/${route}/held`, ...options });
}

describe("whether a handshake may come at all", () => {
  const pages: readonly (readonly [route: string, origin: string | undefined, status: number])[] = [
    ["splice", undefined, 101],
    ["splice", "http://HOST", 101],
    ["splice", "https://HOST", 101],
    ["splice", "http://evil.example", 403],
    ["splice", "http://HOST.evil.example", 403],
    ["splice", "null", 403],
    ["splice", "HOST", 403],
    ["listed", undefined, 403],
    ["listed", "http://HOST", 403],
    ["listed", "https://app.example.com", 101],
    ["listed", "https://APP.example.com", 101],
    ["listed", "http://app.example.com", 403],
    ["listed", "https://app.example.com:8443", 403],
    ["listed", "https://app.example.com.evil.example", 403],
    ["listed", "https://a.example.org", 101],
    ["listed", "https://example.org", 403],
    ["listed", "https://evilexample.org", 403],
    ["any", "https://evil.example", 101],
    ["any", "null", 101],
  ];
  it.each(pages)("%s from a page of %s: %d", async (route, origin, status) => {
    const before = relayed.origin.seen.length;
    const came = await knock(route, { headers: { Origin: origin?.replace("HOST", host) } });
    expect(came.status).toBe(status);
    if (came.kind === "open") return came.peer.destroy();
    expect(JSON.parse(came.body)).toMatchObject({ code: "origin-not-allowed" });
    expect(relayed.origin.seen.length).toBe(before);
  });

  it("takes a URL of 8 KiB, and none that is longer", async () => {
    const asked = async (length: number) => {
      const path = "/splice/held?";
      const came = await knock("splice", { path: `${path}${"q".repeat(length - path.length)}` });
      if (came.kind === "open") came.peer.destroy();
      return came.status;
    };
    expect([await asked(8_192), await asked(8_193)]).toEqual([101, 414]);
  });

  it("refuses another version than 13 and says which it speaks", async () => {
    for (const version of ["8", "14", undefined]) {
      const came = await knock("splice", { headers: { "Sec-WebSocket-Version": version } });
      expect([came.status, valueOf(came.headers, "sec-websocket-version")]).toEqual([426, "13"]);
    }
  });

  it("answers requests that are no handshake as ever, and refuses them where the route serves handshakes alone", async () => {
    const plain = { headers: { Upgrade: undefined, Connection: undefined, "Sec-WebSocket-Key": undefined } };
    expect(await knock("splice", plain)).toMatchObject({ status: 200, body: "plain" });
    expect(await knock("only", plain)).toMatchObject({ status: 426 });
  });

  it("makes an ordinary request of a handshake where the route has no WebSockets", async () => {
    expect(await knock("off")).toMatchObject({ kind: "refused" });
    expect(valuesOf(relayed.origin.seen.at(-1)?.headers ?? [], "upgrade")).toEqual([]);
  });
});

describe.each(["splice", "bridge"])("what a %s says to the origin and to the client", (route) => {
  it("passes on fields and subprotocols, and says itself what only the gateway may say", async () => {
    const { origin } = relayed;
    origin.fields = "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Origin: yes\r\nX-Sluice-Refusal: {}\r\n";
    const came = await knock(route, {
      path: `/${route}/held?b=2&a=1`,
      headers: {
        "Sec-WebSocket-Protocol": "mqtt, other",
        Cookie: "c=1",
        Authorization: "Bearer t",
        "X-Own": "x",
        "X-Forwarded-For": "198.51.100.1",
        "X-Sluice-Opening": "{}",
        "Proxy-Authorization": "Basic x",
        Connection: "Upgrade, X-Hop",
        "X-Hop": "x",
      },
    });
    origin.fields = "";
    if (came.kind !== "open") throw new Error(came.body);
    const { peer, headers } = came;
    expect(valuesOf(headers, "set-cookie")).toEqual(["a=1", "b=2"]);
    expect(valueOf(headers, "sec-websocket-protocol")).toBe("mqtt");
    expect(valueOf(headers, "x-origin")).toBe("yes");
    expect(valueOf(headers, "x-ws-session")).toMatch(/^[0-9a-f-]{36}$/);
    expect(headers.filter(([name]) => name.toLowerCase().startsWith("x-sluice"))).toEqual([]);
    const seen = origin.seen.at(-1);
    expect(seen?.target).toBe("/held?b=2&a=1");
    const got = Object.fromEntries((seen?.headers ?? []).map(([name, value]) => [name.toLowerCase(), value]));
    expect(got).toMatchObject({
      "sec-websocket-protocol": "mqtt, other",
      "sec-websocket-version": "13",
      cookie: "c=1",
      authorization: "Bearer t",
      "x-own": "x",
      "x-forwarded-for": "127.0.0.1",
      "x-forwarded-host": host,
    });
    for (const name of ["proxy-authorization", "x-hop", "x-sluice-opening"]) expect(got).not.toHaveProperty(name);
    peer.destroy();
  });

  it("passes the origin's refusal on as it is", async () => {
    const refusal = "HTTP/1.1 403 Forbidden\r\nX-Why: no\r\nX-Sluice-Refusal: {}\r\nContent-Length: 4\r\n\r\nnope";
    relayed.origin.answers.set("/refuse", refusal);
    const came = await knock(route, { path: `/${route}/refuse` });
    expect(came).toMatchObject({ status: 403, body: "nope" });
    expect(valueOf(came.headers, "x-why")).toBe("no");
    expect(came.headers.filter(([name]) => name.toLowerCase().startsWith("x-sluice-"))).toEqual([]);
    await relayed.line(
      "exchange",
      (line) => line["path"] === `/${route}/refuse` && line["target"] === relayed.origin.url,
    );
  });

  it("loses nothing that the client sends with its handshake, nor the origin with its answer", async () => {
    const { client, upstream } = await relayed.open(route);
    upstream.text("from the origin");
    client.text("from the client");
    expect([await client.hear(), await upstream.hear()]).toEqual([
      { kind: "text", text: "from the origin" },
      { kind: "text", text: "from the client" },
    ]);
    client.destroy();
    upstream.destroy();
  });
});

describe("a dial that comes to nothing", () => {
  it.each(["quick", "quicker"])("%s: ends in its time, for client and origin", async (route) => {
    const came = await knock(route, { path: `/${route}/hang` });
    expect(came.status).toBe(504);
    if (came.kind === "refused") expect(JSON.parse(came.body)).toMatchObject({ code: "upstream-timeout" });
    await relayed.line("exchange", (line) => line["route"] === route && line["code"] === "upstream-timeout");
    await nothingHangs();
  });

  it.each(["leaving", "leaving-bridge"])("%s: leaves nothing of 20 clients that have left", async (route) => {
    const sockets = await Promise.all(
      Array.from({ length: 20 }, () => beginHandshake(relayed.gateway.url, { path: `/${route}/hang` })),
    );
    await eventually("the dials", () => Promise.resolve(relayed.origin.hanging >= 20 || undefined));
    for (const [index, socket] of sockets.entries()) {
      if (index % 2 === 0) socket.resetAndDestroy();
      else socket.destroy();
    }
    await nothingHangs();
  });

  it("says that an origin is not there", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    await new Promise((resolve) => server.close(resolve));
    const gone = await startRelayed(
      {},
      {
        routes: [
          { id: "gone", prefix: "/gone", target: `http://127.0.0.1:${address.port}`, webSocket: true },
          {
            id: "heard",
            prefix: "/heard",
            target: `http://127.0.0.1:${address.port}`,
            webSocket: { rejectAfterUpgrade: true },
          },
        ],
      },
    );
    try {
      const came = await shakeHands(gone.gateway.url, { path: "/gone" });
      expect(came.status).toBe(502);
      if (came.kind === "refused") expect(JSON.parse(came.body)).toMatchObject({ code: "upstream-unreachable" });
      const peer = await openSocket(gone.gateway.url, { path: "/heard" });
      expect(await peer.behave().ended()).toMatchObject({ code: 1014, reason: "upstream-unreachable" });
      const target = `http://127.0.0.1:${address.port}`;
      for (const route of ["gone", "heard"]) {
        const line = await gone.line("exchange", (one) => one["route"] === route);
        expect(line).toMatchObject({ code: "upstream-unreachable", target });
      }
    } finally {
      await gone.stop();
    }
  });

  function nothingHangs(): Promise<unknown> {
    return eventually("no dial that hangs", () => Promise.resolve(relayed.origin.hanging === 0 || undefined));
  }
});

describe("how many sessions there may be", () => {
  it("refuses a third session of an address, and lets one in when another has ended", async () => {
    const first = await relayed.open("few");
    const second = await relayed.open("few");
    const third = await knock("few");
    expect([third.status, valueOf(third.headers, "retry-after")]).toEqual([429, "5"]);
    if (third.kind === "refused") {
      const detail = "As many sessions are open as sessionsPerAddress allows: 2.";
      expect(JSON.parse(third.body)).toMatchObject({ code: "too-many-connections", detail });
    }
    first.upstream.behave();
    first.client.close(1000);
    await first.client.ended();
    const fourth = await eventually("a place", async () => {
      const came = await knock("few");
      return came.kind === "open" ? came.peer : undefined;
    });
    for (const peer of [fourth, second.client, second.upstream]) peer.destroy();
  });

  it("refuses a second session of a route that may have one", async () => {
    const { client, upstream } = await relayed.open("single");
    const came = await knock("single");
    expect(came.status).toBe(429);
    if (came.kind === "refused") {
      const detail = "As many sessions are open as sessionsPerRoute allows: 1.";
      expect(JSON.parse(came.body)).toMatchObject({ code: "too-many-connections", detail });
    }
    client.destroy();
    upstream.destroy();
  });

  it("refuses sessions that are opened too often", async () => {
    const { client, upstream } = await relayed.open("rare");
    const came = await knock("rare");
    expect(came.status).toBe(429);
    if (came.kind === "refused") expect(JSON.parse(came.body)).toMatchObject({ code: "too-many-connections" });
    client.destroy();
    upstream.destroy();
  });
});

it("tells a refusal by a close code, with a subprotocol of the client's, where the route says so", async () => {
  const headers = { "X-Who": "me", "Sec-WebSocket-Protocol": "chat, other" };
  const { client, upstream } = await relayed.open("told", { headers });
  const came = await knock("told", { headers });
  if (came.kind !== "open") throw new Error(came.body);
  expect(valueOf(came.headers, "sec-websocket-protocol")).toBe("chat");
  expect(await came.peer.behave().ended()).toEqual({ code: 4429, reason: "too-many-connections", by: "fin" });
  const line = await relayed.line(
    "exchange",
    (one) => one["code"] === "too-many-connections" && one["route"] === "told",
  );
  expect(line).toMatchObject({ status: 101, error: expect.stringContaining("The limit new-sessions is used up") });
  const page = await knock("told", { headers: { Origin: "http://evil.example" } });
  if (page.kind !== "open") throw new Error(page.body);
  expect(await page.peer.behave().ended()).toEqual({ code: 4403, reason: "origin-not-allowed", by: "fin" });
  client.destroy();
  upstream.destroy();
});

it("counts handshakes by what came of them", async () => {
  const counted = await eventually("what was counted", async () => {
    const told: { routes: Record<string, Record<string, number>> } = JSON.parse(
      JSON.stringify(await relayed.admin("GET", "sockets?summary=true")),
    );
    const of = (route: string, outcome: string) => told.routes[route]?.[`handshakes.${outcome}`] ?? 0;
    const counts = {
      open: of("splice", "open"),
      refused: [of("splice", "upstream-refused"), of("bridge", "upstream-refused")],
      late: of("quicker", "upstream-timeout"),
      full: of("few", "too-many-connections") + of("single", "too-many-connections"),
      strangers: of("listed", "origin-not-allowed"),
      often: of("rare", "too-many-connections"),
    };
    const { open, refused, late, full, strangers, often } = counts;
    return [open, ...refused, late, full, strangers, often].every((count) => count > 0) ? counts : undefined;
  });
  expect([counted.refused, counted.often]).toEqual([[1, 1], 1]);
});
