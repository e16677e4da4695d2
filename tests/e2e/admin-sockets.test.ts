import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WebSocketServer } from "ws";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startGateway, type Gateway, type GatewayOptions } from "../support/gateway.ts";
import { shakeHands } from "../support/web-socket/client.ts";
import { closed, listening } from "../support/web-socket-peers/peer.ts";

const http = createServer();
const server = new WebSocketServer({ server: http });
const clients: Client[] = [];
const state = mkdtempSync(join(tmpdir(), "sluice-sockets-"));
let options: GatewayOptions;
let gateway: Gateway;

beforeAll(async () => {
  server.on("connection", (socket) => {
    socket.on("error", () => {});
    socket.on("message", (data: Buffer, isBinary: boolean) => socket.send(data, { binary: isBinary }));
  });
  const target = `http://127.0.0.1:${await listening(http)}`;
  const routes = ["chat", "news"].map((id) => ({ id, prefix: `/${id}`, target, webSocket: { mode: "bridge" } }));
  const splice = { id: "raw", prefix: "/raw", target, webSocket: { mode: "splice" } };
  const config = { routes: [...routes, splice], allowPrivateTargets: true };
  options = { config, isolates: 2, state };
  gateway = await startGateway(options);
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.socket.close();
  // Nobody sees the end of a splice, so it is listed until it is cut.
  await ask("POST", "/close?all=true");
  await until(async () => (await list()).matched === 0);
});

afterAll(async () => {
  await gateway.stop();
  await closed(http);
  rmSync(state, { recursive: true, force: true });
});

interface Client {
  readonly socket: WebSocket;
  readonly got: unknown[];
  /** The code and the reason with which it was closed, and when. */
  readonly over: Promise<{ readonly close: string; readonly at: number }>;
}

/** Clients that are open, at one isolate after the other. */
async function open(route: string, count: number): Promise<readonly Client[]> {
  const opened = Array.from({ length: count }, async (_, index) => {
    const url = gateway.urls[index % gateway.urls.length] ?? gateway.url;
    const socket = new WebSocket(`${url.replace("http", "ws")}/${route}`);
    socket.binaryType = "arraybuffer";
    const got: unknown[] = [];
    socket.addEventListener("message", ({ data }) => got.push(data));
    const over = new Promise<{ close: string; at: number }>((resolve) => {
      socket.addEventListener("close", ({ code, reason }) => resolve({ close: `${code} ${reason}`, at: Date.now() }));
    });
    await new Promise((resolve) => socket.addEventListener("open", resolve));
    return { socket, got, over };
  });
  const all = await Promise.all(opened);
  clients.push(...all);
  await until(async () => (await list(`route=${route}`)).matched === count);
  return all;
}

