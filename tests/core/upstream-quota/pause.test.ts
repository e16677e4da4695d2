import { describe, expect, it } from "vitest";
import { heard, NO_PAUSE, type Pause, type Signal } from "../../../objects/upstream-quota/pause.ts";
import { signalOf } from "../../../objects/upstream-quota/upstream-signal.ts";
import { policyOf } from "./quota-world.ts";

const POLICY = policyOf({ backoff: { baseMs: 1_000, maxMs: 5_000 }, maxPauseMs: 60_000 });
const THROTTLED: Signal = { kind: "throttled", retryAfterMs: null };

function after(pause: Pause, signal: Signal, changes: { epoch?: number; now?: number; random?: number } = {}): Pause {
  const { epoch = pause.epoch, now = 0, random = 0.999 } = changes;
  return heard(pause, { signal, epoch }, POLICY, { now, random });
}

describe("a pause", () => {
  it("lasts as long as Retry-After says, from when it was heard of", () => {
    const pause = after(NO_PAUSE, { kind: "throttled", retryAfterMs: 3_000 }, { now: 500 });
    expect(pause).toEqual({ until: 3_500, cause: "retry-after", epoch: 2, throttles: 1 });
  });

  it("is never longer than the policy bears", () => {
    expect(after(NO_PAUSE, { kind: "throttled", retryAfterMs: 1e12 }).until).toBe(60_000);
    expect(after(NO_PAUSE, { kind: "exhausted", resetMs: 1e12 }).until).toBe(60_000);
  });

  it("is never cut short by a later word", () => {
    const pause = after(NO_PAUSE, { kind: "throttled", retryAfterMs: 30_000 });
    expect(after(pause, { kind: "throttled", retryAfterMs: 1_000 }).until).toBe(30_000);
    expect(after(pause, { kind: "exhausted", resetMs: 10 }).until).toBe(30_000);
    expect(after(pause, { kind: "ok" }).until).toBe(30_000);
  });

  it("doubles with each throttle in a row that names no time, up to the most, with full jitter", () => {
    let pause = NO_PAUSE;
    const bounds: number[] = [];
    for (let count = 0; count < 5; count += 1) {
      pause = after({ ...pause, until: -Infinity }, THROTTLED, { random: 0.999 });
      bounds.push(pause.until);
    }
    expect(bounds).toEqual([999, 1_998, 3_996, 4_995, 4_995]);
    expect(after(NO_PAUSE, THROTTLED, { random: 0 }).until).toBe(0);
  });

  it("counts throttled answers to requests that were under way together as one", () => {
    const first = after(NO_PAUSE, THROTTLED);
    const second = after(first, THROTTLED, { epoch: NO_PAUSE.epoch });
    expect(second).toBe(first);
    const named = after(first, { kind: "throttled", retryAfterMs: 9_000 }, { epoch: NO_PAUSE.epoch });
    expect(named).toEqual({ ...first, until: 9_000, cause: "retry-after" });
  });

  it("begins small again after a success, of a request that began after the throttle", () => {
    const pause = after(after(NO_PAUSE, THROTTLED), THROTTLED);
    expect(pause.throttles).toBe(2);
    expect(after(pause, { kind: "ok" }, { epoch: pause.epoch - 1 })).toBe(pause);
    expect(after(pause, { kind: "ok" })).toMatchObject({ throttles: 0, epoch: pause.epoch });
    expect(after(NO_PAUSE, { kind: "ok" })).toBe(NO_PAUSE);
  });

  it("because nothing is left is no throttle", () => {
    expect(after(NO_PAUSE, { kind: "exhausted", resetMs: 7_000 })).toEqual({
      ...NO_PAUSE,
      until: 7_000,
      cause: "rate-limit",
    });
  });
});

describe("an answer", () => {
  it.each<[string, Parameters<typeof signalOf>[0], Signal]>([
    ["200", { status: 200, retryAfterMs: undefined, rateLimit: null }, { kind: "ok" }],
    ["200 with a Retry-After that nobody asked for", { status: 200, retryAfterMs: 9, rateLimit: null }, { kind: "ok" }],
    ["500", { status: 500, retryAfterMs: undefined, rateLimit: null }, { kind: "ok" }],
    ["429", { status: 429, retryAfterMs: undefined, rateLimit: null }, THROTTLED],
    ["503", { status: 503, retryAfterMs: undefined, rateLimit: null }, THROTTLED],
    ["429 in 3 s", { status: 429, retryAfterMs: 3_000, rateLimit: null }, { kind: "throttled", retryAfterMs: 3_000 }],
    [
      "Retry-After beside RateLimit",
      { status: 429, retryAfterMs: 3_000, rateLimit: '"d";r=0;t=60' },
      { kind: "throttled", retryAfterMs: 3_000 },
    ],
    [
      "429 with RateLimit",
      { status: 429, retryAfterMs: undefined, rateLimit: '"d";r=0;t=60' },
      { kind: "throttled", retryAfterMs: 60_000 },
    ],
    [
      "nothing left",
      { status: 200, retryAfterMs: undefined, rateLimit: '"d";r=0;t=60' },
      { kind: "exhausted", resetMs: 60_000 },
    ],
    [
      "two limits",
      { status: 200, retryAfterMs: undefined, rateLimit: '"s";r=0;t=1, "d";r=0;t=60, "m";r=5;t=99' },
      { kind: "exhausted", resetMs: 60_000 },
    ],
    ["something left", { status: 200, retryAfterMs: undefined, rateLimit: '"d";r=3;t=60' }, { kind: "ok" }],
    [
      "nothing left, for nobody knows how long",
      { status: 200, retryAfterMs: undefined, rateLimit: '"d";r=0' },
      { kind: "ok" },
    ],
    [
      "draft 7",
      { status: 200, retryAfterMs: undefined, rateLimit: "limit=10, remaining=0, reset=30" },
      { kind: "exhausted", resetMs: 30_000 },
    ],
    [
      "draft 7 with some left",
      { status: 200, retryAfterMs: undefined, rateLimit: "limit=10, remaining=4, reset=30" },
      { kind: "ok" },
    ],
    ["nonsense", { status: 200, retryAfterMs: undefined, rateLimit: "{0}" }, { kind: "ok" }],
    ["a time of nonsense", { status: 200, retryAfterMs: undefined, rateLimit: '"d";r=0;t=soon' }, { kind: "ok" }],
  ])("of %s", (_title, fields, signal) => {
    expect(signalOf(fields)).toEqual(signal);
  });
});
