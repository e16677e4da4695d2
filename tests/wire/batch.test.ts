import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { startCountingOrigin, type CountingOrigin } from "../support/counting-origin.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";
import { RawClient } from "../support/raw-client.ts";
import { request } from "../support/raw-request.ts";

/** Log lines and figures come some time after the answers. */
const PATIENCE = { timeout: 15_000 };
const ORIGIN_MS = 100;

let origin: CountingOrigin;
let other: CountingOrigin;
let gateway: Gateway;

beforeAll(async () => {
  [origin, other] = await Promise.all([startCountingOrigin(), startCountingOrigin()]);
  gateway = await startGateway({
    config: {
      allowPrivateTargets: true,
      batch: { maxBodySize: "64KiB", maxAnswerSize: "64KiB" },
      backends: {
        plain: { targets: [{ url: origin.url }] },
        tried: { targets: [{ url: origin.url }], retry: { statuses: [599] } },
        hung: { targets: [{ url: other.url }] },
      },
      routes: [
        { id: "plain", prefix: "/plain", backend: "plain" },
        { id: "guide", prefix: "/api", backend: "plain" },
        { id: "tried", prefix: "/tried", backend: "tried" },
        { id: "hung", prefix: "/hung", backend: "hung" },
        { id: "once", prefix: "/once", backend: "plain", idempotency: true },
        { id: "short", prefix: "/short", backend: "hung", timeouts: { total: "1s" } },
        {
          id: "limited",
          prefix: "/limited",
          backend: "plain",
          rateLimit: { requestsPerWindow: 2, windowSeconds: 31_536_000, onError: "closed", deadline: "20s" },
        },
      ],
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await Promise.all([origin?.stop(), other?.stop()]);
});

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly encoding?: string;
}

function post(requests: readonly object[], headers: Readonly<Record<string, string>> = {}): Promise<Response> {
  return fetch(`${gateway.url}/batch`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ requests }),
  });
}

async function batch(requests: readonly object[], headers?: Readonly<Record<string, string>>) {
  const response = await post(requests, headers);
  expect([response.status, response.headers.get("content-type")]).toEqual([200, "application/json"]);
  const { responses }: { responses: readonly Answer[] } = JSON.parse(await response.text());
  return responses;
}

/** What an isolate's pools came to, of one backend. */
async function poolOf(backend: string): Promise<Record<string, unknown> | undefined> {
  const response = await fetch(`${gateway.url}/admin/egress`, {
    headers: { authorization: `Bearer ${gateway.adminToken}` },
  });
  const { pools }: { pools: readonly Record<string, unknown>[] } = JSON.parse(await response.text());
  return pools.find((pool) => pool["backend"] === backend);
}

/** Answers a path after a while, and tells how many waited for that at once, at most. */
function slowly(path: string, ms: number): { readonly most: () => number } {
  let waiting = 0;
  let most = 0;
  origin.on(path, () => {
    waiting += 1;
    most = Math.max(most, waiting);
    const after = new Promise<void>((resolve) => {
      setTimeout(() => {
        waiting -= 1;
        resolve();
      }, ms);
    });
    return { after, body: "slow" };
  });
  return { most: () => most };
}

/** Something that the test lets happen. */
function latch(): { readonly opened: Promise<void>; readonly open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}

