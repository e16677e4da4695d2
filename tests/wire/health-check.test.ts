import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { reset, send, trickle } from "../support/origin/act.ts";
import { Origin, refusingUrl } from "../support/origin/origin.ts";

/** Longer than anything takes that ends by itself. */
const LONG = "20s";
/** Of a check that can only end by its timeout. */
const SHORT = "300ms";

/** A case: how a backend is checked, and what is found. */
type Case = readonly [title: string, healthCheck: object, finding: object];

const REDIRECT = "HTTP/1.1 302 Found\r\nLocation: /secret\r\nContent-Length: 0\r\n\r\n";
const UNAVAILABLE = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";
const LATE = `HTTP/1.1 200 OK\r\nContent-Length: 70005\r\n\r\n${"x".repeat(70_000)}ready`;
const INTERIM = "HTTP/1.1 103 Early Hints\r\n\r\n";
const LARGE_HEAD = `HTTP/1.1 200 OK\r\nX-Large: ${"x".repeat(1_000_000)}\r\nContent-Length: 0\r\n\r\n`;
const IN_TWO_PIECES = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nrea\r\n3\r\ndy.\r\n0\r\n\r\n";

const found = (ok: boolean, status: number | null, detail = `status ${status}`) => ({ ok, status, detail });
const NO_TEXT = "status 200, but its body does not include the expected text";

const cases: readonly Case[] = [
  ["any answer from 200 to 399", { path: "/well" }, found(true, 200)],
  ["a HEAD without a body", { path: "/well", method: "HEAD" }, found(true, 200)],
  ["a redirect, which is not followed", { path: "/moved" }, found(true, 302)],
  ["a redirect where 200 is wanted", { path: "/moved", statuses: [200] }, found(false, 302)],
  ["a status out of the range", { path: "/unavailable" }, found(false, 503)],
  ["a status that was asked for", { path: "/unavailable", statuses: ["2xx", 503] }, found(true, 503)],
  ["no answer", { path: "/fault/hang-before-head", timeout: SHORT }, found(false, null, "no answer in time")],
  ["a head without end", { path: "/fault/hang-in-head", timeout: SHORT }, found(false, null, "no answer in time")],
  ["a reset", { path: "/fault/reset-before-head" }, found(false, null, "no connection, or no HTTP")],
  ["no HTTP", { path: "/fault/version-nonsense" }, found(false, null, "no connection, or no HTTP")],
  ["a body that nobody wants", { path: "/fault/hang-in-large-body" }, found(true, 200)],
  ["a body that nobody wants and that breaks off", { path: "/fault/reset-in-large-body" }, found(true, 200)],
  ["a short body that nobody wants and that breaks off", { path: "/fault/reset-in-small-body" }, found(true, 200)],
  ["a status out of the range, whose body breaks off", { path: "/breaking" }, found(false, 503)],
  ["another protocol", { path: "/fault/interim-101" }, found(false, null, "the answer is not valid HTTP")],
  ["a status that is none", { path: "/fault/status-999" }, found(false, null, "the answer is not valid HTTP")],
  ["interim answers without end", { path: "/interim", timeout: SHORT }, found(false, null, "no answer in time")],
  ["a head of a megabyte", { path: "/large" }, found(false, null, "no connection, or no HTTP")],
  ["the expected text", { path: "/well", bodyIncludes: '"method":"GET"' }, found(true, 200)],
  ["the expected text in two pieces", { path: "/pieces", bodyIncludes: "ready" }, found(true, 200)],
  [
    "the expected text in a body without end",
    { path: "/fault/hang-in-small-body", bodyIncludes: "hello" },
    found(true, 200),
  ],
  ["another text", { path: "/well", bodyIncludes: "ready" }, found(false, 200, NO_TEXT)],
  ["a text beyond 64 KiB", { path: "/late", bodyIncludes: "ready" }, found(false, 200, NO_TEXT)],
  ["an empty body", { path: "/moved", bodyIncludes: "ready" }, found(false, 302, NO_TEXT.replace("200", "302"))],
  [
    "half a body that never ends",
    { path: "/fault/hang-in-small-body", bodyIncludes: "ready", timeout: "2s" },
    found(false, 200, "no answer in time"),
  ],
  [
    "a body that is cut off",
    { path: "/fault/truncated-small-length", bodyIncludes: "ready" },
    found(false, 200, "the answer is not valid HTTP"),
  ],
  [
    "a coded body",
    { path: "/fault/gzip-that-is-not", bodyIncludes: "hello" },
    found(false, 200, "status 200, but its body is coded as gzip"),
  ],
];

