import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { valueOf } from "../support/message-head.ts";
import { Origin } from "../support/origin/origin.ts";
import { problemOf } from "../support/problem.ts";
import { ask, type RawAnswer } from "../support/raw-client.ts";

const FAULTS = ["hang", "stuck", "throw", "late", "overloaded", "abort"] as const;
const POLICIES = ["closed", "local", "open"] as const;
const MODES = ["leased", "strict"] as const;
const FAILURES = MODES.flatMap((mode) => FAULTS.map((fault) => ({ mode, fault, prefix: `/${fault}/${mode}` })));
/** A tenth of it is what one isolate grants by itself. */
const QUOTA = 20;

let origin: Origin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await Origin.start();
  const rateLimit = { requestsPerWindow: QUOTA, windowSeconds: 3600, clients: "own" };
  const failing = FAILURES.flatMap(({ fault, mode, prefix }) =>
    POLICIES.map((onError) => ({
      id: `${fault}-${mode}-${onError}`,
      prefix: `${prefix}/${onError}`,
      target: origin.url,
      // An owner of its own for each route, so that no fault reaches another row.
      rateLimit: { ...rateLimit, by: "route", mode, onError },
    })),
  );
  gateway = await startGateway({
    entry: fileURLToPath(new URL("../support/faulty-entry.ts", import.meta.url)),
    config: {
      allowPrivateTargets: true,
      routes: [
        ...failing,
        // One owner for both: what one route does to it, the other finds.
        { id: "sound", prefix: "/sound", target: origin.url, rateLimit: { ...rateLimit, by: "all", deadline: "20s" } },
        { id: "abort-shared", prefix: "/abort-shared", target: origin.url, rateLimit: { ...rateLimit, by: "all" } },
        ...["throw", "overloaded"].map((fault) => ({
          id: `${fault}-once`,
          prefix: `/${fault}-once`,
          target: origin.url,
          rateLimit: { ...rateLimit, by: "route", mode: "strict", onError: "closed", deadline: "20s" },
        })),
        { id: "hang-shared", prefix: "/hang-shared", target: origin.url, rateLimit: { ...rateLimit, by: "all" } },
      ],
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

describe.each(FAILURES)("an owner that fails by $fault, under a $mode limit,", ({ prefix }) => {
  test("closes a route that is declared closed", async () => {
    const before = origin.seen.length;
    const answers = await askThrice(`${prefix}/closed`);
    const unavailable = { status: 503, code: "dependency-unavailable" };
    expect(answers.map(problemOf)).toEqual([unavailable, unavailable, unavailable]);
    expect(answers.map(({ headers }) => valueOf(headers, "retry-after"))).toEqual(["1", "1", "1"]);
    expect(origin.seen.length).toBe(before);
  });

  test("leaves a route that is declared local this isolate's share", async () => {
    const answers = await askThrice(`${prefix}/local`);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 429]);
    expect(answers.map(remaining)).toEqual([1, 0, 0]);
    expect(Number(valueOf(answers[2]?.headers ?? [], "retry-after"))).toBeGreaterThanOrEqual(1);
  });

  test("lets everyone through a route that is declared open", async () => {
    const answers = await askThrice(`${prefix}/open`);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  });
});

test.each(["abort", "hang"])("after %s the owner answers again, and has forgotten nothing", async (fault) => {
  const before = remaining(await ask(gateway.url, { target: "/sound/a" }));
  const during = await ask(gateway.url, { target: `/${fault}-shared/a` });
  const after = remaining(await ask(gateway.url, { target: "/sound/a" }));
  expect([during.status, after]).toEqual([200, before - 1]);
});

test.each([
  ["throws is asked again by the next request", "throw", 200],
  ["is overloaded is not, since that call was one too many", "overloaded", 503],
] as const)("an owner that %s", async (_, fault, next) => {
  const target = `/${fault}-once/a`;
  const during = await ask(gateway.url, { target });
  await arm("no");
  const after = await ask(gateway.url, { target });
  await arm("yes");
  expect([during.status, after.status]).toEqual([503, next]);
});

describe("the admin API", () => {
  test.each([
    ["without a token, where none is configured", ["X-Test-No-Admin-Token: 1"], 404, "not-found"],
    ["with an empty token, where none is configured", ["X-Test-No-Admin-Token: 1", "X-Admin-Key: "], 404, "not-found"],
    ["without a token", [], 401, "unauthorized"],
    ["with a wrong token", ["Authorization: Bearer wrong"], 401, "unauthorized"],
    ["with a wrong key", ["X-Admin-Key: wrong"], 401, "unauthorized"],
    ["with another scheme", ["Authorization: Basic YWRtaW46YWRtaW4="], 401, "unauthorized"],
  ] as const)("refuses whoever comes %s", async (_, headers, status, code) => {
    const answer = await ask(gateway.url, { target: "/admin/config", headers });
    expect(problemOf(answer)).toEqual({ status, code });
    expect(valueOf(answer.headers, "www-authenticate")).toBe(
      status === 401 ? 'Bearer realm="sluice admin"' : undefined,
    );
  });

  test.each(["/cache-stats", "/cache-invalidate?all=true", "/cache/entry?url=a", "/cache/warm"])(
    "has no %s where no token is configured, whatever comes",
    async (path) => {
      const headers = ["X-Test-No-Admin-Token: 1", `X-Admin-Key: ${gateway.adminToken}`];
      const answers = [];
      for (const method of ["GET", "POST"]) {
        answers.push(problemOf(await ask(gateway.url, { method, target: `/admin${path}`, headers })));
      }
      expect(answers).toEqual([
        { status: 404, code: "not-found" },
        { status: 404, code: "not-found" },
      ]);
    },
  );

  test("refuses the right token in the query", async () => {
    const answer = await ask(gateway.url, { target: `/admin/config?token=${gateway.adminToken}` });
    expect(problemOf(answer)).toEqual({ status: 401, code: "unauthorized" });
  });

  test.each([
    ["as a bearer", (token: string) => `Authorization: Bearer ${token}`],
    ["as a key", (token: string) => `X-Admin-Key: ${token}`],
  ])("takes the right token %s", async (_, header) => {
    const answer = await ask(gateway.url, { target: "/admin/config", headers: [header(gateway.adminToken)] });
    expect([answer.status, valueOf(answer.headers, "content-type")]).toEqual([200, "application/json"]);
  });

  test("gives nothing away under another spelling of its path", async () => {
    const targets = ["//admin/config", "/%61dmin/config", "/ADMIN/config", "/admin%2Fconfig", "/admin;/config"];
    const headers = [`Authorization: Bearer ${gateway.adminToken}`];
    const statuses = await Promise.all(targets.map((target) => ask(gateway.url, { target, headers })));
    expect(statuses.map(({ status }) => status)).toEqual([404, 404, 404, 404, 404]);
  });
});

/** Lets owners fail, or not. */
async function arm(said: "yes" | "no"): Promise<void> {
  await ask(gateway.url, { target: "/", headers: [`X-Test-Arm: ${said}`] });
}

async function askThrice(path: string): Promise<readonly RawAnswer[]> {
  const answers: RawAnswer[] = [];
  for (const request of ["first", "second", "third"]) {
    answers.push(await ask(gateway.url, { target: `${path}/${request}` }));
  }
  return answers;
}

/** What `RateLimit` says is left. */
function remaining({ headers }: RawAnswer): number {
  return Number(/;r=(\d+)/.exec(valueOf(headers, "ratelimit") ?? "")?.[1]);
}