describe("50 requests in one", () => {
  it.each(["plain", "tried"])("never have more than six wait for heads at a backend that is %s", async (backend) => {
    const { most } = slowly(`/${backend}`, ORIGIN_MS);
    const requests = Array.from({ length: 50 }, (_, index) => ({ path: `/${backend}/${backend}?${index}` }));
    const answers = await batch(requests);
    expect(answers.map(({ status, body }) => `${status} ${String(body)}`)).toEqual(
      Array.from({ length: 50 }, () => "200 slow"),
    );
    expect(new Set(origin.asked(`/${backend}`).map(({ url }) => url)).size).toBe(50);
    expect(most()).toBeLessThanOrEqual(6);
    expect(await poolOf(backend)).toEqual({
      backend,
      active: 0,
      queued: 0,
      admitted: 50,
      waited: 45,
      waitedMs: expect.any(Number),
      timedOut: 0,
    });
  });

  it("are served past an origin that is silent, whichever came first", async () => {
    const { opened, open } = latch();
    other.on("/silent", { after: opened, body: "at last" });
    const silent = Array.from({ length: 20 }, () => ({ path: "/hung/silent" }));
    const quick = Array.from({ length: 30 }, () => ({ path: "/plain/quick" }));
    const answering = batch([...silent, ...quick]);
    await origin.until("/quick", 30);
    expect(other.asked("/silent")).toHaveLength(5);
    await vi.waitFor(async () => {
      expect(await poolOf("hung")).toMatchObject({ active: 5, queued: 15, admitted: 5, waited: 15, timedOut: 0 });
    }, PATIENCE);
    open();
    const answers = await answering;
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 50 }, () => 200));
    expect(await poolOf("hung")).toMatchObject({ active: 0, queued: 0, admitted: 20, waited: 15, timedOut: 0 });
  });

  it("are told to come back when no connection became free in time, and nothing of them is sent", async () => {
    const { opened, open } = latch();
    const before = await poolOf("hung");
    other.on("/long", { after: opened });
    const long = Array.from({ length: 5 }, () => ({ path: "/hung/long" }));
    const short = Array.from({ length: 3 }, () => ({ path: "/short/long" }));
    const answering = batch([...long, ...short]);
    await vi.waitFor(async () => expect(await poolOf("hung")).toMatchObject({ active: 5, timedOut: 3 }), PATIENCE);
    open();
    const answers = await answering;
    expect(answers.map(({ status, body }) => [status, body])).toEqual([
      ...Array.from({ length: 5 }, () => [200, expect.any(String)]),
      ...Array.from({ length: 3 }, () => [503, expect.objectContaining({ code: "overloaded" })]),
    ]);
    expect(answers.at(-1)?.headers["retry-after"]).toBe("1");
    expect(other.asked("/long")).toHaveLength(5);
    expect(await poolOf("hung")).toMatchObject({ active: 0, queued: 0, admitted: Number(before?.["admitted"]) + 5 });
  });
});

