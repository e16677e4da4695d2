import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { valueOf } from "../support/message-head.ts";
import { send } from "../support/origin/act.ts";
import { Origin } from "../support/origin/origin.ts";
import { ask, type RawAnswer } from "../support/raw-client.ts";

/** Nothing comes back while a test runs. */
const YEAR = 31_536_000;
/** Settlements and log lines travel after the answer; on a busy machine that takes a while. */
const PATIENCE_MS = 15_000;
/** One request for each client, so that every second one shows who is the same client. */
const once = { requestsPerWindow: 1, windowSeconds: YEAR };
// Only the owner may decide here, however busy the machine is.
const sure = { onError: "closed", deadline: "20s" };

let origin: Origin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await Origin.start();
  for (const status of [200, 401, 404, 418, 500, 503]) {
    origin.answer(`/status/${status}`, send(`HTTP/1.1 ${status} Told\r\nContent-Length: 2\r\n\r\nok`));
  }
  gateway = await startGateway({ isolates: 4, config: config() });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

function config(): unknown {
  const route = (id: string, limit: object) => ({
    id,
    prefix: `/${id}`,
    target: origin.url,
    rateLimit: { name: id, ...sure, ...once, ...limit },
  });
  const shared = (id: string, rateLimitMultiplier: number) => ({
    id,
    prefix: `/${id}`,
    target: origin.url,
    rateLimitMultiplier,
  });
  const composed = ["header:X-Tenant", "cookie:sid", "route"];
  const behindProxy = { header: "X-Forwarded-For", trustedProxies: ["127.0.0.0/8"] };
  return {
    allowPrivateTargets: true,
    clientIp: behindProxy,
    rateLimit: { ...sure, requestsPerWindow: 100, windowSeconds: YEAR, algorithm: "fixed-window", by: "all" },
    routes: [
      route("address", { by: "ip" }),
      route("header", { by: "header:X-Key" }),
      route("cookie", { by: "cookie:sid" }),
      route("claim", { by: "claim:tenant" }),
      route("composed", { by: composed }),
      route("composed-owned", { by: composed, clients: "own" }),
      route("composed-asked", { by: composed, mode: "strict" }),
      route("composed-flying", { by: ["ip", "header:X-Tenant"] }),
      route("exempt", { by: "ip", exempt: { cidrs: ["198.51.100.0/24", "2001:db8:7::/48"] } }),
      route("listed", { by: "all", requestsPerWindow: 100, countWhen: [401, "5xx"] }),
      route("by-path", { by: "all", requestsPerWindow: 100, cost: { paths: { "/by-path/export": 50 }, otherwise: 2 } }),
      shared("triple", 3),
      shared("half", 0.5),
      shared("plain", 1),
    ],
  };
}

/** The statuses of requests with these headers, one after the other, each from the next isolate. */
async function statuses(target: string, requests: readonly (readonly string[])[]): Promise<readonly number[]> {
  const seen: number[] = [];
  for (const [index, headers] of requests.entries()) {
    seen.push((await ask(gateway.urls[index % gateway.urls.length] ?? "", { target, headers })).status);
  }
  return seen;
}

const from = (address: string): readonly string[] => [`X-Forwarded-For: ${address}`];

