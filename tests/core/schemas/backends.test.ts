import { describe, expect, it } from "vitest";
import { DEFAULT_BREAKER as OWNERS_DEFAULT } from "../../../objects/circuit-breaker/breaker-policy.ts";
import type { Backend, ConfigProblem } from "../../../schemas/index.ts";
import { DEFAULT_BREAKER } from "../../../schemas/policies/backends/circuit-breaker.ts";
import { DEFAULT_BACKOFF } from "../../../worker/retry/backoff.ts";
import { BACKEND_DEFAULTS, configOf, problemsOf } from "./documents.ts";

const ONE = { url: "https://a.example.com" };
const TWO = { url: "https://b.example.com" };
const DURATION = 'a duration such as "500ms", "30s", "5m", "1h" or "1d" or a number of milliseconds';
const DECIMALS = "with at most 3 decimal places";

const DEFAULT_CHECK = {
  path: "/healthz",
  method: "GET",
  intervalMs: 10_000,
  timeoutMs: 2_000,
  rise: 2,
  fall: 3,
  statuses: [{ from: 200, to: 399 }],
  bodyIncludes: undefined,
};

const DEFAULT_RETRY = {
  maxRetries: 2,
  statuses: [502, 503, 504],
  perTryMs: undefined,
  backoff: { baseMs: 50, maxMs: 1_000 },
  budget: { ratio: 0.2, perSecond: 10 },
};

function documentOf(fields: object, topLevel: object = {}): unknown {
  return { ...topLevel, backends: { b: { targets: [ONE, TWO], ...fields } }, routes: [{ prefix: "/", backend: "b" }] };
}

/** A backend of two targets with these fields. */
function backendOf(fields: object, topLevel: object = {}): Backend {
  const backend = configOf(documentOf(fields, topLevel)).backends.get("b");
  if (backend === undefined) throw new Error("no backend");
  return backend;
}

/** What is wrong with such a backend, by paths within it. */
function backendProblems(fields: object): readonly ConfigProblem[] {
  return problemsOf(documentOf(fields)).map(({ path, got, wanted }) => {
    return { path: path.replace(/^backends\.b\./, ""), got, wanted };
  });
}

