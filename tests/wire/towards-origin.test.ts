import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { namesOf, valueOf, valuesOf } from "../support/message-head.ts";
import { Origin } from "../support/origin/origin.ts";
import { ask } from "../support/raw-client.ts";

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
        {
          prefix: "/by-cookie",
          target: origin.url,
          rateLimit: { requestsPerWindow: 5, window: "1m", by: "cookie:sid" },
        },
        { path: "/users/:id/*", target: `${origin.url}/v2` },
      ],
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

describe("towards the origin", () => {
  test("cookies that a limit counts by are the one line that it saw, so no second one picks its counter", async () => {
    await ask(gateway.url, { target: "/by-cookie/a", headers: ["Cookie: sid=real", "Cookie: x=1"] });
    expect(valuesOf(origin.seen.at(-1)?.headers ?? [], "cookie")).toEqual(["sid=real, x=1"]);
  });

  test("a bare request gets what the gateway says about it and nothing else", async () => {
    const answer = await ask(gateway.url, { target: "/bare/a" });
    const seen = (origin.seen.at(-1)?.headers ?? []).map(([name, value]) => `${name.toLowerCase()}: ${value}`);
    expect(new Set(seen)).toEqual(
      new Set([
        'forwarded: for=127.0.0.1;host="gateway.test";proto=http',
        `host: ${new URL(origin.url).host}`,
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: gateway.test",
        "x-forwarded-proto: http",
        `x-request-id: ${valueOf(answer.headers, "x-request-id")}`,
      ]),
    );
  });

  test("end-to-end fields arrive as they were sent", async () => {
    const headers = [
      "Accept-Encoding: br;q=0.5, zstd",
      "Cookie: a=1; b=2",
      "Authorization: Bearer t",
      'If-None-Match: "x"',
      "Range: bytes=0-9",
      "User-Agent: old/1",
      "Content-Type: text/plain; charset=utf-8",
      "Via: 1.0 front",
    ];
    await ask(gateway.url, { target: "/bare/a", headers });
    const seen = origin.seen.at(-1)?.headers ?? [];
    expect(
      headers.map((line) => `${line.slice(0, line.indexOf(":"))}: ${valueOf(seen, line.slice(0, line.indexOf(":")))}`),
    ).toEqual(headers);
  });

  test("a declared body keeps its length", async () => {
    await ask(gateway.url, { method: "PUT", target: "/bare/a", body: "abc" });
    const { method, headers, bodyText, bodyEnd } = origin.seen.at(-1) ?? {};
    expect([method, valueOf(headers ?? [], "content-length"), bodyText, bodyEnd]).toEqual([
      "PUT",
      "3",
      "abc",
      "length",
    ]);
  });

  test("a declared body over 64 KiB keeps its length", async () => {
    const body = "a".repeat(100_000);
    await ask(gateway.url, { method: "POST", target: "/bare/a", body });
    const { headers, bodyBytes, bodyEnd } = origin.seen.at(-1) ?? {};
    expect([valueOf(headers ?? [], "content-length"), bodyBytes, bodyEnd]).toEqual(["100000", 100_000, "length"]);
  });

  test("an empty body keeps its length of 0", async () => {
    await ask(gateway.url, { method: "POST", target: "/bare/a", body: "" });
    expect(valuesOf(origin.seen.at(-1)?.headers ?? [], "content-length")).toEqual(["0"]);
  });

  test("a chunked body stays chunked", async () => {
    await ask(gateway.url, { method: "PATCH", target: "/bare/a", chunks: ["ab", "c"] });
    const { headers, bodyText, bodyEnd } = origin.seen.at(-1) ?? {};
    expect([namesOf(headers ?? []).includes("content-length"), bodyText, bodyEnd]).toEqual([
      false,
      "abc",
      "last-chunk",
    ]);
  });

  test.each(["GET", "HEAD", "DELETE", "OPTIONS"])("%s carries a body if the client sent one", async (method) => {
    await ask(gateway.url, { method, target: "/bare/a", body: "{}" });
    const { method: seen, headers, bodyText } = origin.seen.at(-1) ?? {};
    expect([seen, valueOf(headers ?? [], "content-length"), bodyText]).toEqual([method, "2", "{}"]);
  });

  test.each(["GET", "HEAD"])("%s with a chunked body is refused, since it would arrive without it", async (method) => {
    const before = origin.seen.length;
    const { status } = await ask(gateway.url, { method, target: "/bare/a", chunks: ["ab", "c"] });
    expect([status, origin.seen.length - before]).toEqual([400, 0]);
  });

  test("GET with an empty chunked body is forwarded without one", async () => {
    const { status } = await ask(gateway.url, { target: "/bare/a", chunks: [] });
    expect([status, origin.seen.at(-1)?.bodyEnd]).toEqual([200, "none"]);
  });

  test("GET carries a body over 64 KiB", async () => {
    await ask(gateway.url, { target: "/bare/a", body: "a".repeat(100_000) });
    const { bodyBytes, bodyEnd } = origin.seen.at(-1) ?? {};
    expect([bodyBytes, bodyEnd]).toEqual([100_000, "length"]);
  });

  test.each(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "PURGE", "QUERY"])(
    "the method %s arrives as it is",
    async (method) => {
      await ask(gateway.url, { method, target: "/bare/a" });
      expect(origin.seen.at(-1)?.method).toBe(method);
    },
  );

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
    await ask(gateway.url, { target });
    expect(origin.seen.at(-1)?.target).toBe(wanted);
  });
});
