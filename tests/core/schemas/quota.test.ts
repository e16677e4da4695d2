import { describe, expect, it } from "vitest";
import { parseConfig, type QuotaSettings } from "../../../schemas/index.ts";

const MINUTE = { windowMs: 60_000, maxQueue: 100, maxPauseMs: 600_000, backoff: { baseMs: 1_000, maxMs: 60_000 } };
const REST = { name: "api", maxWaitMs: 20_000, by: [{ kind: "ip" }], priority: undefined, onError: "closed" };

function backend(quota: unknown) {
  return { targets: [{ url: "https://a.example.com" }], quota };
}

function parse(backends: Record<string, unknown>) {
  const routes = Object.keys(backends).map((name) => ({ prefix: `/${name}`, backend: name }));
  return parseConfig({ backends, routes });
}

function quotaOf(quota: unknown): QuotaSettings | undefined {
  const result = parse({ api: backend(quota) });
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  expect(result.warnings).toEqual([]);
  return result.config.backends.get("api")?.quota;
}

function problemsOf(backends: Record<string, unknown>) {
  const result = parse(backends);
  return result.ok ? [] : result.problems;
}

describe("a quota", () => {
  it.each([
    ["30-per-minute", { requests: 30, burst: 10, spacingMs: 100 }],
    ["10-per-minute", { requests: 10, burst: 3, spacingMs: 1_000 }],
    ["5-per-minute", { requests: 5, burst: 2, spacingMs: 2_000 }],
    ["60-per-minute", { requests: 60, burst: 60, spacingMs: 50 }],
  ])("may be a preset: %s", (preset, pace) => {
    const expected = { ...REST, policy: { ...MINUTE, ...pace } };
    expect(quotaOf(preset)).toEqual(expected);
    expect(quotaOf({ preset })).toEqual(expected);
  });

  it.each([
    [{ requests: 20 }, { requests: 20, burst: 20, spacingMs: 0 }],
    [
      { requests: 20, window: "1h", burst: 5, spacing: 250, maxQueue: 0, maxPause: "1m" },
      { requests: 20, windowMs: 3_600_000, burst: 5, spacingMs: 250, maxQueue: 0, maxPauseMs: 60_000 },
    ],
    [
      { requests: 1, backoff: { base: 100 } },
      { requests: 1, burst: 1, spacingMs: 0, backoff: { baseMs: 100, maxMs: 60_000 } },
    ],
    [
      { requests: 1, backoff: { max: 100 } },
      { requests: 1, burst: 1, spacingMs: 0, backoff: { baseMs: 100, maxMs: 100 } },
    ],
  ])("may have numbers of its own: %j", (quota, policy) => {
    expect(quotaOf(quota)?.policy).toEqual({ ...MINUTE, ...policy });
  });

  it("says who shares it, in which order, for how long they wait, and what holds without its owner", () => {
    const quota = {
      preset: "5-per-minute",
      name: "provider",
      by: ["header:X-Tenant"],
      priority: "low",
      maxWait: 0,
      onError: "open",
    };
    expect(quotaOf(quota)).toMatchObject({
      name: "provider",
      by: [{ kind: "header", name: "x-tenant" }],
      priority: "low",
      maxWaitMs: 0,
      onError: "open",
    });
  });

  it.each([undefined, false, { enabled: false, preset: "5-per-minute" }])("may be off: %j", (quota) => {
    expect(quotaOf(quota)).toBeUndefined();
  });

  it.each([
    ["40-per-minute", "quota"],
    [true, "quota"],
    [{}, "quota.requests"],
    [{ preset: "5-per-minute", requests: 6 }, "quota.requests"],
    [{ preset: "5-per-minute", spacing: 6 }, "quota.requests"],
    [{ requests: 0 }, "quota.requests"],
    [{ requests: 5, burst: 6 }, "quota.burst"],
    [{ requests: 5, window: "1s", spacing: "2s" }, "quota.spacing"],
    [{ requests: 5, window: "32d" }, "quota.window"],
    [{ requests: 5, maxWait: "10m" }, "quota.maxWait"],
    [{ requests: 5, maxQueue: 10_001 }, "quota.maxQueue"],
    [{ requests: 5, onError: "local" }, "quota.onError"],
    [{ requests: 5, request: 5 }, "quota.request"],
  ])("is refused where it cannot be kept: %j", (quota, path) => {
    expect(problemsOf({ api: backend(quota) }).map((problem) => problem.path)).toEqual([`backends.api.${path}`]);
  });
});

describe("a spacing", () => {
  function warningsOf(quota: unknown) {
    const result = parse({ api: backend(quota) });
    return result.ok ? result.warnings : result.problems;
  }

  it("that never lets all requests come is said to", () => {
    expect(warningsOf({ requests: 60, spacing: "5s" })).toEqual([
      {
        path: "backends.api.quota.spacing",
        message: "at one every 5s no 1m ever have more than 12 of the 60 requests",
      },
    ]);
  });

  it.each([{ requests: 12, spacing: "5s" }, { requests: 9, spacing: "7s" }, "60-per-minute"])(
    "that does is fine: %j",
    (quota) => expect(warningsOf(quota)).toEqual([]),
  );
});

describe("backends of one quota", () => {
  it("may differ in what is each one's own", () => {
    const shared = { name: "provider", preset: "30-per-minute" };
    const others = { ...shared, maxWait: "1s", priority: "low", by: "all", onError: "open" };
    expect(problemsOf({ a: backend(shared), b: backend(others) })).toEqual([]);
  });

  it("must agree in its numbers, since it has one owner", () => {
    expect(problemsOf({ a: backend("30-per-minute"), b: backend({ name: "a", requests: 40 }) })).toEqual([
      {
        path: "backends.b.quota",
        got: 'other numbers for "a"',
        wanted: "those of backends.a.quota: what has one name is one quota",
      },
    ]);
  });
});
