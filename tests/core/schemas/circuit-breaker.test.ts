import { describe, expect, it } from "vitest";
import { DEFAULT_BREAKER, policyProblem } from "../../../objects/circuit-breaker/breaker-policy.ts";
import { BREAKER_DEFAULTS, ROUTE, configOf, problemsOf, routeOf, routeProblems } from "./documents.ts";

const DURATION = 'a duration such as "500ms", "30s", "5m", "1h" or "1d" or a number of milliseconds';
const STATUSES = 'a status from 400 to 599 or a class such as "5xx"';

const FIELDS = [
  "failureThreshold",
  "failureRate",
  "minimumCalls",
  "window",
  "slowCall",
  "slowCallRate",
  "timeout",
  "maxTimeout",
  "jitter",
  "successThreshold",
  "halfOpenRequests",
  "halfOpenMaxFailures",
  "operationTimeout",
];

/** The breaker of a route that says this of it. */
function breakerOf(circuitBreaker: unknown, topLevel: object = {}): unknown {
  return routeOf({ circuitBreaker }, topLevel).circuitBreaker;
}

describe("a breaker", () => {
  it.each([[true], [{}], [{ enabled: true }]])("is on with its defaults when it says %j", (written) => {
    expect(breakerOf(written)).toEqual(BREAKER_DEFAULTS);
  });

  it("has the defaults of the core that judges, which takes them", () => {
    expect(BREAKER_DEFAULTS.policy).toEqual(DEFAULT_BREAKER);
    expect(policyProblem(routeOf({ circuitBreaker: true }).circuitBreaker?.policy)).toBeUndefined();
  });

  it.each([
    ["least", [1, 0.01, 1, 1_000, 1, 0.01, 100, 100, 0, 1, 1, 0, 10]],
    ["most", [10_000, 1, 1_000_000, "1h", "1h", 1, "1d", "1d", 0.9, 10_000, 100, 10_000, "1h"]],
  ])("is taken by its target's owner with the %s of each field", (_, values) => {
    const circuitBreaker = Object.fromEntries(FIELDS.map((field, index) => [field, values[index]]));
    expect(policyProblem(routeOf({ circuitBreaker }).circuitBreaker?.policy)).toBeUndefined();
  });

  it("has every field that is written", () => {
    const written = {
      failureThreshold: 3,
      failureRate: 0.25,
      minimumCalls: 50,
      window: "30s",
      slowCall: "2s",
      slowCallRate: 0.8,
      timeout: 30_000,
      maxTimeout: "5m",
      jitter: 0.1,
      successThreshold: 4,
      halfOpenRequests: 5,
      halfOpenMaxFailures: 1,
      operationTimeout: "15s",
      failureStatuses: ["5xx", 401],
      fallback: { response: { status: 200, headers: { "Content-Type": "text/plain" }, body: "later" } },
      shadow: false,
    };
    expect(breakerOf(written)).toEqual({
      policy: {
        failureThreshold: 3,
        failureRate: 0.25,
        minimumCalls: 50,
        windowMs: 30_000,
        slowCallMs: 2_000,
        slowCallRate: 0.8,
        openMs: 30_000,
        openMaxMs: 300_000,
        jitter: 0.1,
        successThreshold: 4,
        halfOpenPermits: 5,
        halfOpenMaxFailures: 1,
        operationTimeoutMs: 15_000,
      },
      failureStatuses: [401, ...Array.from({ length: 100 }, (_, index) => 500 + index)],
      fallback: { kind: "response", status: 200, headers: [["content-type", "text/plain"]], body: "later" },
      shadow: false,
    });
  });

  it("may only be watched", () => {
    expect(breakerOf({ shadow: true })).toEqual({ ...BREAKER_DEFAULTS, shadow: true });
  });

  it("that opens for longer than ten minutes may stay open for as long", () => {
    expect(breakerOf({ timeout: "15m" })).toMatchObject({ policy: { openMs: 900_000, openMaxMs: 900_000 } });
  });

  it("may answer with a status alone", () => {
    expect(breakerOf({ fallback: { response: { status: 503 } } })).toMatchObject({
      fallback: { kind: "response", status: 503, headers: [], body: "" },
    });
  });
});

describe("the breaker of a route", () => {
  const backends = (circuitBreaker?: unknown) => ({
    b: { targets: [{ url: "https://b.example.com" }], ...(circuitBreaker === undefined ? {} : { circuitBreaker }) },
  });
  const of = (route: object, backend: unknown, topLevel: object) => {
    const document = { ...topLevel, backends: backends(backend), routes: [{ prefix: "/", backend: "b", ...route }] };
    const { routes, backends: resolved } = configOf(document);
    const thresholds = [routes[0]?.circuitBreaker, resolved.get("b")?.circuitBreaker];
    return thresholds.map((settings) => settings?.policy.failureThreshold);
  };
  const at = (failureThreshold: number) => ({ circuitBreaker: { failureThreshold } });

  it.each([
    ["nowhere", {}, undefined, {}, [undefined, undefined]],
    ["at the top level", {}, undefined, at(1), [1, 1]],
    ["on its backend", {}, at(2).circuitBreaker, at(1), [2, 2]],
    ["on itself", at(3), at(2).circuitBreaker, at(1), [3, 2]],
    ["on itself, as none", { circuitBreaker: false }, at(2).circuitBreaker, at(1), [undefined, 2]],
    ["on its backend, as none", {}, { enabled: false }, at(1), [undefined, undefined]],
  ])("is what is written %s", (_, route, backend, topLevel, expected) => {
    expect(of(route, backend, topLevel)).toEqual(expected);
  });

  it("replaces a wider one whole", () => {
    expect(breakerOf({ timeout: "5s" }, { circuitBreaker: { failureThreshold: 1 } })).toMatchObject({
      policy: { failureThreshold: 5, openMs: 5_000 },
    });
  });

  it("is the one of its target where it has a target of its own", () => {
    const { backends: resolved } = configOf({ routes: [{ ...ROUTE, circuitBreaker: true }] });
    expect(resolved.get("route:/a")?.circuitBreaker).toEqual(BREAKER_DEFAULTS);
  });
});

