import { env } from "cloudflare:workers";
import { afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { activeConfig } from "../../worker/config/active.ts";
import type { Exchange } from "../../worker/exchange.ts";
import { codeOf } from "../../worker/problem.ts";
import { readFields } from "../../worker/request-fields.ts";
import { relaySession } from "../../worker/web-socket/relay-session.ts";
import { exchangeFor } from "./exchange.ts";

const ROUTE = { prefix: "/", target: "http://127.0.0.1:9", webSocket: { held: {}, sessionsPerPrincipal: 2 } };
const MORE = { allowPrivateTargets: true };

const ELSEWHERE = { address: "198.51.100.9", network: "198.51.100.9", forwardedFor: "", scheme: "http" } as const;

let dials = 0;
let clients: WebSocket[] = [];
let tests = 0;

beforeAll(async () => {
  const config = { ...MORE, routes: [{ id: "r", ...ROUTE }] };
  const given = { ...env, SLUICE_CONFIG: JSON.stringify(config), SLUICE_CONFIG_VERSION: "1" };
  await activeConfig(given, { waitUntil: () => {} });
});

beforeEach(() => {
  tests += 1;
  dials = 0;
  clients = [];
  vi.spyOn(console, "log").mockImplementation(() => {});
  vi.spyOn(globalThis, "fetch").mockImplementation(() => {
    const { 0: dialled, 1: upstream } = new WebSocketPair();
    dials += 1;
    upstream.accept();
    return Promise.resolve(new Response(null, { status: 101, webSocket: dialled }));
  });
});

afterEach(() => {
  for (const client of clients) if (client.readyState === WebSocket.OPEN) client.close(1000);
  vi.restoreAllMocks();
});

/** What somebody's request is answered who was authenticated as this: the socket, or the error's code. */
async function ask(principal: string, query: string, more: Partial<Exchange> = {}): Promise<WebSocket | string> {
  const exchange = exchangeFor(ROUTE, env, [], MORE);
  const headers = { upgrade: "websocket", "sec-websocket-version": "13" };
  const request = new Request(`http://gateway.test/live?${query}`, { headers });
  const { webSocket } = exchange.route.route;
  if (webSocket === undefined) throw new Error("the route has WebSockets");
  const fields = readFields(request.headers);
  try {
    const answer = await relaySession(webSocket, "mark")({ ...exchange, request, fields, principal, ...more });
    if (answer.webSocket === null) return String(answer.status);
    answer.webSocket.accept();
    clients.push(answer.webSocket);
    return answer.webSocket;
  } catch (error) {
    return codeOf(error);
  }
}

function closed(socket: WebSocket | string): Promise<string> {
  if (typeof socket === "string") return Promise.resolve(socket);
  return new Promise((resolve) => {
    socket.addEventListener("close", ({ code, reason }) => resolve(`${code} ${reason}`));
  });
}

function sessionId(): string {
  return `session-of-test-number-${tests}`;
}

it("a session is resumed by its principal alone, wherever he comes from, and by nobody else", async () => {
  const sid = sessionId();
  const alices = await ask("alice", `_ws_session=${sid}`);
  expect(alices).toBeInstanceOf(WebSocket);
  const back = `_ws_session=${sid}&_ws_recv=0`;
  expect([await ask("bob", back), await ask("192.0.2.1", back), await ask("", back)]).toEqual([
    "forbidden",
    "forbidden",
    "forbidden",
  ]);
  const over = closed(alices);
  expect(await ask("alice", back, { client: ELSEWHERE })).toBeInstanceOf(WebSocket);
  expect(await over).toBe("4409 another connection has taken over");
  expect(dials).toBe(1);
});

it("who is nobody but an address may come back from another one, and never to what is somebody's", async () => {
  const sid = sessionId();
  expect(await ask("192.0.2.1", `_ws_session=${sid}`)).toBeInstanceOf(WebSocket);
  const back = `_ws_session=${sid}&_ws_recv=0`;
  expect(await ask("alice", back)).toBe("forbidden");
  expect(await ask("198.51.100.9", back, { client: ELSEWHERE })).toBeInstanceOf(WebSocket);
});

it("a principal has as many sessions as one may have, whatever others have", async () => {
  const [first, second] = [await ask("carol", ""), await ask("carol", "")];
  expect([first, second, await ask("carol", "")]).toEqual([
    expect.any(WebSocket),
    expect.any(WebSocket),
    "too-many-connections",
  ]);
  expect(await ask("dave", "")).toBeInstanceOf(WebSocket);
});

it("a session ends with the credentials of its client, which it brings along when it comes back", async () => {
  const sid = sessionId();
  const first = await ask("erin", `_ws_session=${sid}`, { validUntil: Date.now() + 600_000 });
  const over = closed(first);
  const ended = closed(await ask("erin", `_ws_session=${sid}&_ws_recv=0`, { validUntil: Date.now() + 50 }));
  expect(await over).toBe("4409 another connection has taken over");
  expect(await ended).toBe("4401 credentials expired");
});