let origin: Origin;
let gateway: Gateway;
let refusing: string;

beforeAll(async () => {
  origin = await Origin.start();
  refusing = await refusingUrl();
  for (const index of cases.keys()) {
    origin.answer(`/${index}/moved`, send(REDIRECT));
    origin.answer(`/${index}/unavailable`, send(UNAVAILABLE));
    origin.answer(`/${index}/pieces`, send(IN_TWO_PIECES));
    origin.answer(`/${index}/late`, send(LATE));
    origin.answer(`/${index}/breaking`, send(UNAVAILABLE.replace("4", "9")), reset);
    origin.answer(`/${index}/interim`, trickle(INTERIM.repeat(1_000), 1));
    origin.answer(`/${index}/large`, send(LARGE_HEAD));
  }
  const checked = cases.map(([, healthCheck], index) => [
    `case-${index}`,
    { targets: [{ url: target(index) }], healthCheck: { timeout: LONG, interval: "30s", ...healthCheck } },
  ]);
  const plain = { targets: [{ url: `${origin.url}/plain` }] };
  const down = { targets: [{ url: refusing }], healthCheck: "/well" };
  gateway = await startGateway({
    entry: "tests/support/origin-entry.ts",
    config: {
      allowPrivateTargets: true,
      backends: { ...Object.fromEntries(checked), plain, down },
      routes: [{ prefix: "/", backend: "plain" }],
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

/** Each case has a target of its own: one URL has one health check. */
function target(index: number): string {
  return `${origin.url}/${index}`;
}

async function check(backend: string, url: string, version = 0): Promise<unknown> {
  const response = await fetch(gateway.url, { headers: { "x-test-check": `${backend} ${url} ${version}` } });
  return response.json();
}

describe("a health check", () => {
  it.each(cases.map(([title, , finding], index) => ({ title, finding, index })))("meets $title", async (one) => {
    const { finding, index } = one;
    const answer = await check(`case-${index}`, target(index));
    expect(answer).toEqual({ kind: "judged", durationMs: expect.any(Number), ...finding });
    await origin.until("nothing being left open", ({ busy }) => busy === 0);
    expect(origin.seenAt("/secret")).toEqual([]);
  });

  it("meets a target that refuses connections", async () => {
    expect(await check("down", refusing)).toMatchObject(found(false, null, "no connection, or no HTTP"));
  });

  it("says who asks", async () => {
    await check("case-0", target(0));
    const { method, target: path, headers } = origin.seenAt("/0/well").at(-1) ?? {};
    expect([method, path]).toEqual(["GET", "/0/well"]);
    expect(headers).toContainEqual(["User-Agent", "sluice-health-check"]);
  });

  it("is made of nothing that is not configured", async () => {
    const before = origin.seen.length;
    expect(await check("nobody", target(0))).toEqual({ kind: "not-configured" });
    expect(await check("plain", `${origin.url}/plain`)).toEqual({ kind: "not-configured" });
    expect(await check("case-0", `${origin.url}/elsewhere`)).toEqual({ kind: "not-configured" });
    expect(origin.seen.length).toBe(before);
  });

  it("waits for the configuration that asked for it", async () => {
    const { kind } = Object(await check("case-0", target(0), 2 ** 52));
    expect(kind).toBe("unknown");
  });
});