describe("a backend", () => {
  it("has by default the breaker that its owner begins with, and that the simulator shows", () => {
    expect(DEFAULT_BREAKER).toEqual(OWNERS_DEFAULT);
  });

  it("that says nothing else does nothing but share by lot", () => {
    const targets = [ONE, TWO].map(({ url }) => ({ url, weight: 1, drain: false }));
    expect(backendOf({})).toEqual({ ...BACKEND_DEFAULTS, name: "b", targets });
  });

  it.each(["weighted-random", "round-robin", "least-requests", "power-of-two"])("may balance by %s", (algorithm) => {
    const expected = { ...BACKEND_DEFAULTS.balance, algorithm };
    expect(backendOf({ balance: algorithm }).balance).toEqual(expected);
    expect(backendOf({ balance: { algorithm } }).balance).toEqual(expected);
  });

  it.each([
    ["rendezvous", [{ kind: "ip" }]],
    [{ algorithm: "rendezvous", by: "header:X-Tenant" }, [{ kind: "header", name: "x-tenant" }]],
    [{ algorithm: "rendezvous", by: ["route", "ip"] }, [{ kind: "route" }, { kind: "ip" }]],
  ])("may balance by a key: %j", (balance, by) => {
    expect(backendOf({ balance }).balance).toEqual({ ...BACKEND_DEFAULTS.balance, algorithm: "rendezvous", by });
  });

  it("may start targets slowly, and say how far checks are believed", () => {
    const balance = { slowStart: "30s", maxEjection: 0.25, panicThreshold: 0 };
    expect(backendOf({ balance }).balance).toEqual({
      algorithm: "weighted-random",
      by: [],
      slowStartMs: 30_000,
      maxEjection: 0.25,
      panicThreshold: 0,
    });
  });

  it.each([
    [true, { by: "cookie", name: "sluice_target", ttlMs: 82_800_000 }],
    ["cookie", { by: "cookie", name: "sluice_target", ttlMs: 82_800_000 }],
    ["header", { by: "header", name: "x-sluice-target", ttlMs: 82_800_000 }],
    [{}, { by: "cookie", name: "sluice_target", ttlMs: 82_800_000 }],
    [
      { name: "Shard", ttl: 0 },
      { by: "cookie", name: "Shard", ttlMs: 0 },
    ],
    [
      { by: "header", name: "X-Shard", ttl: 600 },
      { by: "header", name: "x-shard", ttlMs: 600_000 },
    ],
    [false, undefined],
    [{ enabled: false }, undefined],
  ])("may keep clients where they are: %j", (sticky, expected) => {
    expect(backendOf({ sticky }).sticky).toEqual(expected);
  });

  it.each([
    ["/healthz", DEFAULT_CHECK],
    [{ path: "/ready?deep=1" }, { ...DEFAULT_CHECK, path: "/ready?deep=1" }],
    [
      { path: "/healthz", interval: "1s" },
      { ...DEFAULT_CHECK, intervalMs: 1_000, timeoutMs: 1_000 },
    ],
    [
      {
        path: "/h",
        method: "GET",
        interval: "5s",
        timeout: 500,
        rise: 1,
        fall: 5,
        statuses: [200, "3xx"],
        bodyIncludes: "ok",
      },
      {
        path: "/h",
        method: "GET",
        intervalMs: 5_000,
        timeoutMs: 500,
        rise: 1,
        fall: 5,
        statuses: [
          { from: 200, to: 200 },
          { from: 300, to: 399 },
        ],
        bodyIncludes: "ok",
      },
    ],
    [
      { path: "/h", method: "HEAD", statuses: 204 },
      { ...DEFAULT_CHECK, path: "/h", method: "HEAD", statuses: [{ from: 204, to: 204 }] },
    ],
    [false, undefined],
    [{ path: "/h", enabled: false }, undefined],
  ])("may have its targets checked: %j", (healthCheck, expected) => {
    expect(backendOf({ healthCheck }).healthCheck).toEqual(expected);
  });

  it.each([
    [true, DEFAULT_RETRY],
    [{}, DEFAULT_RETRY],
    [
      {
        maxRetries: 1,
        statuses: "5xx",
        perTryTimeout: "2s",
        backoff: { base: 10, max: "100ms" },
        budget: { ratio: 0, perSecond: 1 },
      },
      {
        maxRetries: 1,
        statuses: Array.from({ length: 100 }, (_, index) => 500 + index),
        perTryMs: 2_000,
        backoff: { baseMs: 10, maxMs: 100 },
        budget: { ratio: 0, perSecond: 1 },
      },
    ],
    [{ statuses: [503, 429, 503] }, { ...DEFAULT_RETRY, statuses: [429, 503] }],
    [{ backoff: { base: "2s" } }, { ...DEFAULT_RETRY, backoff: { baseMs: 2_000, maxMs: 2_000 } }],
    [{ backoff: { max: 20 } }, { ...DEFAULT_RETRY, backoff: { baseMs: 20, maxMs: 20 } }],
    [false, undefined],
    [{ enabled: false }, undefined],
  ])("may try again: %j", (retry, expected) => {
    expect(backendOf({ retry }).retry).toEqual(expected);
  });

  it("tries again with the defaults of the core that decides", () => {
    expect(DEFAULT_RETRY.backoff).toEqual(DEFAULT_BACKOFF);
  });

  it.each([
    ["has the top level's retries", {}, { maxRetries: 1 }, 1],
    ["replaces them whole", { retry: { statuses: 503 } }, { maxRetries: 1 }, 2],
    ["may do without them", { retry: false }, true, undefined],
  ])("%s", (_, fields, retry, maxRetries) => {
    expect(backendOf(fields, { retry }).retry?.maxRetries).toBe(maxRetries);
  });

  it("of a route's own target has the top level's retries", () => {
    const { backends } = configOf({ retry: true, routes: [{ prefix: "/", target: ONE.url }] });
    expect(backends.get("route:/")?.retry).toEqual(DEFAULT_RETRY);
  });

  it.each([
    [true, { afterMs: "p95", budget: 0.05 }],
    [
      { after: "200ms", budget: 0.1 },
      { afterMs: 200, budget: 0.1 },
    ],
    [{ after: "p95" }, { afterMs: "p95", budget: 0.05 }],
    [false, undefined],
    [{ enabled: false }, undefined],
  ])("may hedge: %j", (hedge, expected) => {
    expect(backendOf({ hedge }).hedge).toEqual(expected);
  });
});

