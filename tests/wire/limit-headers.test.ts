import { parseList } from "structured-headers";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { valueOf } from "../support/message-head.ts";
import { Origin } from "../support/origin/origin.ts";
import { ask, RawClient, type RawAnswer } from "../support/raw-client.ts";
import { request } from "../support/raw-request.ts";

const PROBLEMS = "https://iana.org/assignments/http-problem-types#";
/** Nothing comes back while a test runs. */
const YEAR = 31_536_000;
const yearly = { windowSeconds: YEAR, requestsPerWindow: 3 };

/** Limits of three, by every algorithm and every way to decide, and what their policy is told as. */
const LIMITS: readonly { id: string; limit: object; policy: object; ends: boolean }[] = [
  { id: "bucket", limit: yearly, policy: { q: 3, w: YEAR }, ends: false },
  { id: "bucket-asked", limit: { ...yearly, mode: "strict" }, policy: { q: 3, w: YEAR }, ends: false },
  { id: "bucket-weighed", limit: { ...yearly, cost: 0.999 }, policy: { q: 3, w: YEAR }, ends: false },
  { id: "sliding", limit: { ...yearly, algorithm: "sliding-window" }, policy: { q: 3, w: YEAR }, ends: false },
  {
    id: "approximate",
    limit: { ...yearly, algorithm: "approximate-sliding-window" },
    policy: { q: 3, w: YEAR },
    ends: false,
  },
  { id: "fixed", limit: { ...yearly, algorithm: "fixed-window" }, policy: { q: 3, w: YEAR }, ends: true },
  {
    id: "calendar",
    limit: { requestsPerWindow: 3, algorithm: "fixed-window", calendar: "month", timeZone: "Europe/Berlin" },
    policy: { q: 3, w: expect.any(Number) },
    ends: true,
  },
  { id: "counted", limit: { ...yearly, countWhen: "2xx" }, policy: { q: 3, w: YEAR }, ends: false },
];

let origin: Origin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await Origin.start();
  gateway = await startGateway({ config: config() });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

const clients: RawClient[] = [];

afterEach(() => {
  for (const client of clients.splice(0)) client.reset();
});

function config(): unknown {
  // Only the owner may decide here, however busy the machine is.
  const common = { by: "route", onError: "closed", deadline: "20s" };
  const route = (id: string, ...limits: object[]) => ({
    id,
    prefix: `/${id}`,
    target: origin.url,
    rateLimits: limits.map((limit) => Object.assign({ name: id }, common, limit)),
  });
  return {
    allowPrivateTargets: true,
    routes: [
      ...LIMITS.map(({ id, limit }) => route(id, limit)),
      route("at-once", { algorithm: "concurrency", maxConcurrent: 1 }),
      route("bytes", { requestsPerWindow: 100, windowSeconds: YEAR, settle: { bytesPerToken: "1KiB" } }),
      route("several", { ...yearly, name: "one" }, { ...yearly, name: "all-of.us", by: "all", mode: "strict" }),
      route("legacy", yearly, { ...yearly, name: "told", requestsPerWindow: 2, mode: "strict", legacyHeaders: true }),
      route("legacy-quota", { requestsPerWindow: 1, algorithm: "fixed-window", calendar: "day", legacyHeaders: true }),
      route("costly", { ...yearly, cost: { header: "X-Cost", max: 100 } }),
    ],
  };
}

/** A field as a client's structured-field parser reads it; the handle of the client is checked and left out. */
function read(answer: RawAnswer | undefined, name: string): readonly Record<string, unknown>[] {
  return parseList((answer && valueOf(answer.headers, name)) ?? "").map(([value, parameters]) => {
    const { pk, ...rest }: Record<string, unknown> = Object.fromEntries(parameters);
    if (!(pk instanceof ArrayBuffer) || pk.byteLength !== 18) throw new Error(`${name} has no handle`);
    return Object.assign({ value }, rest);
  });
}

function problemIn({ headers, body }: RawAnswer): Record<string, unknown> {
  expect(valueOf(headers, "content-type")).toBe("application/problem+json");
  return JSON.parse(body.toString("utf8"));
}

async function askTimes(times: number, target: string): Promise<readonly RawAnswer[]> {
  const answers: RawAnswer[] = [];
  for (let index = 0; index < times; index += 1) answers.push(await ask(gateway.url, { target }));
  return answers;
}