/** A report of an object takes its time to reach the registry. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error("it never held");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function ask(method: string, path: string, init: RequestInit = {}) {
  const headers = new Headers(init.headers);
  headers.set("x-admin-key", gateway.adminToken);
  const response = await fetch(`${gateway.url}/admin/sockets${path}`, { ...init, method, headers });
  return { status: response.status, body: await response.json() };
}

interface Listed {
  readonly sessions: readonly { readonly id: string; readonly route: string; readonly messagesIn: number }[];
  readonly matched: number;
}

async function list(query = ""): Promise<Listed> {
  const { body } = await ask("GET", `?${query}`);
  if (!isListed(body)) throw new Error(JSON.stringify(body));
  return body;
}

function isListed(body: unknown): body is Listed {
  return typeof body === "object" && body !== null && "sessions" in body && "matched" in body;
}

async function idOf(route: string): Promise<string> {
  return (await list(`route=${route}`)).sessions[0]?.id ?? "none";
}

const NONE = { matched: 0, done: 0, gone: 0, unsupported: 0, full: 0, failed: 0 };

describe("live sessions", () => {
  it("are listed wherever they were opened, and read as they are now", async () => {
    const [client] = await open("chat", 6);
    await open("raw", 2);
    expect(await list("mode=splice")).toMatchObject({ matched: 2 });
    expect(await list()).toMatchObject({ matched: 8, unlisted: 0 });
    client?.socket.send("hello");
    await until(() => client?.got.length === 1);
    const described = await Promise.all(
      (await list("route=chat")).sessions.map(async ({ id }) => (await ask("GET", `/${id}`)).body),
    );
    expect(
      described.filter((one) => JSON.stringify(one).includes('"messagesIn":1,"messagesOut":1,"bytesIn":5')),
    ).toHaveLength(1);
    expect(described[0]).toMatchObject({
      route: "chat",
      mode: "bridge",
      state: "open",
      address: "127.0.0.1",
      resumes: 0,
    });
  });

  it("take a message from an operator, as text or binary", async () => {
    const [client] = await open("chat", 1);
    const id = await idOf("chat");
    const text = { body: "grüße", headers: { "content-type": "text/plain; charset=utf-8" } };
    const binary = { body: new Uint8Array([0, 255]), headers: { "content-type": "application/octet-stream" } };
    expect(await ask("POST", `/${id}/send`, text)).toEqual({ status: 200, body: { id, sent: true } });
    expect(await ask("POST", `/${id}/send`, binary)).toMatchObject({ status: 200 });
    await until(() => client?.got.length === 2);
    expect(client?.got).toEqual(["grüße", new Uint8Array([0, 255]).buffer]);
  });

  it("hear a broadcast, but for those that are spliced through", async () => {
    const heard = await open("chat", 5);
    const [other] = await open("news", 1);
    await open("raw", 1);
    const message = { body: '{"maintenance":true}', headers: { "content-type": "application/json" } };
    expect(await ask("POST", "/broadcast?route=chat", message)).toEqual({
      status: 200,
      body: { ...NONE, matched: 5, done: 5 },
    });
    await until(() => heard.every(({ got }) => got.length === 1));
    expect(heard.map(({ got }) => got)).toEqual(Array.from({ length: 5 }, () => ['{"maintenance":true}']));
    expect(other?.got).toEqual([]);
    const guide = readFileSync(new URL("../../docs/guide/operating.md", import.meta.url), "utf8");
    const [, example = ""] = /### WebSocket sessions[^]*?```json\n([^]*?)```/.exec(guide) ?? [];
    expect(await ask("POST", "/broadcast?all=true", message)).toEqual({ status: 200, body: JSON.parse(example) });
  });

  it("are closed one by one with a code and a reason, and a splice is cut", async () => {
    const [client] = await open("chat", 1);
    const [raw] = await open("raw", 1);
    const id = await idOf("chat");
    expect(await ask("DELETE", `/${id}?code=4401&reason=revoked`)).toEqual({
      status: 200,
      body: { id, closed: { code: 4401, reason: "revoked" } },
    });
    expect((await client?.over)?.close).toBe("4401 revoked");
    await until(async () => (await ask("GET", `/${id}`)).status === 404);
    expect(await ask("DELETE", `/${id}`)).toMatchObject({ status: 404 });
    expect(await ask("DELETE", `/${await idOf("raw")}`)).toMatchObject({ status: 200 });
    expect((await raw?.over)?.close).toBe("1006 ");
  });

  it("are counted, by route and by how they ended", async () => {
    const before = await countsOf("news");
    const [first, second] = await open("news", 2);
    first?.socket.send("hello");
    await until(() => first?.got.length === 1);
    expect((await countsOf("news"))["sessions.bridge.open"]).toBe(2);
    first?.socket.close(4001);
    second?.socket.close(1000);
    const grown = (now: Record<string, number>, name: string) => (now[name] ?? 0) - (before[name] ?? 0);
    await until(async () => grown(await countsOf("news"), "closes.client.1000") === 1);
    await until(async () => grown(await countsOf("news"), "closes.client.4001") === 1);
    const now = await countsOf("news");
    const names = ["messages.in", "messages.out", "bytes.in", "bytes.out", "handshakes.open", "sessions.bridge.open"];
    expect(names.map((name) => grown(now, name))).toEqual([1, 1, 5, 5, 2, 0]);
    expect(now["sessionSeconds"]).toBeGreaterThan(before["sessionSeconds"] ?? 0);
    const told = ["messages.in.text", "messages.in.binary", "bytes.out.text", "messageBytes.in.16", "relayMs.1"];
    expect(told.map((name) => grown(now, name))).toEqual([1, 0, 5, 1, 2]);
    const lasted = Object.keys(now).filter((name) => name.startsWith("sessionSeconds."));
    expect(lasted.reduce((sum, name) => sum + grown(now, name), 0)).toBe(2);
  });

  async function countsOf(route: string): Promise<Record<string, number>> {
    const { body } = await ask("GET", "?summary=true");
    const told: { routes: Record<string, Record<string, number>> } = JSON.parse(JSON.stringify(body));
    return told.routes[route] ?? {};
  }

  it("are closed all at once by a filter", async () => {
    const chatting = await open("chat", 20);
    const [other] = await open("news", 1);
    expect(await ask("POST", "/close?route=chat&code=4000&reason=over")).toEqual({
      status: 200,
      body: { ...NONE, matched: 20, done: 20 },
    });
    const lines = () => gateway.logs().filter(({ event, code }) => event === "sockets-ordered" && code === 4000);
    await until(() => lines().length > 0);
    const told = { by: "admin", order: "close", filter: { route: "chat" }, reason: "over", spreadMs: 0 };
    expect(lines()).toMatchObject([{ ...told, ...NONE, matched: 20, done: 20 }]);
    const overs = await Promise.all(chatting.map(({ over }) => over));
    expect(new Set(overs.map(({ close }) => close))).toEqual(new Set(["4000 over"]));
    expect(other?.socket.readyState).toBe(WebSocket.OPEN);
  });

  it("are drained one after the other, with the code that asks to come back", async () => {
    const chatting = await open("chat", 10);
    const began = Date.now();
    expect(await ask("POST", "/drain?route=chat&spread=1s&reason=deploy")).toMatchObject({
      body: { matched: 10, done: 10 },
    });
    const overs = await Promise.all(chatting.map(({ over }) => over));
    expect(new Set(overs.map(({ close }) => close))).toEqual(new Set(["1012 deploy"]));
    // Not at once: timers are never early.
    const last = Math.max(...overs.map(({ at }) => at));
    expect(last - began).toBeGreaterThan(400);
  });

  it("are drained for good: their route takes no new ones, after kill -9 neither, until it may again", async () => {
    const [leaving] = await open("news", 1);
    expect((await ask("POST", "/drain?route=news&spread=0&refuseNew=5m")).body).toMatchObject({ matched: 1, done: 1 });
    expect((await leaving?.over)?.close).toBe("1012 closed by an operator");
    expect(await endsUntilRefused()).toEqual([]);
    const told = JSON.stringify(await draining());
    expect(JSON.parse(told)).toEqual({ news: { since: expect.any(Number), until: expect.any(Number) } });
    const { port } = new URL(gateway.url);
    await gateway.kill();
    gateway = await startGateway({ ...options, port: Number(port) });
    expect(JSON.stringify(await draining())).toBe(told);
    expect(await endsUntilRefused()).toEqual([]);
    const [staying] = await open("chat", 1);
    expect((await ask("POST", "/drain?route=news&spread=0s&refuseNew=0s")).body).toEqual(NONE);
    expect(await draining()).toEqual({});
    // Isolates hear of it with their next report.
    await until(async () => {
      const knock = await shakeHands(gateway.url, { path: "/news" });
      if (knock.kind === "open") knock.peer.destroy();
      return knock.kind === "open";
    });
    expect(staying?.socket.readyState).toBe(WebSocket.OPEN);
  });

  async function draining(): Promise<unknown> {
    const { body } = await ask("GET", "?summary=true");
    return typeof body === "object" && body !== null && "draining" in body ? body.draining : "nothing";
  }

  /** Whoever comes before that is known where he comes is closed at once; returns those that were told anything else. */
  async function endsUntilRefused(): Promise<readonly string[]> {
    const turnedAway: string[] = [];
    await until(async () => {
      const knock = await shakeHands(gateway.url, { path: "/news" });
      if (knock.kind === "open") turnedAway.push(JSON.stringify(await knock.peer.behave().ended()));
      else {
        expect([knock.status, JSON.parse(knock.body)]).toMatchObject([503, { code: "draining" }]);
        expect(Number(knock.headers.find(([name]) => name.toLowerCase() === "retry-after")?.[1])).toBeGreaterThan(200);
      }
      return knock.kind !== "open";
    });
    return turnedAway.filter((end) => end !== '{"code":1001,"reason":"draining","by":"fin"}');
  }
});

