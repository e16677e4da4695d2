import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { valueOf } from "../support/message-head.ts";
import { send } from "../support/origin/act.ts";
import { Origin } from "../support/origin/origin.ts";
import { problemOf } from "../support/problem.ts";
import { ask, RawClient, type RawAnswer } from "../support/raw-client.ts";
import { request } from "../support/raw-request.ts";

/** Settlements travel after the answer; on a busy machine that takes a while. */
const PATIENCE_MS = 15_000;
/** Nothing comes back while a test runs. */
const YEAR = 31_536_000;
const HOUR = 3600;

let origin: Origin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await Origin.start();
  gateway = await startGateway({ config: config() });
  origin.answer("/good", send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  origin.answer("/bad", send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"));
  for (const used of ["250", "150", "0", "lots"]) {
    origin.answer(`/used/${used}`, send(`HTTP/1.1 200 OK\r\nX-Tokens: ${used}\r\nContent-Length: 2\r\n\r\nok`));
  }
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

function config(): unknown {
  const route = (id: string, limit: object, other?: object) => {
    // Only the owner may decide here, however busy the machine is.
    const strict = { by: "route", windowSeconds: YEAR, onError: "closed", deadline: "20s" };
    const settling = { ...strict, name: "settled", ...limit };
    const rateLimits = other === undefined ? [settling] : [settling, { ...strict, ...other }];
    return { id, prefix: `/${id}`, target: origin.url, rateLimits, timeouts: { headers: 60_000, total: 60_000 } };
  };
  const login = { requestsPerWindow: 5, countWhen: 401 };
  const tokens = { requestsPerWindow: 1000, cost: 10, settle: { header: "X-Tokens", max: 500 } };
  const bytes = { requestsPerWindow: 1000, settle: { bytesPerToken: 1000 } };
  return {
    allowPrivateTargets: true,
    routes: [
      route("login-bucket", login),
      route("login-sliding", { ...login, algorithm: "sliding-window" }),
      route("login-approximate", { ...login, algorithm: "approximate-sliding-window" }),
      route("login-fixed", { ...login, algorithm: "fixed-window" }),
      route("failing", { requestsPerWindow: 5, countWhen: "5xx" }),
      route("failing-counted", { requestsPerWindow: 5, countWhen: { statuses: ["5xx"], gatewayErrors: true } }),
      route("tokens", tokens),
      route("tokens-daily", { ...tokens, algorithm: "fixed-window", windowSeconds: 86_400 }),
      route("tokens-stripped", { ...tokens, settle: { header: "X-Tokens", strip: true } }),
      route("tokens-exempt", {
        ...tokens,
        settle: { header: "X-Tokens", strip: true },
        exempt: { cidrs: ["127.0.0.0/8", "::1"] },
      }),
      route("bytes-streamed", bytes),
      route("bytes-whole", bytes),
      route("bytes-head", bytes),
      route("bytes-aborted", { requestsPerWindow: 1000, cost: 100, settle: { bytesPerToken: 1 } }),
      route("left-uncounted", login),
      route("left-tokens", tokens),
      route("left-bytes", { ...bytes, cost: 100 }),
      route("debt", { requestsPerWindow: 100, windowSeconds: HOUR, settle: { header: "X-Tokens" } }),
      route("no-debt", { requestsPerWindow: 100, windowSeconds: HOUR, settle: { header: "X-Tokens" }, maxDebt: 0 }),
      { ...route("cached", { requestsPerWindow: 1000, countCacheHits: false }), cache: { ttl: 600 } },
      route("refused", login, { name: "other", by: "all", requestsPerWindow: 1, mode: "strict" }),
    ],
  };
}

describe.each(["login-bucket", "login-sliding", "login-approximate", "login-fixed"])("under %s", (route) => {
  test("five failures lock out, and successes don't count", async () => {
    for (let login = 0; login < 12; login += 1) {
      const answer = await ask(gateway.url, { target: `/${route}/good` });
      expect(answer.status).toBe(200);
      await settled(counterOf(answer), 5);
    }
    for (let failure = 1; failure <= 5; failure += 1) {
      const answer = await ask(gateway.url, { target: `/${route}/bad` });
      expect(answer.status).toBe(401);
      await settled(counterOf(answer), 5 - failure);
    }
    const before = origin.seen.length;
    const refused = await ask(gateway.url, { target: `/${route}/good` });
    expect(problemOf(refused)).toEqual({ status: 429, code: "quota-exceeded" });
    expect(origin.seen.length).toBe(before);
  });
});

describe("an error of the gateway itself", () => {
  test("does not count unless the limit says so", async () => {
    const answer = await ask(gateway.url, { target: "/failing/fault/close-before-head" });
    expect(problemOf(answer)).toEqual({ status: 502, code: "upstream-unreachable" });
    await settled(counterOf(answer), 5);

    const counted = await ask(gateway.url, { target: "/failing-counted/fault/close-before-head" });
    expect(counted.status).toBe(502);
    await settled(counterOf(counted), 4);
  });
});

describe("what a response header says", () => {
  test.each([
    ["tokens", "250", 750],
    ["tokens", "0", 750],
    ["tokens", "lots", 740],
    ["tokens-daily", "250", 750],
  ])("is the cost on %s when it is %s", async (route, used, left) => {
    const answer = await ask(gateway.url, { target: `/${route}/used/${used}` });
    expect(valueOf(answer.headers, "x-tokens")).toBe(used);
    await settled(counterOf(answer), left);
  });

  test("is taken out where it is not for the client", async () => {
    const answer = await ask(gateway.url, { target: "/tokens-stripped/used/250" });
    expect(valueOf(answer.headers, "x-tokens")).toBeUndefined();
    await settled(counterOf(answer), 750);
  });

  test("is taken out for clients whom the limit does not concern, who get no header of it either", async () => {
    const answer = await ask(gateway.url, { target: "/tokens-exempt/used/250" });
    const names = ["x-tokens", "ratelimit", "ratelimit-policy"];
    expect(names.map((name) => valueOf(answer.headers, name))).toEqual([undefined, undefined, undefined]);
  });
});

describe("the bytes of a response", () => {
  test("are counted when a stream has ended", async () => {
    const answer = await ask(gateway.url, { target: "/bytes-streamed/bytes/300001?chunked=1" });
    expect(answer.body.length).toBe(300_001);
    await settled(counterOf(answer), 699);
  });

  test("are counted of a short answer", async () => {
    const answer = await ask(gateway.url, { target: "/bytes-whole/bytes/1500" });
    expect(answer.body.length).toBe(1500);
    await settled(counterOf(answer), 998);
  });

  test("are none of an answer to HEAD, whatever length it declares", async () => {
    const answer = await ask(gateway.url, { method: "HEAD", target: "/bytes-head/echo" });
    expect(Number(valueOf(answer.headers, "content-length"))).toBeGreaterThan(0);
    await settled({ ...counterOf(answer), full: 1000 }, 1000);
  });

  test("are those that were sent when the client leaves in the middle", async () => {
    const client = await RawClient.open(gateway.url);
    await client.send(request({ target: "/bytes-aborted/sse?events=2" }));
    const event = "data: 1\n\n";
    origin.release();
    const got = await new Promise<string>((resolve, reject) => {
      client.answer({ onBytes: (piece) => resolve(piece.toString("latin1")) }).catch(reject);
    });
    expect(got).toBe(event);
    const handle = await handleAt("bytes-aborted");
    client.reset();
    await settled({ handle, full: 1000 }, 1000 - event.length);
  });
});

describe("a client that leaves before the head", () => {
  test.each([
    ["left-uncounted", 5, 4],
    ["left-tokens", 1000, 990],
    ["left-bytes", 1000, 1000],
  ])("leaves nothing reserved on %s", async (route, full, left) => {
    const client = await RawClient.open(gateway.url);
    await client.send(request({ target: `/${route}/held` }));
    await origin.until("the request is served", ({ busy }) => busy > 0);
    const handle = await handleAt(route);
    client.reset();
    await settled({ handle, full }, left);
  });
});

describe("a cost beyond what is left", () => {
  test("is a debt that has to be earned back first", async () => {
    const answer = await ask(gateway.url, { target: "/debt/used/150" });
    await settled(counterOf(answer), 0);
    const refused = await ask(gateway.url, { target: "/debt/good" });
    expect(refused.status).toBe(429);
    // 50 of debt and the token that it asks for, one every 36 s.
    expect(Math.ceil(Number(valueOf(refused.headers, "retry-after")) / 36)).toBe(51);
  });

  test("is forgiven where no debt is allowed", async () => {
    const answer = await ask(gateway.url, { target: "/no-debt/used/150" });
    await settled(counterOf(answer), 0);
    const refused = await ask(gateway.url, { target: "/no-debt/good" });
    expect(refused.status).toBe(429);
    expect(Math.ceil(Number(valueOf(refused.headers, "retry-after")) / 36)).toBe(1);
  });
});

test("a request that another limit refuses costs nothing", async () => {
  const first = await ask(gateway.url, { target: "/refused/bad" });
  expect(first.status).toBe(401);
  await settled(counterOf(first), 4);
  expect((await ask(gateway.url, { target: "/refused/bad" })).status).toBe(429);
  await settled(counterOf(first), 4);
});

test("what the cache answers costs nothing where the limit says so, and what the origin answers does", async () => {
  const asked: RawAnswer[] = [];
  const outcomes = () => asked.map(({ headers }) => valueOf(headers, "x-cache"));
  await vi.waitFor(async () => {
    asked.push(await ask(gateway.url, { target: "/cached/good" }));
    expect(outcomes()).toContain("HIT");
  }, PATIENCE_MS);
  for (let hit = 0; hit < 5; hit += 1) asked.push(await ask(gateway.url, { target: "/cached/good" }));
  asked.push(await ask(gateway.url, { target: "/cached/good", method: "DELETE" }));
  const [counted] = asked;
  if (counted === undefined) throw new Error("nothing was asked");
  await settled(counterOf(counted), 1000 - outcomes().filter((outcome) => outcome !== "HIT").length);
  expect(outcomes().slice(-6)).toEqual(["HIT", "HIT", "HIT", "HIT", "HIT", "BYPASS"]);
});

/** What identifies a counter to an operator, and what it holds when nothing is used. */
interface Counter {
  readonly handle: string;
  readonly full: number;
}

function counterOf({ headers }: RawAnswer): Counter {
  const [, full, handle] =
    /^"settled";q=(\d+);[^,]*pk=:(\w{24}):/.exec(valueOf(headers, "ratelimit-policy") ?? "") ?? [];
  if (handle === undefined) throw new Error(`no counter in ${JSON.stringify(headers)}`);
  return { handle, full: Number(full) };
}

/** Resolves once the owner has exactly so many tokens for the client, and holds none for a request. */
async function settled({ handle, full }: Counter, remaining: number): Promise<void> {
  await vi.waitFor(async () => {
    const { policies } = await inspect(`/admin/clients/${handle}`);
    const [first] = Array.isArray(policies) ? policies.map(settledState) : [];
    // Nothing is remembered of a client that has everything.
    expect(first ?? { remaining: full, outstanding: 0 }).toEqual({ remaining, outstanding: 0 });
  }, PATIENCE_MS);
}

function settledState(policy: Record<string, unknown>): object {
  return { remaining: policy["remaining"], outstanding: policy["outstanding"] };
}

async function handleAt(route: string): Promise<string> {
  const found = await inspect(`/admin/clients?by=route&value=${route}`);
  const clients = Array.isArray(found["clients"]) ? found["clients"] : [];
  return String(clients[0]?.client);
}

async function inspect(target: string): Promise<Record<string, unknown>> {
  const headers = [`Authorization: Bearer ${gateway.adminToken}`];
  const answer = await ask(gateway.url, { target, headers });
  return JSON.parse(answer.body.toString("utf8"));
}