describe("a structured-field parser reads", () => {
  test.each(LIMITS)("quota, rest and wait of a limit by $id", async ({ id, policy, ends }) => {
    const answers = await askTimes(4, `/${id}/a`);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429]);
    for (const answer of answers) expect(read(answer, "ratelimit-policy")).toEqual([{ value: id, ...policy }]);
    const wait = Number(answers[3] && valueOf(answers[3].headers, "retry-after"));
    expect(wait).toBeGreaterThan(60);
    const until = ends ? { t: expect.toSatisfy((t: number) => t >= wait && t <= wait + 60) } : {};
    expect(answers.map((answer) => read(answer, "ratelimit"))).toEqual([
      [{ value: id, r: 2, ...until }],
      [{ value: id, r: 1, ...until }],
      [{ value: id, r: 0, ...until }],
      [{ value: id, r: 0, t: wait }],
    ]);
  });

  test("a limit of requests in flight, which has no window", async () => {
    const client = await RawClient.open(gateway.url);
    clients.push(client);
    await client.send(request({ target: "/at-once/held" }));
    await origin.until("it is served", ({ busy }) => busy === 1);
    const refused = await ask(gateway.url, { target: "/at-once/more" });
    expect(refused.status).toBe(429);
    expect(read(refused, "ratelimit-policy")).toEqual([{ value: "at-once", q: 1, qu: "concurrent-requests" }]);
    expect(read(refused, "ratelimit")).toEqual([{ value: "at-once", r: 0, t: 1 }]);
  });

  test("a limit of bytes", async () => {
    const answer = await ask(gateway.url, { target: "/bytes/a" });
    expect(read(answer, "ratelimit-policy")).toEqual([{ value: "bytes", q: 102_400, qu: "content-bytes", w: YEAR }]);
    expect(read(answer, "ratelimit")).toEqual([{ value: "bytes", r: 101_376 }]);
  });

  test("several limits in their order, each with the handle of its own client", async () => {
    const answer = await ask(gateway.url, { target: "/several/a" });
    for (const name of ["ratelimit", "ratelimit-policy"]) {
      expect(read(answer, name).map(({ value }) => value)).toEqual(["one", "all-of.us"]);
    }
    const handles = valueOf(answer.headers, "ratelimit")?.match(/pk=:\w{24}:/g);
    expect(new Set(handles).size).toBe(2);
  });
});

describe("legacy headers", () => {
  const LEGACY = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];
  const legacyIn = ({ headers }: RawAnswer) => LEGACY.map((name) => valueOf(headers, name));

  test("are there for the limit that asks for them, and say with a refusal when to return", async () => {
    const answers = await askTimes(3, "/legacy/a");
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 429]);
    const [one, two, refused] = answers.map(legacyIn);
    expect([one, two]).toEqual([
      ["2", "1", "1"],
      ["2", "0", "1"],
    ]);
    expect(refused).toEqual(["2", "0", answers[2] && valueOf(answers[2].headers, "retry-after")]);
  });

  test("say of a quota when its window ends", async () => {
    const [answer] = await askTimes(1, "/legacy-quota/a");
    const [item] = read(answer, "ratelimit");
    expect(answer && legacyIn(answer)).toEqual(["1", "0", String(item?.["t"])]);
  });

  test("are not there where nobody asked for them", async () => {
    const [answer] = await askTimes(1, "/several/b");
    expect(answer && legacyIn(answer)).toEqual([undefined, undefined, undefined]);
  });
});

describe("the problem document of a refusal", () => {
  test("has the registered type, and names the limit and the wait", async () => {
    const [refused] = (await askTimes(4, "/sliding/b")).slice(-1);
    if (refused === undefined) throw new Error("nothing was answered");
    expect(problemIn(refused)).toEqual({
      type: `${PROBLEMS}quota-exceeded`,
      title: "The quota of this client is used up",
      status: 429,
      detail: `The limit sliding is used up; come back in ${valueOf(refused.headers, "retry-after")} s.`,
      code: "quota-exceeded",
      requestId: valueOf(refused.headers, "x-request-id"),
      "violated-policies": ["sliding"],
    });
  });

  test("tells no wait where the request costs more than the limit ever holds", async () => {
    await ask(gateway.url, { target: "/costly/a", headers: ["X-Cost: 1"] });
    const refused = await ask(gateway.url, { target: "/costly/a", headers: ["X-Cost: 4"] });
    expect(refused.status).toBe(429);
    expect(valueOf(refused.headers, "retry-after")).toBeUndefined();
    expect(read(refused, "ratelimit")).toEqual([{ value: "costly", r: 2 }]);
    expect(problemIn(refused)).toMatchObject({
      type: `${PROBLEMS}quota-exceeded`,
      detail: "This request costs more than costly ever allows at once.",
    });
  });

  test("has a type of the gateway's own where none is registered", async () => {
    const missing = await ask(gateway.url, { target: "/nowhere" });
    expect(problemIn(missing)).toMatchObject({ type: "urn:sluice:problem:route-not-found", status: 404 });
  });
});