const ALGORITHMS = '"weighted-random", "round-robin", "least-requests", "power-of-two", "rendezvous"';
const STATUSES = 'a status from 400 to 599 or a class such as "5xx"';
const ANY_STATUS = 'a status from 200 to 599 or a class such as "4xx"';

describe("a backend is refused with", () => {
  it.each([
    [{ targets: [] }, "targets", "an empty array", "an array of at least one target"],
    [{ targets: [{ ...ONE, drain: 1 }] }, "targets[0].drain", "1", "true or false"],
    [
      {
        targets: [
          { ...ONE, weight: 0 },
          { ...TWO, weight: 0 },
        ],
      },
      "targets",
      "an array of 2",
      'at least one target with a "weight" above 0',
    ],
    [
      {
        targets: [
          { ...ONE, drain: true },
          { ...TWO, weight: 0 },
        ],
      },
      "targets",
      "an array of 2",
      'at least one target with a "weight" above 0 that does not drain: new clients have to go somewhere',
    ],
    [
      { targets: [ONE, TWO, ONE] },
      "targets[2].url",
      '"https://a.example.com"',
      'another "url" than targets[0] has: to send more to a target give it more "weight"',
    ],
    [{ targets: ["https://a.example.com"] }, "targets[0]", '"https://a.example.com"', 'an object with "url"'],
    [{ retry: { backoff: "fast" } }, "retry.backoff", '"fast"', 'an object with "base" or "max"'],
    [{ retry: { budget: 0.2 } }, "retry.budget", "0.2", 'an object with "ratio" or "perSecond"'],
    [{ balance: "random" }, "balance", '"random"', `${ALGORITHMS}, or an object with "algorithm"`],
    [{ balance: { algorithm: "hash" } }, "balance.algorithm", '"hash"', `one of ${ALGORITHMS}`],
    [
      { balance: { by: "ip" } },
      "balance.by",
      '"ip"',
      'nothing without "algorithm": "rendezvous": the others look at the targets alone',
    ],
    [
      { balance: { algorithm: "rendezvous", by: "all" } },
      "balance.by",
      '"all"',
      'what tells requests apart, such as "ip": with "all" one target gets every request',
    ],
    [{ balance: { slowStart: "2h" } }, "balance.slowStart", '"2h"', `${DURATION}, from 0ms to 1h`],
    [{ balance: { maxEjection: 50 } }, "balance.maxEjection", "50", `a number from 0 to 1 ${DECIMALS}`],
    [{ balance: { panicThreshold: -1 } }, "balance.panicThreshold", "-1", `a number from 0 to 1 ${DECIMALS}`],
    [{ sticky: "ip" }, "sticky", '"ip"', '"cookie", "header", true, an object, or false'],
    [{ sticky: { by: "ip" } }, "sticky.by", '"ip"', 'one of "cookie", "header"'],
    [{ sticky: { name: "a b" } }, "sticky.name", '"a b"', 'the name of a cookie or header, such as "shop_target"'],
    ...["Cookie", "Idempotency-Key", "Location", "X-Request-ID", "If-Match", "Access-Control-Allow-Origin"].map(
      (name): [object, string, string, string] => [
        { sticky: { by: "header", name } },
        "sticky.name",
        `"${name}"`,
        'the name of a header of its own, such as "x-sluice-target": this one means something else',
      ],
    ),
    [
      { sticky: { ttl: "2y" } },
      "sticky.ttl",
      '"2y"',
      'a duration such as "500ms", "30s", "5m", "1h" or "1d" or a number of seconds, from 0ms to 366d',
    ],
    [{ healthCheck: true }, "healthCheck", "true", 'a path such as "/healthz", an object with "path", or false'],
    [{ healthCheck: {} }, "healthCheck.path", "nothing", "a value: the field is required"],
    [{ healthCheck: { path: "healthz" } }, "healthCheck.path", '"healthz"', 'a path that starts with "/"'],
    [
      { healthCheck: { path: "/h?a b" } },
      "healthCheck.path",
      '"/h?a b"',
      "a query in URL characters; write others percent-encoded",
    ],
    [{ healthCheck: { path: "/h", method: "POST" } }, "healthCheck.method", '"POST"', 'one of "GET", "HEAD"'],
    [
      { healthCheck: { path: "/h", interval: "100ms" } },
      "healthCheck.interval",
      '"100ms"',
      `${DURATION}, from 1s to 1h`,
    ],
    [
      { healthCheck: { path: "/h", timeout: "15s" } },
      "healthCheck.timeout",
      '"15s"',
      '"timeout" at most as long as "interval": checks of one target do not overlap',
    ],
    [{ healthCheck: { path: "/h", timeout: 1 } }, "healthCheck.timeout", "1", `${DURATION}, from 10ms to 1m`],
    [{ healthCheck: { path: "/h", rise: 0 } }, "healthCheck.rise", "0", "a whole number from 1 to 100"],
    [{ healthCheck: { path: "/h", fall: 0 } }, "healthCheck.fall", "0", "a whole number from 1 to 100"],
    [
      { healthCheck: { path: "/h", statuses: 100 } },
      "healthCheck.statuses",
      "100",
      `${ANY_STATUS}, or an array of these`,
    ],
    [
      { healthCheck: { path: "/h", bodyIncludes: "" } },
      "healthCheck.bodyIncludes",
      '""',
      "a text of 1 to 256 characters",
    ],
    [
      { healthCheck: { path: "/h", method: "HEAD", bodyIncludes: "ok" } },
      "healthCheck.bodyIncludes",
      '"ok"',
      'nothing with "method": "HEAD", whose answer has no body',
    ],
    [{ retry: 3 }, "retry", "3", "true for the defaults, an object, or false to remove the policy"],
    [{ retry: { maxRetries: 0 } }, "retry.maxRetries", "0", "a whole number from 1 to 10"],
    [{ retry: { statuses: 200 } }, "retry.statuses", "200", `${STATUSES}, or an array of these`],
    [{ retry: { perTryTimeout: 1 } }, "retry.perTryTimeout", "1", `${DURATION}, from 10ms to 1h`],
    [{ retry: { backoff: { base: 0 } } }, "retry.backoff.base", "0", `${DURATION}, from 1ms to 1m`],
    [{ retry: { backoff: { base: 20, max: 10 } } }, "retry.backoff.max", "10", '"max" at least as long as "base"'],
    [{ retry: { budget: { ratio: 2 } } }, "retry.budget.ratio", "2", `a number from 0 to 1 ${DECIMALS}`],
    [{ retry: { budget: { perSecond: -1 } } }, "retry.budget.perSecond", "-1", `a number from 0 to 10000 ${DECIMALS}`],
    [
      { retry: { budget: { ratio: 0, perSecond: 0 } } },
      "retry.budget",
      "an object with ratio, perSecond",
      'more than 0 in "ratio" or "perSecond"; to try nothing again write "retry": false',
    ],
    [
      { hedge: { after: "p99" } },
      "hedge.after",
      '"p99"',
      '"p95", or a duration such as "200ms" or a number of milliseconds',
    ],
    [{ hedge: { budget: 0 } }, "hedge.budget", "0", `a number from 0.001 to 1 ${DECIMALS}`],
    [{ hedges: true }, "hedges", 'the key "hedges"', 'a known key; did you mean "hedge"?'],
  ])("%j", (fields, path, got, wanted) => {
    expect(backendProblems(fields)).toEqual([{ path, got, wanted }]);
  });

  it("two targets of one URL, whatever else is wrong", () => {
    const targets = [ONE, { ...ONE, weight: -1 }, "https://b.example.com"];
    expect(backendProblems({ targets }).map(({ path }) => path)).toEqual([
      "targets[1].weight",
      "targets[2]",
      "targets[1].url",
    ]);
  });

  it("retries on a route, which have their place on its backend", () => {
    const [problem] = problemsOf({ routes: [{ prefix: "/", target: ONE.url, retry: true }] });
    expect(problem).toMatchObject({ path: "routes[0].retry", got: 'the key "retry"' });
  });
});
