import { describe, expect, it } from "vitest";
import type { GatePolicy } from "../../../worker/concurrency/gate.ts";
import { DEFAULT_CONCURRENCY } from "../../../schemas/policies/backends/concurrency.ts";
import { capacity, overload, type Scenario } from "./overload-world.ts";

const { limit: ADAPTIVE_LIMIT, shares: SHARES } = DEFAULT_CONCURRENCY;

const ADAPTIVE: GatePolicy = DEFAULT_CONCURRENCY;
const FIXED: GatePolicy = { limit: { kind: "fixed", limit: 20 }, shares: SHARES };
/** Of an answer, when nothing queues: 64 are served at once, each for 50 ms in the median. */
const IDLE_P99_MS = 127;
const PEAK = capacity(50);

function times(factor: number): Scenario["offered"] {
  return () => factor * PEAK;
}

const base = {
  seed: 1,
  isolates: 4,
  seconds: 80,
  serviceMs: () => 50,
  countFromMs: 20_000,
} as const;

describe("three times what the backend can serve", () => {
  it("leaves nothing of its goodput without a limit", () => {
    const { all, goodput } = overload({ ...base, policy: undefined, offered: times(3), seconds: 40 });
    expect([goodput, all.good]).toEqual([0, 0]);
    expect(all.late).toBeGreaterThan(70_000);
  });

  it.each<[string, GatePolicy, number]>([
    ["a fixed limit that fits", FIXED, 1],
    ["the adaptive one", ADAPTIVE, 1],
    ["the adaptive one, by other chances", ADAPTIVE, 2],
    ["the adaptive one, by others again", ADAPTIVE, 3],
  ])(
    "leaves nine tenths of its goodput with %s, and critical requests nearly as fast as ever",
    (_what, policy, seed) => {
      const { all, critical, goodput } = overload({ ...base, policy, offered: times(3), seed });
      expect(goodput).toBeGreaterThan(0.9 * PEAK);
      expect(all.late).toBe(0);
      expect(critical.p99Ms).toBeLessThan(1.6 * IDLE_P99_MS);
      expect(critical.shed).toBeLessThan(0.04 * critical.offered);
    },
  );

  it.each([
    ["one isolate", 1],
    ["sixteen isolates", 16],
  ])("leaves as much to %s", (_what, isolates) => {
    const { goodput, critical } = overload({ ...base, policy: ADAPTIVE, offered: times(3), isolates });
    expect(goodput).toBeGreaterThan(0.9 * PEAK);
    expect(critical.p99Ms).toBeLessThan(3 * IDLE_P99_MS);
  });

  it("leaves as much when it comes at once after a quiet time", () => {
    const offered = (at: number) => (at < 60_000 ? 0.2 : 3) * PEAK;
    const { goodput, critical } = overload({ ...base, policy: ADAPTIVE, offered, seconds: 100, countFromMs: 60_000 });
    expect(goodput).toBeGreaterThan(0.9 * PEAK);
    expect(critical.p99Ms).toBeLessThan(2 * IDLE_P99_MS);
  });

  it("is over when it is over", () => {
    const offered = (at: number) => (at < 40_000 ? 3 : 0.7) * PEAK;
    const { all } = overload({ ...base, policy: ADAPTIVE, offered, seconds: 80, countFromMs: 45_000 });
    expect(all.shed / all.offered).toBeLessThan(0.01);
    expect(all.p99Ms).toBeLessThan(1.1 * IDLE_P99_MS);
  });

  it("lasts for minutes without the queue growing, which it does when isolates measure at different times", () => {
    const long = { ...base, policy: ADAPTIVE, offered: times(3), seconds: 300, countFromMs: 150_000, seed: 2 };
    const together = overload(long);
    const apart = overload({ ...long, clockApartMs: ADAPTIVE_LIMIT.measureEveryMs / 4 });
    expect(together.critical.p99Ms).toBeLessThan(1.6 * IDLE_P99_MS);
    expect(apart.critical.p99Ms).toBeGreaterThan(4 * IDLE_P99_MS);
  });
});

describe("less than the backend can serve", () => {
  it.each([0.3, 0.7])("is all let through, at %d of it", (factor) => {
    const { all } = overload({ ...base, policy: ADAPTIVE, offered: times(factor) });
    expect(all.shed / all.offered).toBeLessThan(0.005);
    expect(all.p99Ms).toBeLessThan(1.1 * IDLE_P99_MS);
  });

  it("is all let through again soon after the backend has become half as fast for good", () => {
    const serviceMs = (at: number) => (at < 45_000 ? 50 : 100);
    const run = (countFromMs: number) =>
      overload({ ...base, policy: ADAPTIVE, offered: times(0.35), serviceMs, seconds: 120, countFromMs }).all;
    const [since, later] = [run(45_000), run(80_000)];
    // Refused is until the next turn, of 20 s.
    expect(since.shed / since.offered).toBeLessThan(0.2);
    expect(later.shed / later.offered).toBeLessThan(0.01);
  });
});
