import { createExecutionContext, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { addresses } from "../../objects/address.ts";
import { REGISTRY_SHARDS } from "../../objects/socket-registry/registry-shards.ts";
import { createRegistration } from "../../objects/web-socket-relay/registration.ts";
import type { SessionDescription } from "../../objects/web-socket-relay/session-control.ts";
import { countEnd } from "../../objects/web-socket-relay/told-counts.ts";
import { parseConfig } from "../../schemas/index.ts";
import { admin } from "../../worker/admin/index.ts";
import { compileConfig } from "../../worker/config/compile.ts";
import { problemResponse } from "../../worker/problem.ts";
import { description, objectId } from "../core/socket-registry/session-entry.ts";

/** The registry outlives a test: each has a route of its own. */
let route = "";
let tests = 0;
let logged: string[] = [];
let known = env;

beforeEach(() => {
  tests += 1;
  route = `route-${tests}`;
  logged = [];
  known = { ...env, SLUICE_ADMIN_TOKEN: "token" };
  vi.spyOn(console, "log").mockImplementation((line: string) => void logged.push(line));
});

afterEach(() => void vi.restoreAllMocks());

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

async function ask(method: string, path: string, init: RequestInit = {}, settings: object = {}): Promise<Answer> {
  const url = new URL(path, "http://gateway.test");
  const headers = new Headers(init.headers);
  headers.set("x-admin-key", "token");
  const request = new Request(url, { ...init, method, headers });
  const canonical = { method, scheme: "http", host: url.host, path: url.pathname, query: url.search.slice(1) } as const;
  const answer = admin(request, canonical, known, active(settings), createExecutionContext());
  const response = await answer.catch((error: unknown) => problemResponse(error, "id"));
  return { status: response.status, body: await response.json() };
}

function active(settings: object) {
  const result = parseConfig({ routes: [{ id: route, prefix: "/", target: "http://backend.test" }], admin: settings });
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return compileConfig(result.config, { version: 1, source: "default", text: "{}", warnings: [], platform: "socket" });
}

/** Sessions of one route, the last one the newest. */
async function live(count: number, changes: Partial<SessionDescription> = {}): Promise<readonly SessionDescription[]> {
  const registration = createRegistration(env, objectId("a"));
  const now = Date.now();
  const ids = Array.from({ length: count }, (_, index) => `${route}-${index}`);
  const sessions = ids.map((id, index) => description(id, { route, openedAt: now + index, ...changes }));
  await Promise.all(sessions.map((session) => registration.opened(session)));
  return sessions;
}

const NONE = { matched: 0, done: 0, gone: 0, unsupported: 0, full: 0, failed: 0 };

/** The one line about an order, but for what is the same in all. */
function recorded(): object {
  const lines = logged.map((line): Record<string, unknown> => JSON.parse(line));
  const [{ time, level, event, by, ...line } = {}, ...others] = lines;
  const isTime = new Date(String(time)).toISOString() === time;
  expect([isTime, level, event, by, others]).toEqual([true, "info", "sockets-ordered", "admin", []]);
  return line;
}

function problem(detail: string): object {
  return { status: 400, body: expect.objectContaining({ code: "invalid-request", detail }) };
}

describe("the list of sessions", () => {
  it("joins all shards, the newest first, without saying which object has one", async () => {
    const sessions = await live(9);
    expect(await ask("GET", `/admin/sockets?route=${route}`)).toEqual({
      status: 200,
      body: { sessions: sessions.toReversed(), next: null, matched: 9, unlisted: 0 },
    });
  });

  it("comes in pages, whichever shards their sessions are in", async () => {
    const sessions = await live(7);
    const seen: unknown[] = [];
    let cursor = "";
    for (let page = 0; page < 4; page += 1) {
      const { body } = await ask("GET", `/admin/sockets?route=${route}&limit=2${cursor}`);
      if (!isPage(body)) throw new Error(JSON.stringify(body));
      seen.push(...body.sessions);
      if (body.next === null) break;
      cursor = `&cursor=${body.next}`;
    }
    expect(seen).toEqual(sessions.toReversed());
  });

  it("is filtered", async () => {
    await live(2);
    const { body } = await ask("GET", `/admin/sockets?route=${route}&address=192.0.2.7&state=open&mode=bridge`);
    expect(body).toMatchObject({ matched: 2 });
    expect((await ask("GET", `/admin/sockets?route=${route}&state=held`)).body).toMatchObject({ matched: 0 });
    expect((await ask("GET", `/admin/sockets?route=${route}&principal=p`)).body).toMatchObject({ matched: 0 });
  });

  it.each([
    ["limit=0", 'limit: got "0", wanted a whole number from 1 to 1000.'],
    ["cursor=x", 'cursor: got "x", wanted the next of the page before.'],
    ["state=gone", 'state: got "gone", wanted connecting, open, held, reconnecting, closing.'],
    ["mode=x", 'mode: got "x", wanted splice, bridge, held, shared, callback.'],
  ])("refuses %s in words", async (query, detail) => {
    expect(await ask("GET", `/admin/sockets?${query}`)).toMatchObject(problem(detail));
  });
});

async function shardsOf(secret: string) {
  const indexes = Array.from({ length: REGISTRY_SHARDS }, (_, index) => index);
  const names = await Promise.all(indexes.map((index) => addresses(secret).socketRegistry(index)));
  return names.map(({ name }) => env.SOCKET_REGISTRY.getByName(name));
}

function isPage(body: unknown): body is { sessions: unknown[]; next: string | null } {
  return typeof body === "object" && body !== null && "sessions" in body && "next" in body;
}

describe("the summary", () => {
  it("adds the times of sessions without the noise of fractions", async () => {
    const now = Date.now();
    vi.spyOn(Date, "now").mockReturnValue(now);
    for (const lastedMs of [100, 200]) {
      countEnd(description("ended", { route, openedAt: now - lastedMs }), { by: "client", code: 1000 });
    }
    await live(1);
    const { body } = await ask("GET", "/admin/sockets?summary=true");
    expect(body).toMatchObject({ routes: { [route]: { sessionSeconds: 0.3, "sessionSeconds.1": 2 } } });
    expect(JSON.stringify(body)).not.toContain("sessionMs");
  });

  it("shows which routes take no new sessions and until when, and an order that takes that back", async () => {
    await live(1);
    const now = Date.now();
    vi.spyOn(Date, "now").mockReturnValue(now);
    const refused = { since: now, until: now + 60_000 };
    await ask("POST", `/admin/sockets/drain?route=${route}&spread=0s&refuseNew=1m`);
    expect((await ask("GET", "/admin/sockets?summary=true")).body).toMatchObject({ draining: { [route]: refused } });
    const takenBack = await ask("POST", `/admin/sockets/drain?route=${route}&refuseNew=0s`);
    expect(takenBack).toEqual({ status: 200, body: NONE });
    expect((await ask("GET", "/admin/sockets?summary=true")).body).toMatchObject({ draining: {} });
    expect((await ask("GET", "/admin/sockets?summary=true")).body).not.toHaveProperty(["draining", route]);
  });

  it("lets a thousand routes have no new ones, and refuses one more in all shards alike", async () => {
    // Which has shards of its own.
    const secret = "secret of another gateway";
    known = { ...known, NAMING_SECRET: secret };
    const shards = await shardsOf(secret);
    const until = Date.now() + 300_000;
    // One of them knows already that an order was taken back.
    const counts = [1_000, 999, 1_000, 1_000];
    for (const [index, shard] of shards.entries()) {
      const some = Array.from({ length: counts[index] ?? 0 }, (_, n) => [`r${n}`, { since: 0, until }] as const);
      await runInDurableObject(shard, (_object, { storage }) => storage.kv.put("drained", new Map(some)));
      await evictDurableObject(shard);
    }
    const held = () =>
      Promise.all(shards.map(async (shard) => [...((await shard.summary()).drained?.keys() ?? [])].slice(998)));
    const before = await held();
    const detail =
      "refuseNew: got it for one route more than the 1000 that take no new sessions already, wanted 1000 at most: take one back with refuseNew=0, or wait until one is over.";
    expect(await ask("POST", `/admin/sockets/drain?route=${route}&refuseNew=1m`)).toMatchObject(problem(detail));
    expect(recorded()).toMatchObject({ order: "drain", filter: { route }, result: "invalid-request" });
    expect([before.map(({ length }) => length), await held()]).toEqual([[2, 1, 2, 2], before]);
    await ask("POST", "/admin/sockets/drain?route=r7&refuseNew=0");
    for (const time of ["1m", "2m"]) {
      const { status } = await ask("POST", `/admin/sockets/drain?route=${route}&refuseNew=${time}`);
      expect(status).toBe(200);
    }
    expect((await held()).map((routes) => routes.at(-1))).toEqual(shards.map(() => route));
  });

  it("lets an order be for a route that there is, but takes back that of one that has gone", async () => {
    const wanted = problem('route: got "gone", wanted the id of a route of the configuration.');
    expect(await ask("POST", "/admin/sockets/drain?route=gone&refuseNew=1m")).toMatchObject(wanted);
    expect(await ask("POST", "/admin/sockets/drain?route=gone&refuseNew=0")).toEqual({ status: 200, body: NONE });
  });
});

describe("one session", () => {
  it.each([
    ["GET", ""],
    ["DELETE", ""],
    ["POST", "/send"],
    ["GET", "/tap"],
  ])("that is not there is not found: %s %s", async (method, path) => {
    const init = method === "POST" ? { body: "hi", headers: { "content-type": "text/plain" } } : {};
    for (const id of ["nobody", "a%20b", "x".repeat(65)]) {
      const { status, body } = await ask(method, `/admin/sockets/${id}${path}`, init);
      expect([status, body]).toEqual([404, expect.objectContaining({ code: "not-found" })]);
    }
  });
});

describe("an order that cannot be carried out", () => {
  it.each([
    ["DELETE", "/x?code=1006", 'code: got "1006", wanted 1000 to 1003, 1007 to 1014 or 3000 to 4999.'],
    ["DELETE", "/x?code=abc", 'code: got "abc", wanted 1000 to 1003, 1007 to 1014 or 3000 to 4999.'],
    ["DELETE", "/x?code=", 'code: got "", wanted 1000 to 1003, 1007 to 1014 or 3000 to 4999.'],
    ["DELETE", `/x?reason=${"%C3%BC".repeat(62)}`, "reason: got 124 bytes, wanted at most 123."],
    ["POST", "/close", "query: got no filter, wanted route, principal, address, state, mode or all=true."],
    ["POST", "/close?all=true&route=a", /^query: got all=true and a filter, wanted route/],
    ["POST", "/close?all=yes", 'all: got "yes", wanted true.'],
    ["GET", `?${"x".repeat(9_000)}=1`, new RegExp(`^query: got "x{80}\\.\\.\\.", wanted route, `)],
    ["GET", `?state=${"x".repeat(9_000)}`, new RegExp(`^state: got "x{80}\\.\\.\\.", wanted connecting, `)],
    ["GET", `?cursor=${"x".repeat(9_000)}`, `cursor: got "${"x".repeat(80)}...", wanted the next of the page before.`],
    ["POST", "/close?route=a&spread=16m", 'spread: got "16m", wanted a duration such as 30s, at most 15m, or 0.'],
    ["POST", "/drain", /^query: got no filter/],
    ["POST", "/drain?route=a&code=1000", "code: a drain closes with 1012; POST /admin/sockets/close takes a code."],
    ["POST", "/broadcast", /^query: got no filter/],
    [
      "POST",
      "/broadcast?route=a",
      "content-type: got none, wanted text/*, application/json or application/octet-stream.",
    ],
  ])("is refused in words: %s %s", async (method, path, detail) => {
    const { status, body } = await ask(method, `/admin/sockets${path}`);
    const told = typeof detail === "string" ? detail : expect.stringMatching(detail);
    expect([status, body]).toEqual([400, expect.objectContaining({ code: "invalid-request", detail: told })]);
  });

  it.each(["broadcast", "close", "drain"])("is refused as no POST, and not taken for a session: %s", async (order) => {
    const { status, body } = await ask("GET", `/admin/sockets/${order}?route=${route}`);
    const detail = "GET is not allowed here; allowed: POST.";
    expect([status, body]).toEqual([405, expect.objectContaining({ detail })]);
  });

  it("is refused for a message that is too large, or no text", async () => {
    const text = { "content-type": "text/plain" };
    const large = await ask("POST", "/admin/sockets/x/send", { body: "x".repeat(1_048_577), headers: text });
    expect([large.status, large.body]).toEqual([413, expect.objectContaining({ code: "payload-too-large" })]);
    const broken = await ask("POST", "/admin/sockets/x/send", { body: new Uint8Array([0xff]), headers: text });
    expect(broken).toMatchObject(problem("the body: got bytes that are not UTF-8, which no text message may have."));
  });

  it.each<[method: string, path: string, line: object]>([
    [
      "POST",
      "/close?route=R&code=4000&reason=bye&spread=2s",
      { order: "close", code: 4000, reason: "bye", spreadMs: 2000 },
    ],
    ["POST", "/drain?route=R", { order: "drain", code: 1012, reason: "closed by an operator", spreadMs: 30_000 }],
    ["POST", "/broadcast?route=R", { order: "broadcast", characters: 6 }],
  ])("is on the record: %s %s", async (method, path, line) => {
    const body = path.startsWith("/broadcast") ? { body: "secret", headers: { "content-type": "text/plain" } } : {};
    await ask(method, `/admin/sockets${path.replace("R", route)}`, body);
    expect(recorded()).toEqual({ ...line, filter: { route }, ...NONE });
  });

  it.each<[method: string, path: string, line: object]>([
    ["DELETE", "", { order: "close", code: 1008, reason: "closed by an operator" }],
    ["POST", "/send", { order: "send", bytes: 3 }],
    ["GET", "/tap?redact=pin", { order: "tap", direction: "both", sample: 1, maxBytes: 4096, redact: ["pin"] }],
  ])("is on the record for one session, also when there is none: %s %s", async (method, path, line) => {
    const binary = { body: new Uint8Array(3), headers: { "content-type": "application/octet-stream" } };
    expect((await ask(method, `/admin/sockets/nobody${path}`, method === "POST" ? binary : {})).status).toBe(404);
    expect(recorded()).toEqual({ ...line, session: "nobody", result: "not-found" });
  });

  it("is refused to who may not see messages, whatever else he may do", async () => {
    const [session] = await live(1);
    const forbidden = { code: "forbidden", detail: "The configuration lets nobody see messages (admin.tap is false)." };
    expect(await ask("GET", `/admin/sockets/${session?.id}/tap`, {}, { tap: false })).toMatchObject({
      status: 403,
      body: forbidden,
    });
    expect((await ask("GET", `/admin/sockets?route=${route}`, {}, { tap: false })).body).toMatchObject({ matched: 1 });
  });

  it("reaches nobody where nobody is meant", async () => {
    expect(await ask("POST", `/admin/sockets/close?route=${route}`)).toEqual({ status: 200, body: NONE });
    expect(await ask("POST", `/admin/sockets/drain?route=${route}&spread=1m`)).toEqual({ status: 200, body: NONE });
  });
});
