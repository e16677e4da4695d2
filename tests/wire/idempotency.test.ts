import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { valueOf, valuesOf } from "../support/message-head.ts";
import { type Act, close, hang, reset, send } from "../support/origin/act.ts";
import { Origin } from "../support/origin/origin.ts";
import { patternBytes } from "../support/origin/pattern-bytes.ts";
import { problemOf } from "../support/problem.ts";
import { ask, RawClient, type RawAnswer } from "../support/raw-client.ts";
import { type RawRequest, request } from "../support/raw-request.ts";

let origin: Origin;
let gateway: Gateway;
let keys = 0;

beforeAll(async () => {
  origin = await Origin.start();
  gateway = await startGateway({
    config: config(),
    isolates: 2,
    entry: fileURLToPath(new URL("../support/idempotency-entry.ts", import.meta.url)),
  });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

function config(): unknown {
  const retry = { maxRetries: 2, backoff: { base: 1, max: 1 }, budget: { ratio: 1 } };
  const circuitBreaker = { failureThreshold: 1 };
  const backends = {
    plain: { targets: [{ url: origin.url }] },
    retried: { targets: [{ url: `${origin.url}/retried` }], retry },
    guarded: { targets: [{ url: `${origin.url}/guarded` }], circuitBreaker },
    replaced: {
      targets: [{ url: `${origin.url}/replaced` }],
      circuitBreaker: { ...circuitBreaker, fallback: { response: { status: 200, body: "closed today" } } },
    },
  };
  const routes: Record<string, Record<string, unknown>> = {
    plain: {},
    required: { idempotency: { required: true } },
    again: { idempotency: { onUnknown: "retry" } },
    small: { idempotency: { maxBodySize: 10, maxAnswerSize: 10 } },
    named: { idempotency: { header: "X-Order-Id", by: "header:x-account", methods: ["PUT"] } },
    hasty: { timeouts: { total: 2_000 } },
    permits: { rateLimit: { algorithm: "concurrency", maxConcurrent: 5 } },
    limited: { rateLimit: { requestsPerWindow: 1, windowSeconds: 3600, deadline: "20s" } },
    retried: { backend: "retried" },
    "retried-again": { backend: "retried", idempotency: { onUnknown: "retry" } },
    guarded: { backend: "guarded" },
    replaced: { backend: "replaced" },
    off: { idempotency: false },
  };
  return {
    allowPrivateTargets: true,
    clientIp: { header: "x-test-client", trustedProxies: ["127.0.0.0/8"] },
    idempotency: true,
    backends,
    routes: Object.entries(routes).map(([id, route]) =>
      Object.assign({ id, path: `/${id}/*`, backend: "plain" }, route),
    ),
  };
}

interface Keyed extends RawRequest {
  readonly key?: string | undefined;
  readonly client?: string;
  readonly isolate?: number;
}

/** The same two times. */
function both<Value>(value: Value): readonly Value[] {
  return [value, value];
}

function newKey(): string {
  keys += 1;
  return `key-${keys}`;
}

/** A POST with a body of two bytes, unless it says otherwise. */
function requestOf({ key, client = "192.0.2.1", headers = [], ...rest }: Keyed): RawRequest {
  const fields = [`X-Test-Client: ${client}`, ...(key === undefined ? [] : [`Idempotency-Key: ${key}`])];
  const body = rest.chunks === undefined ? { body: "hi" } : {};
  return { method: "POST", ...body, ...rest, headers: [...fields, ...headers] };
}

function post({ isolate = 0, ...keyed }: Keyed): Promise<RawAnswer> {
  return ask(gateway.urls[isolate] ?? "", requestOf(keyed));
}

/** What a client sees: the code of a problem, else status and text. */
function told(answer: RawAnswer): string {
  const problem = problemOf(answer);
  return problem === undefined
    ? `${answer.status} ${answer.body.toString("utf8")}`
    : `${problem.status} ${problem.code}`;
}

function isReplayed({ headers }: RawAnswer): boolean {
  return valueOf(headers, "idempotent-replayed") === "true";
}

function timesSeen(target: string): number {
  return origin.seen.filter((seen) => seen.target === target).length;
}

function answers(target: string, head: string, body = ""): void {
  origin.answer(target, send(`HTTP/1.1 ${head}\r\nContent-Length: ${body.length}\r\n\r\n${body}`));
}

async function fail(how: string): Promise<void> {
  await (await fetch(gateway.url, { headers: { "x-test-dedup": how } })).text();
}

/** What the log says of the key. */
async function logged(answer: RawAnswer): Promise<unknown> {
  const requestId = valueOf(answer.headers, "x-request-id");
  const find = () => gateway.logs().find((line) => line["requestId"] === requestId);
  await vi.waitFor(() => expect(find()).toBeDefined(), { timeout: 15_000, interval: 10 });
  return find()?.["idempotency"];
}

/** Sends the same twice, to two isolates. */
async function twice(keyed: Keyed): Promise<readonly string[]> {
  const key = newKey();
  const answered = [];
  for (const isolate of [0, 1]) answered.push(told(await post({ ...keyed, key, isolate })));
  return answered;
}

describe("a request with a key that was used", () => {
  it("gets the status, the fields and the bytes of the answer that there was, in any isolate", async () => {
    const target = "/plain/order";
    const head = "201 Made\r\nLocation: /orders/7\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Odd: \xc3\xa4";
    answers(target, head, "order 7");
    const key = newKey();
    const first = await post({ target, key });
    const second = await post({ target, key: `"${key}"`, isolate: 1 });
    const seen = ({ status, headers, body }: RawAnswer) => ({
      status,
      fields: ["location", "set-cookie", "x-odd", "content-length"].map((name) => valuesOf(headers, name)),
      body: body.toString("latin1"),
    });
    expect(seen(first)).toEqual({
      status: 201,
      fields: [["/orders/7"], ["a=1", "b=2"], ["\xc3\xa4"], ["7"]],
      body: "order 7",
    });
    expect(seen(second)).toEqual(seen(first));
    expect([isReplayed(first), isReplayed(second)]).toEqual([false, true]);
    expect([await logged(first), await logged(second)]).toEqual(["kept", "replayed"]);
    expect(valueOf(first.headers, "x-request-id")).not.toBe(valueOf(second.headers, "x-request-id"));
    expect(origin.seen.filter((seen) => seen.target === target).map(({ bodyText }) => bodyText)).toEqual(["hi"]);
  });

  it.each([
    ["in chunks", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello"],
    ["of no body", "Content-Length: 0\r\n\r\n", ""],
    ["in a coding", "Content-Encoding: gzip\r\nContent-Length: 7\r\n\r\n\x1f\x8bhello", "\x1f\x8bhello"],
    ["until the end", "Connection: close\r\n\r\nhello", "hello"],
  ])("gets an answer %s as it was", async (name, rest, body) => {
    const target = `/plain/${name.replaceAll(" ", "-")}`;
    origin.answer(target, send(`HTTP/1.1 200 OK\r\n${rest}`), ...(rest.startsWith("Conn") ? [close] : []));
    const key = newKey();
    const first = await post({ target, key });
    const second = await post({ target, key });
    expect([first, second].map((answer) => answer.body.toString("latin1"))).toEqual([body, body]);
    expect([first, second].map(({ headers }) => valueOf(headers, "content-encoding"))).toEqual(
      both(name === "in a coding" ? "gzip" : undefined),
    );
    expect([isReplayed(first), isReplayed(second), timesSeen(target)]).toEqual([false, true, 1]);
  });

  it.each(["204 No Content", "304 Not Modified"])("gets a %s again", async (head) => {
    const target = `/plain/${head.slice(0, 3)}`;
    origin.answer(target, send(`HTTP/1.1 ${head}\r\nETag: "a"\r\n\r\n`));
    const key = newKey();
    const answered = [await post({ target, key }), await post({ target, key })];
    expect(answered.map(({ status, headers }) => [status, valueOf(headers, "etag")])).toEqual(
      both([Number(head.slice(0, 3)), '"a"']),
    );
    expect(timesSeen(target)).toBe(1);
  });

  it("is told that the first one is under way", async () => {
    const target = "/plain/held";
    const key = newKey();
    const first = post({ target, key });
    await origin.until("the first is at the origin", () => timesSeen(target) === 1);
    const second = await post({ target, key, isolate: 1 });
    origin.release();
    expect([told(second), valueOf(second.headers, "retry-after")]).toEqual(["409 idempotency-in-flight", "1"]);
    expect((await first).status).toBe(200);
    expect(isReplayed(await post({ target, key, isolate: 1 }))).toBe(true);
    expect(timesSeen(target)).toBe(1);
  });

  it.each<readonly [string, Partial<Keyed>]>([
    ["body", { body: "ho" }],
    ["path", { target: "/plain/other-path" }],
    ["query", { target: "/plain/reused?a" }],
    ["method", { method: "PATCH" }],
    ["host", { host: "other.test" }],
    ["content type", { headers: ["Content-Type: text/plain"] }],
    ["credentials", { headers: ["Authorization: Bearer other"] }],
    ["cookie", { headers: ["Cookie: session=other"] }],
  ])("is refused when it has another %s", async (_, other) => {
    const key = newKey();
    await post({ target: "/plain/reused", key });
    const seen = origin.seen.length;
    expect(told(await post({ target: "/plain/reused", key, ...other }))).toBe("422 idempotency-key-reused");
    expect(origin.seen.length).toBe(seen);
  });
});

describe("a request", () => {
  it("with the key of another client, or on another route, is another one", async () => {
    const key = newKey();
    const target = "/plain/mine";
    const asked: readonly Keyed[] = [
      { target },
      { target, client: "192.0.2.2" },
      { target, client: "2001:db8::1" },
      { target: "/again/mine" },
    ];
    for (const keyed of asked) expect(isReplayed(await post({ ...keyed, key }))).toBe(false);
    for (const keyed of asked) expect(isReplayed(await post({ ...keyed, key }))).toBe(true);
    expect([timesSeen(target), timesSeen("/again/mine")]).toEqual([3, 1]);
  });

  it("is told apart by what the route says, from any address and with any credentials", async () => {
    const target = "/named/mine";
    const fields = (account: string, token: string) => [
      "X-Order-Id: 7",
      `X-Account: ${account}`,
      `Authorization: Bearer ${token}`,
    ];
    const put = (account: string, token: string, client: string) =>
      post({ method: "PUT", target, client, headers: fields(account, token) });
    expect(isReplayed(await put("a", "1", "192.0.2.1"))).toBe(false);
    expect(isReplayed(await put("a", "2", "192.0.2.2"))).toBe(true);
    expect(isReplayed(await put("b", "1", "192.0.2.1"))).toBe(false);
    const nameless = await post({ method: "PUT", target, headers: ["X-Order-Id: 7", "Authorization: Bearer 1"] });
    expect(isReplayed(nameless)).toBe(false);
    const other = await post({ method: "PUT", target, headers: ["X-Order-Id: 7", "Authorization: Bearer 2"] });
    expect(told(other)).toBe("422 idempotency-key-reused");
  });

  it.each<readonly [string, Keyed]>([
    ["without a key", { target: "/plain/untouched/1" }],
    ["of another method", { target: "/plain/untouched/2", method: "PUT", key: "a" }],
    [
      "whose connection keeps the key",
      { target: "/plain/untouched/3", key: "a", headers: ["Connection: idempotency-key"] },
    ],
    ["on a route without the policy", { target: "/off/untouched", key: "a" }],
  ])("%s is sent each time", async (_, keyed) => {
    const answered = [await post(keyed), await post(keyed)];
    expect(answered.map((answer) => [answer.status, isReplayed(answer)])).toEqual(both([200, false]));
    expect(timesSeen(keyed.target)).toBe(2);
  });

  it.each<readonly [string, Keyed, string]>([
    ["without a key that the route requires", { target: "/required/x" }, "400 idempotency-key-missing"],
    ["with two keys", { target: "/required/x", key: "a, b" }, "400 invalid-request"],
    ["with an empty key", { target: "/plain/refused", key: "" }, "400 invalid-request"],
    ["with too long a body", { target: "/small/x", key: "a", body: "12345678901" }, "413 payload-too-large"],
    [
      "with too long a body in chunks",
      { target: "/small/x", key: "a", chunks: ["123456", "78901"] },
      "413 payload-too-large",
    ],
  ])("%s is refused, and not sent", async (_, keyed, what) => {
    const seen = origin.seen.length;
    expect(told(await post(keyed))).toBe(what);
    expect(origin.seen.length).toBe(seen);
  });

  it("in chunks and one in a piece are the same", async () => {
    const key = newKey();
    await post({ target: "/plain/framed", key, chunks: ["h", "i"] });
    expect(isReplayed(await post({ target: "/plain/framed", key, body: "hi" }))).toBe(true);
    expect(origin.seenAt("/plain/framed").map(({ bodyText }) => bodyText)).toEqual(["hi"]);
  });

  it("of a megabyte is sent as it came", async () => {
    const body = "x".repeat(1_000_000);
    const key = newKey();
    const answered = [];
    for (let turn = 0; turn < 2; turn += 1) answered.push(await post({ target: "/plain/large", key, body }));
    expect(answered.map(isReplayed)).toEqual([false, true]);
    const [seen] = origin.seenAt("/plain/large");
    expect(seen?.bodySha256).toBe(createHash("sha256").update(body).digest("hex"));
  });

  it("whose client leaves comes to its end, and to its answer", async () => {
    const target = "/plain/left/held";
    const key = newKey();
    const client = await RawClient.open(gateway.url);
    await client.send(request(requestOf({ target, key })));
    await origin.until("it is at the origin", () => timesSeen(target) === 1);
    client.reset();
    // The gateway sees that before it sees the next connection.
    const health = async () => (await fetch(`${gateway.url}/healthz`)).status;
    await vi.waitFor(async () => expect(await health()).toBe(200), { timeout: 15_000 });
    origin.release();
    await vi.waitFor(async () => expect(isReplayed(await post({ target, key }))).toBe(true), { timeout: 15_000 });
    expect(timesSeen(target)).toBe(1);
  });
});

it("a request that is broken off with its permit, as its client leaves, is not sent again", async () => {
  const target = "/permits/left/held";
  const key = newKey();
  const client = await RawClient.open(gateway.url);
  await client.send(request(requestOf({ target, key })));
  await origin.until("it is at the origin", () => timesSeen(target) === 1);
  client.reset();
  await origin.until("it is broken off", ({ busy }) => busy === 0);
  await vi.waitFor(async () => expect(told(await post({ target, key }))).toBe("409 idempotency-outcome-unknown"), {
    timeout: 15_000,
  });
  expect(timesSeen(target)).toBe(1);
});

describe("what is known of an attempt", () => {
  it.each<readonly [string, readonly Act[], readonly string[]]>([
    ["answers 500", [send("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")], ["500 ", "500 "]],
    ["answers 409", [send("HTTP/1.1 409 No\r\nContent-Length: 0\r\n\r\n")], ["409 ", "409 "]],
    [
      "answers 503",
      [send("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")],
      ["503 ", "409 idempotency-outcome-unknown"],
    ],
    ["breaks the connection", [reset], ["502 upstream-unreachable", "409 idempotency-outcome-unknown"]],
    [
      "breaks a short answer off",
      [send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal"), close],
      ["502 upstream-invalid-response", "409 idempotency-outcome-unknown"],
    ],
    [
      "breaks a stream off",
      [send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhal\r\n"), close],
      ["502 upstream-invalid-response", "409 idempotency-outcome-unknown"],
    ],
  ])("is kept where the origin %s: it is never sent again", async (name, acts, answered) => {
    const target = `/plain/once/${name.replaceAll(" ", "-")}`;
    origin.answer(target, ...acts);
    expect(await twice({ target })).toEqual(answered);
    expect(timesSeen(target)).toBe(1);
  });

  it("is kept where the answer does not come whole in time", async () => {
    const target = "/hasty/late";
    origin.answer(target, send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhal\r\n"), hang);
    expect(await twice({ target })).toEqual(["504 upstream-timeout", "409 idempotency-outcome-unknown"]);
    expect(timesSeen(target)).toBe(1);
  });

  it.each(["429 Slow down", "503 Busy\r\nRetry-After: 1"])(
    "is that there was none where the origin refuses: %j",
    async (head) => {
      const target = `/plain/refused/${head.slice(0, 3)}`;
      answers(target, head);
      const status = `${head.slice(0, 3)} `;
      expect(await twice({ target })).toEqual([status, status]);
      expect(timesSeen(target)).toBe(2);
    },
  );

  it("allows another where the route says that it does no harm", async () => {
    const target = "/again/reset";
    origin.answer(target, reset);
    const key = newKey();
    expect(told(await post({ target, key }))).toBe("502 upstream-unreachable");
    answers(target, "200 OK", "ok");
    expect(told(await post({ target, key }))).toBe("200 ok");
    expect(isReplayed(await post({ target, key }))).toBe(true);
    expect(timesSeen(target)).toBe(2);
  });

  it.each(["", "?chunked=1"])("is that it is done where the answer is too large to be kept%s", async (query) => {
    const target = `/small/bytes/300000${query}`;
    const key = newKey();
    const first = await post({ target, key });
    expect(first.body.equals(Buffer.concat([...patternBytes(300_000)]))).toBe(true);
    const second = await post({ target, key, isolate: 1 });
    const { isDone, until } = JSON.parse(second.body.toString("utf8"));
    expect([told(second), isDone]).toEqual(["409 idempotency-outcome-unknown", true]);
    expect(Date.parse(until)).toBeGreaterThan(Date.now() + 86_000_000);
    expect(timesSeen(target)).toBe(1);
  });
});

describe("nothing is held against a key of which nothing was sent:", () => {
  it("the client's limit is used up", async () => {
    const client = "192.0.2.99";
    await post({ target: "/limited/a", client });
    expect(told(await post({ target: "/limited/b", client, key: "limited" }))).toBe("429 quota-exceeded");
    expect(timesSeen("/limited/b")).toBe(0);
  });

  it("the breaker is open", async () => {
    const target = "/guarded/guarded/a";
    origin.answer(target, reset);
    const key = newKey();
    expect(told(await post({ target: "/guarded/a", key: newKey() }))).toBe("502 upstream-unreachable");
    for (let turn = 0; turn < 2; turn += 1) {
      const answer = await post({ target: "/guarded/a", key });
      expect([told(answer), await logged(answer)]).toEqual(["503 breaker-open", "released"]);
    }
    expect(timesSeen(target)).toBe(1);
  });

  it("a static answer stood in", async () => {
    origin.answer("/replaced/replaced/a", reset);
    await post({ target: "/replaced/a", key: newKey() });
    const key = newKey();
    const answered = [await post({ target: "/replaced/a", key }), await post({ target: "/replaced/a", key })];
    expect(answered.map((answer) => [told(answer), isReplayed(answer)])).toEqual(both(["200 closed today", false]));
  });
});

describe("retries", () => {
  it("make no second effect of a key", async () => {
    const target = "/retried/retried/a";
    origin.answer(target, send("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"));
    expect(await twice({ target: "/retried/a" })).toEqual(["503 ", "409 idempotency-outcome-unknown"]);
    expect(timesSeen(target)).toBe(1);
  });

  it("are made where the route says that they do no harm", async () => {
    const target = "/retried/retried-again/a";
    origin.answer(target, send("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"));
    expect(told(await post({ target: "/retried-again/a", key: newKey() }))).toBe("503 ");
    expect(timesSeen(target)).toBe(3);
  });
});

describe("while the owner of a key", () => {
  it.each(["claim throws", "claim is lost", "claim hangs"])(
    "fails (%s), nothing is sent, and the key is not used up",
    async (how) => {
      const target = `/plain/unclaimed/${how.replaceAll(" ", "-")}`;
      const key = newKey();
      await fail(how);
      const refused = await post({ target, key, isolate: 1 });
      await fail("none");
      expect([told(refused), valueOf(refused.headers, "retry-after")]).toEqual(["503 dependency-unavailable", "1"]);
      expect(timesSeen(target)).toBe(0);
      // What it took down is given back behind the answer.
      await vi.waitFor(async () => expect((await post({ target, key })).status).toBe(200), { timeout: 15_000 });
      expect(timesSeen(target)).toBe(1);
    },
  );

  it("takes no outcome, the answer is held back, and the request is not sent again", async () => {
    const target = "/hasty/unsettled";
    const key = newKey();
    await fail("settle throws");
    const held = await post({ target, key });
    await fail("none");
    expect(told(held)).toBe("503 dependency-unavailable");
    expect(told(await post({ target, key }))).toBe("409 idempotency-in-flight");
    expect(timesSeen(target)).toBe(1);
  });

  it("loses the word that it took the outcome, it is told again", async () => {
    const target = "/plain/settled-twice";
    const key = newKey();
    await fail("settle is lost");
    expect(told(await post({ target, key }))).toBe("503 dependency-unavailable");
    await fail("none");
    expect(isReplayed(await post({ target, key }))).toBe(true);
    expect(timesSeen(target)).toBe(1);
  });
});
