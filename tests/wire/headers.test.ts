import { brotliCompressSync, gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { namesOf, valueOf, valuesOf } from "../support/message-head.ts";
import { send } from "../support/origin/act.ts";
import { Origin } from "../support/origin/origin.ts";
import { patternBytes } from "../support/origin/pattern-bytes.ts";
import { problemOf } from "../support/problem.ts";
import { type RawAnswer, type ReadOptions, exchange } from "../support/raw-client.ts";
import { type RawRequest, request } from "../support/raw-request.ts";

let origin: Origin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await Origin.start();
  gateway = await startGateway({
    config: {
      allowPrivateTargets: true,
      routes: [
        { prefix: "/api", target: `${origin.url}/base/` },
        { prefix: "/slash/", target: `${origin.url}/base/` },
        { prefix: "/bare", target: origin.url },
        { path: "/users/:id/*", target: `${origin.url}/v2` },
        { prefix: "/limited", target: origin.url, rateLimit: { requestsPerWindow: 2, windowSeconds: 3600 } },
      ],
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

describe("towards the origin", () => {
  test("a bare request gets what the gateway says about it and nothing else", async () => {
    const answer = await ask({ target: "/bare/a" });
    const seen = (origin.seen.at(-1)?.headers ?? []).map(([name, value]) => [name.toLowerCase(), value]);
    expect(seen.toSorted()).toEqual([
      ["forwarded", 'for=127.0.0.1;host="gateway.test";proto=http'],
      ["host", new URL(origin.url).host],
      ["x-forwarded-for", "127.0.0.1"],
      ["x-forwarded-host", "gateway.test"],
      ["x-forwarded-proto", "http"],
      ["x-request-id", valueOf(answer.headers, "x-request-id")],
    ]);
  });

  test("end-to-end fields arrive as they were sent", async () => {
    const headers = ["Accept-Encoding: br;q=0.5, zstd", "Cookie: a=1; b=2", "Authorization: Bearer t", "If-None-Match: \"x\"", "Range: bytes=0-9", "User-Agent: old/1", "Content-Type: text/plain; charset=utf-8", "Via: 1.0 front"];
    await ask({ target: "/bare/a", headers });
    const seen = origin.seen.at(-1)?.headers ?? [];
    expect(headers.map((line) => `${line.slice(0, line.indexOf(":"))}: ${valueOf(seen, line.slice(0, line.indexOf(":")))}`)).toEqual(headers);
  });

  test("a declared body keeps its length", async () => {
    await ask({ method: "PUT", target: "/bare/a", body: "abc" });
    const { method, headers, bodyText, bodyEnd } = origin.seen.at(-1) ?? {};
    expect([method, valueOf(headers ?? [], "content-length"), bodyText, bodyEnd]).toEqual(["PUT", "3", "abc", "length"]);
  });

  test("a declared body over 64 KiB keeps its length", async () => {
    const body = "a".repeat(100_000);
    await ask({ method: "POST", target: "/bare/a", body });
    const { headers, bodyBytes, bodyEnd } = origin.seen.at(-1) ?? {};
    expect([valueOf(headers ?? [], "content-length"), bodyBytes, bodyEnd]).toEqual(["100000", 100_000, "length"]);
  });

  test("an empty body keeps its length of 0", async () => {
    await ask({ method: "POST", target: "/bare/a", body: "" });
    expect(valuesOf(origin.seen.at(-1)?.headers ?? [], "content-length")).toEqual(["0"]);
  });

  test("a chunked body stays chunked", async () => {
    await ask({ method: "PATCH", target: "/bare/a", chunks: ["ab", "c"] });
    const { headers, bodyText, bodyEnd } = origin.seen.at(-1) ?? {};
    expect([namesOf(headers ?? []).includes("content-length"), bodyText, bodyEnd]).toEqual([false, "abc", "last-chunk"]);
  });

  test.each(["GET", "HEAD", "DELETE", "OPTIONS"])("%s carries a body if the client sent one", async (method) => {
    await ask({ method, target: "/bare/a", body: "{}" });
    const { method: seen, headers, bodyText } = origin.seen.at(-1) ?? {};
    expect([seen, valueOf(headers ?? [], "content-length"), bodyText]).toEqual([method, "2", "{}"]);
  });

  test.each(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "PURGE", "QUERY"])("the method %s arrives as it is", async (method) => {
    await ask({ method, target: "/bare/a" });
    expect(origin.seen.at(-1)?.method).toBe(method);
  });

  test.each([
    ["/api", "/base/"],
    ["/api/", "/base/"],
    ["/api/a/b", "/base/a/b"],
    ["/api//a", "/base//a"],
    ["/slash/a", "/base/a"],
    ["/bare", "/"],
    ["/bare/", "/"],
    ["/bare/a%2Fb/", "/a%2Fb/"],
    ["/api?z=1&a=%20&z=0", "/base/?z=1&a=%20&z=0"],
    ["/api/a?", "/base/a?"],
    ["/users/7/posts?x", "/v2/users/7/posts?x"],
  ])("%s is asked of the target as %s", async (target, wanted) => {
    await ask({ target });
    expect(origin.seen.at(-1)?.target).toBe(wanted);
  });
});

describe("towards the client", () => {
  test("several cookies stay several, in their order", async () => {
    const answer = await answerOf("Set-Cookie: a=1; Path=/\r\nSet-Cookie: b=2, c\r\nSet-Cookie: a=3\r\nContent-Length: 0\r\n\r\n");
    expect(valuesOf(answer.headers, "set-cookie")).toEqual(["a=1; Path=/", "b=2, c", "a=3"]);
  });

  test("fields of the origin's connection stay there, those that its Connection names too", async () => {
    const answer = await answerOf(
      "Connection: X-Internal, close\r\nX-Internal: 1\r\nKeep-Alive: timeout=9\r\nProxy-Authenticate: Basic\r\nProxy-Connection: close\r\nUpgrade: h2c\r\nTE: trailers\r\nTrailer: X-T\r\nX-Public: 2\r\nContent-Length: 0\r\n\r\n",
    );
    const names = namesOf(answer.headers);
    const hidden = ["connection", "x-internal", "keep-alive", "proxy-authenticate", "proxy-connection", "upgrade", "te", "trailer"];
    expect(names.filter((name) => hidden.includes(name) || name === "x-public")).toEqual(["x-public"]);
  });

  test("a Connection that names what must not go is not obeyed", async () => {
    const answer = await answerOf("Connection: Content-Length, X-Request-ID, Set-Cookie\r\nSet-Cookie: a=1\r\nContent-Length: 5\r\n\r\nhello");
    expect([answer.body.toString(), answer.end, valuesOf(answer.headers, "x-request-id").length]).toEqual(["hello", "length", 1]);
  });

  test("the gateway adds its own fields once", async () => {
    const answer = await answerOf("X-Request-ID: origin\r\nX-Response-Time: origin\r\nContent-Length: 0\r\n\r\n");
    expect(valueOf(answer.headers, "x-request-id")).not.toBe("origin");
    expect(valueOf(answer.headers, "x-response-time")).toMatch(/^\d+$/);
  });

  test("HEAD keeps the length of the body that GET would have", async () => {
    const answer = await answerOf("Content-Length: 12345\r\nETag: \"x\"\r\n\r\n", { method: "HEAD" });
    expect([answer.status, valueOf(answer.headers, "content-length"), valueOf(answer.headers, "etag"), answer.end]).toEqual([200, "12345", '"x"', "none"]);
  });

  test.each([
    ["204 No Content", "", 204],
    ["304 Not Modified", 'ETag: "x"\r\n', 304],
    ["205 Reset Content", "Content-Length: 0\r\n", 205],
  ])("%s has no body", async (line, headers, status) => {
    const answer = await answerOf(`${headers}\r\n`, {}, line);
    expect([answer.status, answer.body.length]).toEqual([status, 0]);
    if (status === 304) expect(valueOf(answer.headers, "etag")).toBe('"x"');
  });

  test.each(["200", "203", "206", "299", "400", "404", "418", "451", "500", "503", "599"])("the status %s of the origin is the client's", async (status) => {
    const answer = await answerOf("Content-Length: 2\r\n\r\nno", {}, `${status} Some Reason`);
    expect([answer.status, answer.body.toString(), problemOf(answer)]).toEqual([Number(status), "no", undefined]);
  });

  test.each(["301", "302", "303", "307", "308"])("a %s is passed on, not followed", async (status) => {
    const before = origin.seen.length;
    const location = `${origin.url}/internal?a=1`;
    const answer = await answerOf(`Location: ${location}\r\nContent-Length: 0\r\n\r\n`, {}, `${status} Moved`);
    expect([answer.status, valueOf(answer.headers, "location"), origin.seen.length - before]).toEqual([Number(status), location, 1]);
  });

  test("a header of 200 KB and 1,000 headers arrive whole", async () => {
    const many = Array.from({ length: 1000 }, (_, index) => `x-many-${index}: ${index}`);
    const answer = await answerOf(`X-Large: ${"x".repeat(200_000)}\r\n${many.join("\r\n")}\r\nContent-Length: 0\r\n\r\n`);
    expect([valueOf(answer.headers, "x-large")?.length, namesOf(answer.headers).filter((name) => name.startsWith("x-many-")).length]).toEqual([200_000, 1000]);
  });

  test("bytes that are no UTF-8 in a value arrive as they are", async () => {
    const answer = await answerOf("X-Odd: caf\xe9 \xc3\xa9\r\nContent-Length: 0\r\n\r\n");
    expect(valueOf(answer.headers, "x-odd")).toBe("caf\xe9 \xc3\xa9");
  });
});

describe("a coded body", () => {
  const plain = Buffer.concat([...patternBytes(200_000)]);
  const codings = [
    ["gzip", gzipSync(plain.subarray(0, 1000))],
    ["br", brotliCompressSync(plain.subarray(0, 1000))],
    ["zstd", zstdCompressSync(plain.subarray(0, 1000))],
    ["gzip", gzipSync(plain)],
    ["br", brotliCompressSync(plain)],
  ] as const;

  test.each(codings)("%s passes byte for byte, whatever the client accepts", async (coding, bytes) => {
    for (const headers of [[], ["Accept-Encoding: identity"], ["Accept-Encoding: gzip, br, zstd"]]) {
      const answer = await answerOf(`Content-Encoding: ${coding}\r\nContent-Length: ${bytes.length}\r\n\r\n${bytes.toString("latin1")}`, { headers });
      expect([valueOf(answer.headers, "content-encoding"), valueOf(answer.headers, "content-length"), answer.body.equals(bytes)]).toEqual([coding, String(bytes.length), true]);
    }
  });

  test.each(codings)("%s passes byte for byte in chunks", async (coding, bytes) => {
    const answer = await answerOf(`Content-Encoding: ${coding}\r\nTransfer-Encoding: chunked\r\n\r\n${bytes.length.toString(16)}\r\n${bytes.toString("latin1")}\r\n0\r\n\r\n`);
    expect([valueOf(answer.headers, "content-encoding"), answer.end, answer.body.equals(bytes)]).toEqual([coding, "last-chunk", true]);
  });

  test("is not touched on its way to the origin either", async () => {
    const bytes = codings[0][1];
    await ask({ method: "POST", target: "/bare/a", headers: ["Content-Encoding: gzip"], body: bytes.toString("latin1") });
    const { headers, bodyBytes } = origin.seen.at(-1) ?? {};
    expect([valueOf(headers ?? [], "content-encoding"), bodyBytes]).toEqual(["gzip", bytes.length]);
  });
});

test("a limited client learns its quota, what is left, and when to return", async () => {
  const answers = [await ask({ target: "/limited/a" }), await ask({ target: "/limited/a" }), await ask({ target: "/limited/a" })];
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 429]);
  const [policy, ...same] = new Set(answers.map(({ headers }) => valueOf(headers, "ratelimit-policy")));
  expect(same).toEqual([]);
  expect(policy).toMatch(/^"[\w-]+";q=2;w=3600;pk=:[A-Za-z0-9+/=]+:$/);
  const left = answers.map(({ headers }) => /^"[\w-]+";r=(\d+)(;t=\d+)?;pk=:[A-Za-z0-9+/=]+:$/.exec(valueOf(headers, "ratelimit") ?? "")?.slice(1));
  const [, , refused] = answers;
  const retryAfter = refused && valueOf(refused.headers, "retry-after");
  expect(left).toEqual([["1", undefined], ["0", undefined], ["0", `;t=${retryAfter}`]]);
  expect(Number(retryAfter)).toBeGreaterThanOrEqual(1);
  expect(Number(retryAfter)).toBeLessThanOrEqual(1800);
  expect(refused && problemOf(refused)).toEqual({ status: 429, code: "quota-exceeded" });
});

async function ask(options: RawRequest): Promise<RawAnswer> {
  const read: ReadOptions = options.method === undefined ? {} : { method: options.method };
  const answer = await exchange(gateway.url, request(options), read);
  if (answer === undefined) throw new Error(`no answer to ${options.target}`);
  return answer;
}

let scripted = 0;

/** What the client gets when the origin answers exactly this. */
function answerOf(headersAndBody: string, options: Partial<RawRequest> = {}, statusLine = "200 OK"): Promise<RawAnswer> {
  scripted += 1;
  origin.answer(`/scripted/${scripted}`, send(`HTTP/1.1 ${statusLine}\r\n${headersAndBody}`));
  return ask({ ...options, target: `/bare/scripted/${scripted}` });
}