/** What operators get wrong, and what they are told. */
const MISTAKES: readonly [method: string, path: string, told: string][] = [
  ["GET", "?rout=chat", 'query: got "rout", wanted route, principal, address, state, mode, limit, cursor, summary.'],
  ["GET", "?route=chat&route=news", "route: got it twice, wanted it once."],
  ["GET", "?summary=yes", 'summary: got "yes", wanted true.'],
  [
    "GET",
    "?summary=true&route=chat",
    "summary: got it beside other parameters, wanted it alone: it tells of every route.",
  ],
  ["GET", "/some?route=chat", 'query: got "route", wanted no parameters.'],
  ["DELETE", "/some?cod=4000", 'query: got "cod", wanted code, reason.'],
  ["DELETE", `/some?reason=${"x".repeat(124)}`, "reason: got 124 bytes, wanted at most 123."],
  ["GET", "/some/tap?dir=in", 'query: got "dir", wanted direction, sample, bytes, redact.'],
  [
    "POST",
    "/close?route=chat&sate=held",
    'query: got "sate", wanted route, principal, address, state, mode, all, reason, spread, code.',
  ],
  ["POST", "/broadcast?all=true&rout=chat", 'query: got "rout", wanted route, principal, address, state, mode, all.'],
  [
    "POST",
    "/drain?route=chat&state=held&refuseNew=1m",
    "refuseNew: wanted with route, and without any other filter: it is the route that takes no new ones.",
  ],
  [
    "POST",
    "/drain?route=chat&refuseNew=soon",
    'refuseNew: got "soon", wanted a duration such as 30s, at most 15m, or 0.',
  ],
  ["POST", "/drain?all=true&code=4000", "code: a drain closes with 1012; POST /admin/sockets/close takes a code."],
];

it("refuses orders and questions that are not quite right, and does nothing", async () => {
  const [client] = await open("chat", 1);
  const message = { body: "hello", headers: { "content-type": "text/plain" } };
  const told = MISTAKES.map(async ([method, path]) => {
    const { status, body } = await ask(method, path, method === "POST" ? message : {});
    return [method, path, status, body];
  });
  expect(await Promise.all(told)).toMatchObject(
    MISTAKES.map(([method, path, detail]) => [method, path, 400, { detail }]),
  );
  expect([client?.got, client?.socket.readyState]).toEqual([[], WebSocket.OPEN]);
});
