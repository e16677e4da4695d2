import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gateway, startGateway } from "../../support/gateway.ts";
import { valueOf } from "../../support/message-head.ts";
import { Origin } from "../../support/origin/origin.ts";
import { problemOf } from "../../support/problem.ts";
import { exchange, RawClient } from "../../support/raw-client.ts";
import { request } from "../../support/raw-request.ts";
import { hostileConfig } from "./rows.ts";

const CHUNKED_POST = "POST /small/a HTTP/1.1\r\nHost: gateway.test\r\nTransfer-Encoding: chunked\r\n\r\n";
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

let origin: Origin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await Origin.start();
  gateway = await startGateway({ config: hostileConfig(origin.url) });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

describe("a chunked body", () => {
  test("that grows over the limit is refused, and the origin's request is cut", async () => {
    const bytes = `${CHUNKED_POST}40\r\n${"a".repeat(64)}\r\n40\r\n${"a".repeat(64)}\r\n0\r\n\r\n`;
    const answer = await exchange(gateway.url, bytes);
    expect(answer && problemOf(answer)).toEqual({ status: 413, code: "payload-too-large" });
    await origin.until("the request to end at the origin", ({ busy }) => busy === 0);
    expect(origin.seenAt("/via-small").map(({ bodyEnd }) => bodyEnd)).not.toContain("last-chunk");
  });

  test("with a chunk size that is no number is refused, and the origin's request is cut", async () => {
    const before = origin.seen.length;
    const answer = await exchange(gateway.url, `${CHUNKED_POST}3\r\nabc\r\nzz\r\nabc\r\n0\r\n\r\n`);
    expect(answer && problemOf(answer)).toEqual({ status: 400, code: "invalid-request" });
    await origin.until("the request to end at the origin", ({ busy }) => busy === 0);
    expect(origin.seen.slice(before).map(({ bodyEnd }) => bodyEnd)).not.toContain("last-chunk");
  });

  test("that ends without its last chunk never looks whole to the origin", async () => {
    const before = origin.seen.length;
    const client = await RawClient.open(gateway.url);
    await client.send(`${CHUNKED_POST}3\r\nabc\r\n`);
    await origin.until("the request to reach the origin", ({ seen }) => seen.length > before);
    client.reset();
    await origin.until("the request to end at the origin", ({ busy }) => busy === 0);
    expect(origin.seen.slice(before).map(({ bodyEnd }) => bodyEnd)).not.toContain("last-chunk");
  });
});

describe("a second request hidden in the first", () => {
  test.each([
    [
      "behind a length and chunks",
      "POST /public/a HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 60\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /private/smuggled HTTP/1.1\r\nHost: gateway.test\r\n\r\n",
    ],
    ["in the trailers", `${CHUNKED_POST}3\r\nabc\r\n0\r\nGET /private/smuggled HTTP/1.1\r\nHost: gateway.test\r\n\r\n`],
    [
      "in a chunk extension",
      `${CHUNKED_POST}3;\nGET /private/smuggled HTTP/1.1\nHost: gateway.test\n\n\r\nabc\r\n0\r\n\r\n`,
    ],
    [
      "behind a body that is shorter than its length",
      "POST /small/a HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 3\r\n\r\nabGET /private/smuggled HTTP/1.1\r\nHost: gateway.test\r\n\r\n",
    ],
  ])("%s never reaches the origin", async (_where, bytes) => {
    const client = await RawClient.open(gateway.url);
    await client.send(bytes);
    client.finish();
    await client.rest();
    expect(origin.seenAt("/via-private/smuggled")).toEqual([]);
  });
});

test("requests sent at once on one connection are answered in their order", async () => {
  const client = await RawClient.open(gateway.url);
  await client.send(request({ target: "/public/first" }) + request({ target: "/public/second" }));
  const answers = [await client.answer(), await client.answer()];
  client.close();
  expect(answers.map((answer) => JSON.parse(answer?.body.toString() ?? "").target)).toEqual([
    "/via-public/first",
    "/via-public/second",
  ]);
});

