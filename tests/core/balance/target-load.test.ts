import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { begin, countInFlight, finish, noneInFlight, type CountedCall } from "../../../worker/balance/in-flight.ts";
import {
  addHistogram,
  addTime,
  emptyHistogram,
  quantile,
  type LatencyHistogram,
} from "../../../objects/latency-histogram.ts";
import {
  beginCall,
  callsInFlight,
  endCall,
  latencyOf,
  newTargetLoad,
  noteAnswer,
  p95Of,
} from "../../../worker/balance/target-load.ts";

describe("calls in flight", () => {
  it("count until they end, or their lease is over although nobody said so", () => {
    const inFlight = noneInFlight();
    const one = begin(inFlight, 1_000, 0);
    begin(inFlight, 1_500, 500);
    expect([499, 999, 1_000, 1_999, 2_000].map((now) => countInFlight(inFlight, now))).toEqual([2, 2, 1, 1, 0]);
    finish(inFlight, one);
    expect(countInFlight(inFlight, 2_001)).toBe(0);
  });

  it("end once, however often that is said", () => {
    const inFlight = noneInFlight();
    const one = begin(inFlight, 1_000, 0);
    begin(inFlight, 1_000, 0);
    finish(inFlight, one);
    finish(inFlight, one);
    expect(countInFlight(inFlight, 0)).toBe(1);
  });

  const anyStep = fc.oneof(
    fc.record({ kind: fc.constant("begin" as const), leaseMs: fc.integer({ min: 1, max: 5_000 }) }),
    fc.record({ kind: fc.constant("end" as const), which: fc.nat(50) }),
    fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 0, max: 5_000 }) }),
  );

  it("are those that began, did not end and whose lease lasts, rounded up to a second", () => {
    let overdue = 0;
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 80 }), (steps) => {
        const inFlight = noneInFlight();
        const begun: { call: CountedCall; until: number; isOver: boolean }[] = [];
        let now = 1_000;
        for (const step of steps) {
          if (step.kind === "wait") now += step.ms;
          if (step.kind === "begin") {
            const until = Math.ceil((now + step.leaseMs) / 1_000) * 1_000;
            begun.push({ call: begin(inFlight, step.leaseMs, now), until, isOver: false });
          }
          const ending = step.kind === "end" ? begun[step.which % begun.length] : undefined;
          if (ending !== undefined) {
            if (ending.until <= now) overdue += 1;
            finish(inFlight, ending.call);
            ending.isOver = true;
          }
          expect(countInFlight(inFlight, now)).toBe(begun.filter((one) => !one.isOver && one.until > now).length);
        }
        expect(inFlight.ends.size).toBeLessThanOrEqual(6);
      }),
      { numRuns: 1_000 },
    );
    expect(overdue).toBeGreaterThan(100);
  });
});

describe("a latency histogram", () => {
  const anyTimes = fc.array(fc.double({ min: 1, max: 120_000, noNaN: true }), { minLength: 1, maxLength: 200 });

  function histogramOf(times: readonly number[]): LatencyHistogram {
    const histogram = emptyHistogram();
    for (const ms of times) addTime(histogram, ms);
    return histogram;
  }

  it("tells a quantile that is at most 19 % above the truth and never below", () => {
    fc.assert(
      fc.property(anyTimes, fc.constantFrom(0.5, 0.9, 0.95, 1), (times, share) => {
        const sorted = times.toSorted((a, b) => a - b);
        const truth = sorted[Math.ceil(share * times.length) - 1] ?? 0;
        const told = quantile(histogramOf(times), share) ?? 0;
        expect(told).toBeGreaterThanOrEqual(truth * (1 - 1e-9));
        expect(told).toBeLessThanOrEqual(truth * 2 ** 0.25 * (1 + 1e-9));
      }),
      { numRuns: 1_000 },
    );
  });

  it("of two is the same as one of all", () => {
    fc.assert(
      fc.property(anyTimes, anyTimes, (some, others) => {
        const merged = histogramOf(some);
        addHistogram(merged, histogramOf(others));
        expect(merged).toEqual(histogramOf([...some, ...others]));
      }),
    );
  });

  it.each([
    ["nothing", [], undefined],
    ["less than a millisecond", [0, 0.4], 1],
    ["more than two minutes", [1e9], 131_072],
  ])("of %s", (_what, times, p95) => {
    expect(quantile(histogramOf(times), 0.95)).toBe(p95);
  });
});

describe("a target's load", () => {
  it("counts calls from their start to their end", () => {
    const load = newTargetLoad();
    const one = beginCall(load, 30_000, 0);
    beginCall(load, 30_000, 10);
    expect(callsInFlight(load, 20)).toBe(2);
    endCall(load, one);
    expect(callsInFlight(load, 20)).toBe(1);
  });

  it("knows of a slow answer at once, and forgets it by halves in ten seconds, with answers and without", () => {
    const load = newTargetLoad();
    expect(latencyOf(load, 0)).toBeUndefined();
    noteAnswer(load, 10, 0);
    noteAnswer(load, 1_000, 100);
    expect(latencyOf(load, 100)).toBe(1_000);
    expect(latencyOf(load, 20_100)).toBe(250);
    noteAnswer(load, 0, 10_100);
    expect(latencyOf(load, 10_100)).toBe(500);
    noteAnswer(load, 600, 20_100);
    expect(latencyOf(load, 20_100)).toBe(600);
  });

  it("loses nothing when the clock steps back", () => {
    const load = newTargetLoad();
    noteAnswer(load, 1_000, 100);
    noteAnswer(load, 0, -5_000);
    expect(latencyOf(load, -5_000)).toBe(1_000);
  });

  it("tells its p95 of the last half minute or two, from twenty answers on", () => {
    const load = newTargetLoad();
    for (let call = 0; call < 19; call++) noteAnswer(load, 100, 40_000);
    expect(p95Of(load, 40_000)).toBeUndefined();
    noteAnswer(load, 100, 40_000);
    expect(p95Of(load, 40_000)).toBeCloseTo(107.6, 1);
    for (let call = 0; call < 20; call++) noteAnswer(load, 1_000, 75_000);
    expect(p95Of(load, 75_000)).toBeCloseTo(1_024, 6);
    expect(p95Of(load, 104_999)).toBeCloseTo(1_024, 6);
    for (let call = 0; call < 20; call++) noteAnswer(load, 10, 106_000);
    expect(p95Of(load, 106_000)).toBeCloseTo(1_024, 6);
    for (let call = 0; call < 20; call++) noteAnswer(load, 10, 137_000);
    expect(p95Of(load, 137_000)).toBeCloseTo(11.31, 2);
    expect(p95Of(load, 1_000_000)).toBeUndefined();
  });
});