describe("over four isolates, a client is", () => {
  test("its IPv4 address, or the /64 of its IPv6 address", async () => {
    const addresses = ["192.0.2.1", "192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"];
    const sixes = ["2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"];
    expect(await statuses("/address/a", [...addresses, ...sixes].map(from))).toEqual([
      200, 429, 429, 200, 200, 429, 200,
    ]);
  });

  test.each([
    ["header", ["X-Key: a"], ["X-Key: b"]],
    ["cookie", ["Cookie: theme=x; sid=a"], ["Cookie: sid=b; theme=x"]],
  ])("what its %s says, and without one its address", async (route, one, other) => {
    const asked = [one, one, other, from("192.0.2.3"), from("192.0.2.3"), from("192.0.2.4")];
    expect(await statuses(`/${route}/a`, asked)).toEqual([200, 429, 200, 200, 429, 200]);
  });

  test("its address where only authentication could say more", async () => {
    const asked = [from("192.0.2.5"), from("192.0.2.5"), from("192.0.2.6")];
    expect(await statuses("/claim/a", asked)).toEqual([200, 429, 200]);
  });

  test.each(["composed", "composed-owned", "composed-asked"])("all that is composed at once, on %s", async (route) => {
    const who = (tenant: string, session: string) => [`X-Tenant: ${tenant}`, `Cookie: sid=${session}`];
    // Parts that would read the same when run together are other clients.
    const asked = [
      who("a", "b"),
      who("a", "b"),
      who("a", "c"),
      who("b", "b"),
      who("ab", ""),
      who("a", "b"),
      who("b", "a"),
    ];
    expect(await statuses(`/${route}/a`, asked)).toEqual([200, 429, 200, 200, 200, 429, 200]);
  });

  test("its address and its header together, each changing the client", async () => {
    const who = (address: string, tenant: string) => [...from(address), `X-Tenant: ${tenant}`];
    const asked = [who("192.0.2.7", "a"), who("192.0.2.7", "a"), who("192.0.2.8", "a"), who("192.0.2.7", "b")];
    expect(await statuses("/composed-flying/a", asked)).toEqual([200, 429, 200, 200]);
  });

  test("not limited at all where it is exempt, and gets no header of the limit", async () => {
    const asked = ["198.51.100.9", "198.51.100.9", "2001:db8:7:1::5", "2001:db8:7:1::5", "192.0.2.9", "192.0.2.9"];
    expect(await statuses("/exempt/a", asked.map(from))).toEqual([200, 200, 200, 200, 200, 429]);
    const answer = await ask(gateway.url, { target: "/exempt/a", headers: from("198.51.100.9") });
    expect(valueOf(answer.headers, "ratelimit")).toBeUndefined();
  });
});

test("routes that share a limit take from it by their multipliers", async () => {
  const left: unknown[] = [];
  for (const route of ["triple", "half", "half", "plain", "triple"]) {
    left.push(remainingIn(await ask(gateway.url, { target: `/${route}/a` })));
  }
  // 97, 96.5, 96, 95, 92: whole tokens are told.
  expect(left).toEqual([97, 96, 96, 95, 92]);
});

test("a path takes what it costs", async () => {
  const told: [number, number][] = [];
  for (const path of ["other", "export", "exports", "export/all"]) {
    const answer = await ask(gateway.url, { target: `/by-path/${path}` });
    told.push([answer.status, remainingIn(answer)]);
  }
  expect(told).toEqual([
    [200, 98],
    [200, 48],
    [200, 46],
    [429, 46],
  ]);
});

test("statuses that a list names count, by number and by class, and no others", async () => {
  const told: [number, unknown][] = [];
  for (const status of [200, 401, 404, 500, 418, 503, 401]) {
    const answer = await ask(gateway.url, { target: `/listed/status/${status}` });
    told.push([answer.status, await settledIn(answer)]);
  }
  expect(told).toEqual([
    [200, 100],
    [401, 99],
    [404, 99],
    [500, 98],
    [418, 98],
    [503, 97],
    [401, 96],
  ]);
});

function remainingIn({ headers }: RawAnswer): number {
  return Number(/;r=(\d+)/.exec(valueOf(headers, "ratelimit") ?? "")?.[1]);
}

/** What the owner has left for the client of an answer once nothing is reserved any more. */
async function settledIn({ headers }: RawAnswer): Promise<unknown> {
  const [, handle = ""] = /pk=:(\w{24}):/.exec(valueOf(headers, "ratelimit") ?? "") ?? [];
  const authorization = [`Authorization: Bearer ${gateway.adminToken}`];
  return vi.waitFor(async () => {
    const answer = await ask(gateway.url, { target: `/admin/clients/${handle}`, headers: authorization });
    const { policies }: { policies: Record<string, unknown>[] } = JSON.parse(answer.body.toString("utf8"));
    // Nothing is remembered of a client that has everything.
    const counter = policies.find(({ policy }) => policy === "route:listed");
    expect(counter?.["outstanding"] ?? 0).toBe(0);
    return counter?.["remaining"] ?? 100;
  }, PATIENCE_MS);
}