describe("X-Request-ID", () => {
  test.each(["0f8fad5b-d9cb-469f-a165-70867728950e", "trace:2026/11.a_b~c", "a".repeat(128)])(
    "%s is kept",
    async (id) => {
      const answer = await exchange(gateway.url, request({ target: "/public/a", headers: [`X-Request-ID: ${id}`] }));
      expect([
        answer && valueOf(answer.headers, "x-request-id"),
        valueOf(origin.seen.at(-1)?.headers ?? [], "x-request-id"),
      ]).toEqual([id, id]);
    },
  );

  test.each(["", "short", "with space", '"><script>', "a".repeat(129), "caf\xe9-1234", "a\x1b[31mbcdefgh"])(
    "%j is replaced",
    async (id) => {
      const answer = await exchange(gateway.url, request({ target: "/public/a", headers: [`X-Request-ID: ${id}`] }));
      const given = answer && valueOf(answer.headers, "x-request-id");
      expect(given).toMatch(UUID);
      expect(valueOf(origin.seen.at(-1)?.headers ?? [], "x-request-id")).toBe(given);
    },
  );
});

test("a client that forges its address stays the client that it is to the limiter", async () => {
  const forged = [
    [],
    ["X-Forwarded-For: 10.0.0.1"],
    ["Forwarded: for=10.0.0.2"],
    ["CF-Connecting-IP: 9.9.9.9"],
    ["X-Real-IP: 10.0.0.3"],
    ["True-Client-IP: 10.0.0.4"],
  ];
  const statuses: (number | undefined)[] = [];
  for (const headers of forged)
    statuses.push((await exchange(gateway.url, request({ target: "/once/a", headers })))?.status);
  expect(statuses).toEqual([200, 429, 429, 429, 429, 429]);
});

test("a client that hides its key from the origin is to the limiter one that sent none", async () => {
  const statuses: (number | undefined)[] = [];
  for (const headers of [[], ["Connection: X-Key", "X-Key: 1"], ["Connection: close, x-key", "X-Key: 2"]])
    statuses.push((await exchange(gateway.url, request({ target: "/keyed/a", headers })))?.status);
  expect(statuses).toEqual([200, 429, 429]);
});

test("a host that nobody serves is misdirected when every route names its hosts", async () => {
  const strict = await startGateway({
    config: { allowPrivateTargets: true, routes: [{ prefix: "/", hosts: ["only.test"], target: origin.url }] },
  });
  const answers = [
    await exchange(strict.url, request({ target: "/a", host: "evil.test" })),
    await exchange(strict.url, request({ target: "/a", host: "only.test" })),
  ];
  await strict.stop();
  expect(answers.map((answer) => answer && (problemOf(answer) ?? answer.status))).toEqual([
    { status: 421, code: "misdirected-request" },
    200,
  ]);
});

test("no secret of a request reaches the log, and no request writes a line of its own", async () => {
  const secret = "canary-4711";
  const id = "log-injection-test";
  const headers = [
    `X-Request-ID: ${id}`,
    `Authorization: Bearer ${secret}`,
    `Cookie: session=${secret}`,
    `X-Api-Key: ${secret}`,
    `User-Agent: a\x1b[31m"}\\u2028{"level":"fatal"`,
  ];
  await exchange(gateway.url, request({ target: `/public/%22%7D%0B%7B?token=${secret}`, headers }));
  const lines = await linesOf(id);
  expect(lines).toHaveLength(1);
  expect(JSON.stringify(gateway.logs())).not.toContain(secret);
});

/** The log lines of one exchange; they cross a process boundary, so they are polled for. */
async function linesOf(requestId: string): Promise<readonly Record<string, unknown>[]> {
  for (const end = Date.now() + 10_000; Date.now() < end;) {
    const lines = gateway.logs().filter((line) => line["requestId"] === requestId);
    if (lines.length > 0) return lines;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`no log line of ${requestId}`);
}
