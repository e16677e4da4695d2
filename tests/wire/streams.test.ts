import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { valueOf } from "../support/message-head.ts";
import { Origin } from "../support/origin/origin.ts";
import { patternBytes, patternDigest } from "../support/origin/pattern-bytes.ts";
import { problemOf } from "../support/problem.ts";
import { exchange, RawClient } from "../support/raw-client.ts";
import { request } from "../support/raw-request.ts";

const LARGE = 64 * 1024 * 1024;
const digest = patternDigest(LARGE);

let origin: Origin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await Origin.start();
  gateway = await startGateway({
    config: {
      allowPrivateTargets: true,
      sizeLimits: { maxBodySize: 2 * LARGE },
      routes: [
        { prefix: "/patient", target: origin.url },
        { prefix: "/hasty", target: origin.url, timeouts: { headers: 500, idle: 500, requestBody: 500 } },
        { prefix: "/whole", target: origin.url, timeouts: { total: 500 } },
      ],
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

describe("a body of 64 MiB", () => {
  test.each([
    ["with its length", "", "length"],
    ["in chunks", "?chunked=1", "last-chunk"],
  ])("comes down whole %s", async (_, query, end) => {
    const hash = createHash("sha256");
    const answer = await exchange(gateway.url, request({ target: `/patient/bytes/${LARGE}${query}` }), {
      onBytes: (piece) => void hash.update(piece),
    });
    expect([answer?.status, answer?.end, hash.digest("hex")]).toEqual([200, end, digest]);
  });

  test.each([
    ["with its length", `Content-Length: ${LARGE}`, false, "length"],
    ["in chunks", "Transfer-Encoding: chunked", true, "last-chunk"],
  ])("goes up whole %s", async (_, framing, isChunked, end) => {
    const client = await RawClient.open(gateway.url);
    await client.send(`PUT /patient/upload HTTP/1.1\r\nHost: gateway.test\r\n${framing}\r\n\r\n`);
    for (const piece of patternBytes(LARGE)) {
      await client.send(
        isChunked
          ? Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n")])
          : piece,
      );
    }
    if (isChunked) await client.send("0\r\n\r\n");
    const answer = await client.answer();
    client.close();
    const { bodyBytes, bodyEnd, bodySha256 } = origin.seen.at(-1) ?? {};
    expect([answer?.status, bodyBytes, bodyEnd, bodySha256]).toEqual([200, LARGE, end, digest]);
  });
});

test("server-sent events arrive one by one, each before the next is sent", async () => {
  const client = await RawClient.open(gateway.url);
  await client.send(request({ target: "/patient/sse?events=5" }));
  const events: string[] = [];
  origin.release();
  const answer = await client.answer({
    onBytes: (piece) => {
      events.push(piece.toString());
      // Only now does the origin send another: an event that was held back would stall the stream for good.
      if (events.length < 5) origin.release();
    },
  });
  client.close();
  expect([answer?.end, events]).toEqual(["last-chunk", [1, 2, 3, 4, 5].map((event) => `data: ${event}\n\n`)]);
});

test("200 requests in flight at once all succeed", async () => {
  const target = "/patient/together?count=200";
  const answers = await Promise.all(Array.from({ length: 200 }, () => exchange(gateway.url, request({ target }))));
  expect(answers.map((answer) => answer?.body.toString())).toEqual(
    Array.from({ length: 200 }, () => '{"together":true}'),
  );
});

test("an answer that comes before the body was taken reaches the client", async () => {
  const client = await RawClient.open(gateway.url);
  await client.send(
    "POST /patient/early HTTP/1.1\r\nHost: gateway.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
  );
  const answer = await client.answer();
  client.close();
  expect([answer?.status, answer?.body.toString()]).toEqual([403, "no"]);
  await origin.until("the request to end at the origin", ({ busy }) => busy === 0);
});

describe("50 clients that go away by a reset leave nothing behind at the origin", () => {
  test.each([
    ["before the response head", request({ target: "/patient/held" })],
    ["in a download", request({ target: `/patient/bytes/${LARGE}` })],
    ["in a chunked download", request({ target: `/patient/bytes/${LARGE}?chunked=1` })],
    ["in an event stream", request({ target: "/patient/sse?events=1" })],
    [
      "in an upload",
      `POST /patient/a HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: ${LARGE}\r\n\r\n${"a".repeat(100_000)}`,
    ],
    [
      "in a chunked upload",
      "POST /patient/a HTTP/1.1\r\nHost: gateway.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
  ])("%s", async (_, bytes) => {
    const before = origin.seen.length;
    const clients = await Promise.all(Array.from({ length: 50 }, () => RawClient.open(gateway.url)));
    for (const client of clients) void client.send(bytes);
    await origin.until("50 requests to arrive", ({ seen, busy }) => seen.length === before + 50 && busy === 50);
    for (const client of clients) client.reset();
    await origin.until("50 requests to end", ({ busy }) => busy === 0);
    expect(origin.seen.length).toBe(before + 50);
  });
});

describe("a client that goes away by a FIN", () => {
  test("in a download frees its connection to the origin", async () => {
    const client = await RawClient.open(gateway.url);
    await client.send(request({ target: `/patient/bytes/${LARGE}` }));
    await origin.until("the request to arrive", ({ busy }) => busy === 1);
    client.close();
    await origin.until("the request to end", ({ busy }) => busy === 0);
  });

  test.each([
    ["before the response head", "/hasty/held"],
    ["in a silent event stream", "/hasty/sse?events=1"],
  ])("%s frees its connection by the deadline", async (_, target) => {
    const client = await RawClient.open(gateway.url);
    await client.send(request({ target }));
    await origin.until("the request to arrive", ({ busy }) => busy === 1);
    client.close();
    await origin.until("the request to end", ({ busy }) => busy === 0);
  });
});

describe("a request body that does not come in time", () => {
  test("is answered 408 before the origin hears of it, when it is short", async () => {
    const before = origin.seen.length;
    const answer = await exchange(
      gateway.url,
      "POST /hasty/a HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 10\r\n\r\nhello",
    );
    expect([answer && problemOf(answer), origin.seen.length - before]).toEqual([
      { status: 408, code: "request-timeout" },
      0,
    ]);
  });

  test.each([
    ["long", `Content-Length: 1000000\r\n\r\n${"a".repeat(70_000)}`],
    ["chunked", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"],
  ])("is answered 408 and cut at the origin, when it is %s", async (_, rest) => {
    const before = origin.seen.length;
    const answer = await exchange(gateway.url, `POST /hasty/a HTTP/1.1\r\nHost: gateway.test\r\n${rest}`);
    expect(answer && problemOf(answer)).toEqual({ status: 408, code: "request-timeout" });
    await origin.until("the request to end at the origin", ({ busy }) => busy === 0);
    expect(origin.seen.slice(before).map(({ bodyEnd }) => bodyEnd)).not.toContain("last-chunk");
    expect(origin.seen.slice(before).map(({ bodyEnd }) => bodyEnd)).not.toContain("length");
  });

  test.each([
    ["short", "Content-Length: 10\r\n\r\nhello"],
    ["long", `Content-Length: 1000000\r\n\r\n${"a".repeat(70_000)}`],
    ["chunked", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"],
  ])("is answered 408 when the whole request is late with it, and the body is %s", async (_, rest) => {
    const answer = await exchange(gateway.url, `POST /whole/a HTTP/1.1\r\nHost: gateway.test\r\n${rest}`);
    expect(answer && problemOf(answer)).toEqual({ status: 408, code: "request-timeout" });
  });

  test("is answered 408 also when it is a GET's", async () => {
    const answer = await exchange(
      gateway.url,
      "GET /hasty/a HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 10\r\n\r\nhello",
    );
    expect(answer && problemOf(answer)).toEqual({ status: 408, code: "request-timeout" });
  });

  test("leaves other clients alone", async () => {
    const slow = await RawClient.open(gateway.url);
    await slow.send("POST /patient/a HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 10\r\n\r\nhello");
    const answer = await exchange(gateway.url, request({ target: "/patient/b" }));
    slow.reset();
    expect(answer && [answer.status, valueOf(answer.headers, "content-type")]).toEqual([200, "application/json"]);
  });
});

test("an upload waits for an origin that does not read, and then goes on", async () => {
  const client = await RawClient.open(gateway.url);
  const bytes = 4 * 1024 * 1024;
  await client.send(`POST /patient/unread HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: ${bytes}\r\n\r\n`);
  const sent = (async () => {
    for (const piece of patternBytes(bytes)) await client.send(piece);
  })();
  await origin.until("the request to arrive", ({ busy }) => busy === 1);
  origin.release();
  await sent;
  const answer = await client.answer();
  client.close();
  expect([answer?.status, origin.seen.at(-1)?.bodySha256]).toEqual([200, patternDigest(bytes)]);
});