describe("answers", () => {
  it("come in the order of the requests, each with its status, headers and body", async () => {
    const { opened, open } = latch();
    const json = '{"big": 12345678901234567890,  "text": "\u00fc"}';
    origin.on("/json", { headers: { "content-type": "application/json" }, body: json, after: opened });
    origin.on("/problem", { status: 418, headers: { "content-type": "application/problem+json" }, body: '{"a":1}' });
    origin.on("/not-json", { headers: { "content-type": "application/json" }, body: "{" });
    origin.on("/text", { headers: { "content-type": "text/plain", "set-cookie": ["a=1", "b=2"] }, body: 'say "hi"' });
    origin.on("/bytes", { headers: { "content-type": "image/png" }, body: Buffer.from([0xff, 0xfe, 0]) });
    origin.on("/coded", { headers: { "content-encoding": "gzip" }, body: "as it is" });
    origin.on("/nothing", { status: 204, body: "" });
    const paths = ["/json", "/problem", "/not-json", "/text", "/bytes", "/coded", "/nothing", "/elsewhere"];
    const answering = post(paths.map((path) => ({ path: path === "/elsewhere" ? path : `/plain${path}` })));
    await origin.until("/nothing", 1);
    open();
    const written = await (await answering).text();
    const { responses }: { responses: readonly Answer[] } = JSON.parse(written);
    expect(responses.map(({ status, encoding, body }) => [status, encoding ?? "none", body])).toEqual([
      [200, "none", JSON.parse(json)],
      [418, "none", { a: 1 }],
      [200, "none", "{"],
      [200, "none", 'say "hi"'],
      [200, "base64", Buffer.from([0xff, 0xfe, 0]).toString("base64")],
      [200, "base64", Buffer.from("as it is").toString("base64")],
      [204, "none", undefined],
      [404, "none", expect.objectContaining({ code: "route-not-found" })],
    ]);
    expect(written).toContain(`"body":${json}`);
    expect(responses[3]?.headers["set-cookie"]).toEqual(["a=1", "b=2"]);
  });

  it("are what the guide shows", async () => {
    const guide = readFileSync(new URL("../../docs/guide/batch.md", import.meta.url), "utf8");
    const [, asked = ""] = /^POST \/batch[^]*?\n\n([^]*?)```/m.exec(guide) ?? [];
    const [, told = ""] = /```json\n([^]*?)```/.exec(guide) ?? [];
    origin.on("/shoes/1", { headers: { "content-type": "application/json" }, body: '{"id":1}' });
    origin.on("/cart/7", ({ headers }) => ({
      status: headers["if-match"] === '"3"' ? 204 : 412,
      headers: { etag: '"4"' },
      body: "",
    }));
    const { requests }: { requests: readonly object[] } = JSON.parse(asked);
    expect({ responses: await batch(requests) }).toMatchObject(JSON.parse(told));
  });

  it("leave room for each other: one that is too large is replaced, and its connection closed", async () => {
    origin.on("/large", { body: "x".repeat(200_000), held: { after: 100_000, until: new Promise(() => {}) } });
    origin.on("/small", { body: "small" });
    const answers = await batch([{ path: "/plain/large" }, { path: "/plain/small" }]);
    expect(answers.map(({ status, body }) => [status, body])).toEqual([
      [502, expect.objectContaining({ code: "upstream-response-too-large" })],
      [200, "small"],
    ]);
    await vi.waitFor(() => expect(origin.asked("/large")[0]?.socket.destroyed).toBe(true), PATIENCE);
  });
});

describe("each request", () => {
  it("is the same client's, with what the batch says and what it adds", async () => {
    origin.on("/add", { body: "added" });
    const part = {
      method: "PUT",
      path: "/plain/add?x=1",
      headers: {
        Authorization: "Bearer other",
        "X-Own": "own",
        Accept: "text/csv",
        Host: "other.example",
        "X-Forwarded-For": "192.0.2.66",
        "CF-Connecting-IP": "192.0.2.66",
        "Transfer-Encoding": "chunked",
        "Idempotency-Key": "own key",
      },
      body: { n: 1 },
    };
    await batch([part], { authorization: "Bearer mine", cookie: "a=b", "idempotency-key": "k", "if-match": '"x"' });
    const [seen] = origin.asked("/add");
    const named = ["authorization", "cookie", "x-own", "accept", "x-forwarded-for", "cf-connecting-ip", "content-type"];
    expect([seen?.method, seen?.url, ...named.map((name) => seen?.headers[name])]).toEqual([
      "PUT",
      "/add?x=1",
      "Bearer mine",
      "a=b",
      "own",
      "text/csv",
      "127.0.0.1",
      undefined,
      "application/json",
    ]);
    const others = ["idempotency-key", "if-match", "transfer-encoding", "content-length", "accept-encoding"];
    expect(others.map((name) => seen?.headers[name])).toEqual(["own key", undefined, undefined, "7", "identity"]);
    expect(seen?.headers["x-forwarded-host"]).toBe(new URL(gateway.url).host);
  });

  it("counts under the limits of its route, and is logged by itself", async () => {
    const answers = await batch(
      Array.from({ length: 3 }, () => ({ path: "/limited/x" })),
      {
        "x-request-id": "batch-of-three",
      },
    );
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 200, 429]);
    expect((await fetch(`${gateway.url}/limited/x`)).status).toBe(429);
    await vi.waitFor(() => {
      const lines = gateway.logs().filter(({ requestId }) => String(requestId).startsWith("batch-of-three"));
      expect(lines.map((line) => [line["requestId"], line["path"], line["batch"]].join(" ")).toSorted()).toEqual([
        "batch-of-three /batch 3",
        "batch-of-three-0 /limited/x ",
        "batch-of-three-1 /limited/x ",
        "batch-of-three-2 /limited/x ",
      ]);
    }, PATIENCE);
  });

  it("that has an idempotency key comes to its end though the client leaves", async () => {
    const { opened, open } = latch();
    origin.on("/pay", { after: opened, body: "paid" });
    const part = { method: "POST", path: "/once/pay", headers: { "Idempotency-Key": "one" }, body: { n: 1 } };
    const leaving = await RawClient.open(gateway.url);
    const headers = ["Content-Type: application/json", "X-Request-ID: left-by-its-client"];
    const body = JSON.stringify({ requests: [part] });
    const { host } = new URL(gateway.url);
    await leaving.send(request({ method: "POST", target: "/batch", host, headers, body }));
    await origin.until("/pay", 1);
    leaving.reset();
    await vi.waitFor(() => {
      expect(gateway.logs().filter(({ requestId }) => requestId === "left-by-its-client")).toHaveLength(1);
    }, PATIENCE);
    open();
    const [again] = await vi.waitFor(async () => {
      const answers = await batch([part]);
      expect(answers[0]?.body).not.toMatchObject({ code: "idempotency-in-flight" });
      return answers;
    }, PATIENCE);
    expect([again?.status, again?.body, again?.headers["idempotent-replayed"]]).toEqual([200, "paid", "true"]);
    expect(origin.asked("/pay")).toHaveLength(1);
  });

  it.each([
    ["a batch", "/batch"],
    ["the admin API", "/admin/config"],
    ["the root of the admin API", "/admin"],
    ["a health endpoint", "/readyz"],
  ])("is refused that is for %s", async (_, path) => {
    const answers = await batch([{ method: "POST", path, body: { requests: [{ path: "/plain/x" }] } }], {
      authorization: `Bearer ${gateway.adminToken}`,
    });
    expect(answers.map(({ status, body }) => [status, body])).toEqual([
      [400, expect.objectContaining({ code: "invalid-request" })],
    ]);
  });

  it.each<[string, number, string, object]>([
    ["a method that is never forwarded", 405, "method-not-allowed", { method: "TRACE", path: "/plain/x" }],
    ["a body that its method has not", 400, "invalid-request", { path: "/plain/x", body: "text" }],
    ["a header that is none", 400, "invalid-request", { path: "/plain/x", headers: { "a b": "c" } }],
  ])("is refused with %s, and the others are answered", async (_, status, code, part) => {
    origin.on("/fine", { body: "fine" });
    const answers = await batch([part, { path: "/plain/fine" }]);
    expect(answers.map((answer) => [answer.status, answer.body])).toEqual([
      [status, expect.objectContaining({ code })],
      [200, "fine"],
    ]);
  });
});

describe("a batch", () => {
  const json = { "content-type": "application/json" };
  const many = JSON.stringify({ requests: Array.from({ length: 51 }, () => ({ path: "/plain/x" })) });
  it.each<[number, string, RequestInit]>([
    [405, "method-not-allowed", { method: "GET" }],
    [415, "unsupported-media-type", { method: "POST", headers: { "content-type": "text/plain" }, body: "{}" }],
    [415, "unsupported-media-type", { method: "POST" }],
    [400, "invalid-request", { method: "POST", headers: json, body: "{" }],
    [400, "invalid-request", { method: "POST", headers: json, body: '{"requests":[]}' }],
    [400, "invalid-request", { method: "POST", headers: json, body: '{"requests":[{"path":"//other.example/"}]}' }],
    [400, "invalid-request", { method: "POST", headers: json, body: '{"requests":[{"path":"http://a/"}]}' }],
    [400, "invalid-request", { method: "POST", headers: json, body: '{"requests":[{"path":"/a","url":"/b"}]}' }],
    [400, "invalid-request", { method: "POST", headers: json, body: many }],
    [413, "payload-too-large", { method: "POST", headers: json, body: "x".repeat(70_000) }],
  ])("is answered %d %s", async (status, code, init) => {
    const response = await fetch(`${gateway.url}/batch`, init);
    expect([response.status, await response.json()]).toEqual([status, expect.objectContaining({ code })]);
  });

  it.each([
    ["requests", `{"requests":[${"1,".repeat(30_000)}1]}`],
    ["keys", `{"requests":[{"path":"/plain/x"${Array.from({ length: 4_000 }, (_, key) => `,"k${key}":1`).join("")}}]}`],
  ])("is told a few of what is wrong with too many %s", async (_, body) => {
    const response = await fetch(`${gateway.url}/batch`, { method: "POST", headers: json, body });
    expect(response.status).toBe(400);
    expect((await response.text()).length).toBeLessThan(10_000);
  });
});