describe("a breaker is refused with", () => {
  it.each([
    ["enabled", "yes", "true or false"],
    ["failureThreshold", 0, "a whole number from 1 to 10000"],
    ["failureRate", 50, "a number from 0.01 to 1 with at most 3 decimal places"],
    ["minimumCalls", 0.5, "a whole number from 1 to 1000000"],
    ["window", "100ms", `${DURATION}, from 1s to 1h`],
    ["slowCall", 0, `${DURATION}, from 1ms to 1h`],
    ["slowCallRate", 0, "a number from 0.01 to 1 with at most 3 decimal places"],
    ["timeout", 10, `${DURATION}, from 100ms to 1d`],
    ["maxTimeout", "2d", `${DURATION}, from 100ms to 1d`],
    ["jitter", 1, "a number from 0 to 0.9 with at most 3 decimal places"],
    ["successThreshold", 0, "a whole number from 1 to 10000"],
    ["halfOpenRequests", 101, "a whole number from 1 to 100"],
    ["halfOpenMaxFailures", -1, "a whole number from 0 to 10000"],
    ["operationTimeout", "5ms", `${DURATION}, from 10ms to 1h`],
    ["failureStatuses", 200, `${STATUSES}, or an array of these`],
    ["shadow", 1, "true or false"],
  ])("%s %j", (field, value, wanted) => {
    expect(routeProblems({ ...ROUTE, circuitBreaker: { [field]: value } })).toEqual([
      { path: `routes[0].circuitBreaker.${field}`, got: JSON.stringify(value), wanted },
    ]);
  });

  it.each([
    [{ timeout: "10m", maxTimeout: "5m" }, "maxTimeout", '"5m"', '"maxTimeout" at least as long as "timeout"'],
    [
      { slowCallRate: 0.5, slowCall: "10s" },
      "slowCall",
      '"10s"',
      'less than "operationTimeout": a call that takes as long has failed, and is slow no more',
    ],
    [
      { slowCallRate: 0.5, operationTimeout: "5s" },
      "slowCall",
      "nothing",
      'less than "operationTimeout": a call that takes as long has failed, and is slow no more',
    ],
    [{ failureStatuses: [500, "2xx"] }, "failureStatuses[1]", '"2xx"', STATUSES],
    [{ fallback: {} }, "fallback", "an empty object", 'exactly one of "backend" and "response"'],
    [{ fallback: "mirror" }, "fallback", '"mirror"', 'an object with "backend" or "response"'],
    [
      { fallback: { backend: "b", response: { status: 200 } } },
      "fallback",
      "an object with backend, response",
      'exactly one of "backend" and "response"',
    ],
    [{ fallback: { response: {} } }, "fallback.response.status", "nothing", "a value: the field is required"],
    [{ fallback: { response: { status: 101 } } }, "fallback.response.status", "101", "a whole number from 200 to 599"],
    [
      { fallback: { response: { status: 204, body: "x" } } },
      "fallback.response.body",
      '"x"',
      "nothing: an answer of this status has no body",
    ],
    [
      { fallback: { response: { status: 200, headers: { "Content-Length": "3" } } } },
      "fallback.response.headers.Content-Length",
      'the key "Content-Length"',
      "a header of the answer's own: the gateway frames its messages itself",
    ],
    [
      { fallback: { response: { status: 200, headers: { "x-a": "a\r\nb" } } } },
      "fallback.response.headers.x-a",
      String.raw`"a\r\nb"`,
      "a text of visible ASCII characters, with spaces inside at most",
    ],
    [
      { fallback: { response: { status: 200, body: "x".repeat(65_537) } } },
      "fallback.response.body",
      `"${"x".repeat(80)}..."`,
      "a text of at most 65,536 characters",
    ],
    [
      { failureThreshhold: 3 },
      "failureThreshhold",
      'the key "failureThreshhold"',
      'a known key; did you mean "failureThreshold"?',
    ],
  ])("%j", (circuitBreaker, field, got, wanted) => {
    const document = {
      routes: [{ ...ROUTE, circuitBreaker }],
      backends: { b: { targets: [{ url: "https://b.example.com" }] } },
    };
    expect(problemsOf(document)).toEqual([{ path: `routes[0].circuitBreaker.${field}`, got, wanted }]);
  });

  it("neither a switch nor an object", () => {
    expect(routeProblems({ ...ROUTE, circuitBreaker: "on" })).toEqual([
      {
        path: "routes[0].circuitBreaker",
        got: '"on"',
        wanted: "true for the defaults, an object, or false to remove the policy",
      },
    ]);
  });
});
