import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addTime, emptyHistogram } from "../../../objects/latency-histogram.ts";
import { packCounts, unpackCounts } from "../../../objects/rollout/counts-packed.ts";
import { packRelease, unpackRelease } from "../../../objects/rollout/release-packed.ts";
import { NEW_RELEASE, orderRelease, type ReleaseState } from "../../../objects/rollout/release.ts";
import { order } from "./fixtures.ts";
import { runRollout } from "./rollout-world.ts";

describe("what is stored", () => {
  it("is read back as it was, after any history", () => {
    fc.assert(
      fc.property(
        fc.nat(1_000),
        fc.array(fc.constantFrom(order("abort", "canary"), order("promote", "canary"), order("reset")), {
          maxLength: 5,
        }),
        (seed, orders) => {
          const { state } = runRollout({
            seed,
            percent: 20,
            perSecond: 50,
            seconds: 15,
            end: (_variant, _at, random) =>
              random.next() < 0.1 ? { kind: "error" } : { kind: "answer", ms: random.between(0, 1e6) },
          });
          let last = state;
          for (const given of orders) {
            const next = orderRelease(last, given, 99);
            if (!("problem" in next)) last = next;
          }
          expect(unpackRelease(packRelease(state))).toEqual(state);
          expect(unpackRelease(packRelease(last))).toEqual(last);
        },
      ),
      { numRuns: 50 },
    );
    expect(unpackRelease(packRelease(NEW_RELEASE))).toEqual(NEW_RELEASE);
  });

  const times = { p50Ms: 1, p95Ms: 2.5, p99Ms: null };
  const judged: ReleaseState = {
    ...NEW_RELEASE,
    history: [
      {
        at: 1,
        epoch: 2,
        kind: "aborted",
        variant: "next",
        cause: "slower",
        by: "",
        figures: [
          { name: "control", requests: 7, errors: 0, ...times },
          { name: "next", requests: 8, errors: 1, ...times },
        ],
      },
    ],
  };

  it("is read back with what an abort was judged by, or without where that was not stored yet", () => {
    const text = packRelease(judged);
    expect(unpackRelease(text)).toEqual(judged);
    const [known] = judged.history;
    const { figures: _, ...before } = known ?? {};
    expect(unpackRelease(text.replace(/,\[\["control".*?\]\]/, ""))).toEqual({ ...judged, history: [before] });
    expect(unpackRelease(text.replace('["next",8,', '["next","8",'))).toBeUndefined();
  });

  it("is some kilobytes at most", () => {
    const { state } = runRollout({
      seed: 1,
      percent: 50,
      perSecond: 1_000,
      seconds: 30,
      end: (_variant, _at, random) => ({ kind: "answer", ms: 2 ** random.between(0, 17) }),
    });
    expect(packRelease(state).length).toBeLessThan(4_000);
  });

  const packed = packRelease(NEW_RELEASE);

  it.each([
    ["", undefined],
    ["{}", undefined],
    ["[]", undefined],
    ["null", undefined],
    [packed.replace('"e":1', '"e":0'), undefined],
    [packed.replace('"p":null', '"p":1'), undefined],
    [packed.replace('"a":[]', '"a":[1]'), undefined],
    [packed.replace('"t":[]', '"t":[[1]]'), undefined],
    [packed.replace('"c":null', '"c":[1,"r",["a","b"],null]'), undefined],
    [packed.replace('"e":1', '"e":1,"later":2'), NEW_RELEASE],
  ])("as %s is no state, unless only something is added", (text, expected) => {
    expect(unpackRelease(text)).toEqual(expected);
  });

  it("of counts is what was counted", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1e6, noNaN: true })), fc.nat(), (times, errors) => {
        const histogram = emptyHistogram();
        for (const ms of times) addTime(histogram, ms);
        const counts = { requests: times.length + errors, errors, times: histogram };
        expect(unpackCounts(packCounts(counts))).toEqual(counts);
      }),
    );
  });
});
