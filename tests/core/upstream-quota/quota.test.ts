import { describe, expect, it } from "vitest";
import { QUOTA_PRESETS } from "../../../schemas/policies/backends/quota.ts";
import { stateAt } from "../../../objects/upstream-quota/quota-state.ts";
import { policyOf, QuotaWorld, START, termsOf } from "./quota-world.ts";

const MINUTE_MS = 60_000;
const many = (count: number, client = "a") => Array.from({ length: count }, () => client);

describe("the presets, asked for all the time", () => {
  it.each([
    ["30-per-minute", 10, 100, 2_000],
    ["10-per-minute", 3, 1_000, 6_000],
    ["5-per-minute", 2, 2_000, 12_000],
    ["60-per-minute", 60, 50, 1_000],
  ] as const)("%s: a burst of %i with %i ms between, then one every %i ms", (name, burst, spacingMs, everyMs) => {
    const policy = QUOTA_PRESETS[name];
    expect(policy).toMatchObject({ burst, spacingMs });
    const world = new QuotaWorld({ ...policy, maxQueue: 1_000 });
    world.ask(many(policy.requests * 5));
    world.pass(4 * MINUTE_MS);
    const { times } = world;
    // A little more than the spacing, for clocks that drift: by the length of the wait.
    expect(times[burst - 1]).toBeLessThan((burst - 1) * spacingMs * 1.1);
    if (burst < policy.requests) {
      expect(times.slice(burst, burst + 2)).toEqual(
        [everyMs, 2 * everyMs].filter((at) => at > (burst - 1) * spacingMs),
      );
    }
    for (const [index, at] of times.entries()) {
      const before = times[index - 1] ?? -Infinity;
      expect(at - before).toBeGreaterThanOrEqual(spacingMs);
      const first = times[index - policy.requests] ?? -Infinity;
      expect(at - first).toBeGreaterThan(MINUTE_MS);
    }
    // The window is used up but for a thousandth.
    expect(times.length).toBe(policy.requests * 4);
  });
});

describe("a slot", () => {
  it("keeps its whole length free of others, and counts from its end", () => {
    const world = new QuotaWorld(policyOf({ requests: 2, burst: 2 }));
    world.ask(many(3), { toleranceMs: 400 });
    world.pass(2 * MINUTE_MS);
    expect(world.times.slice(0, 2)).toEqual([0, 501]);
    // 400 ms of the first, a minute, and the part of a thousandth in which it ended.
    expect(world.times[2]).toBeGreaterThan(60_400);
    expect(world.times[2]).toBeLessThanOrEqual(60_400 + 120);
  });

  it("that comes back is given on, once", () => {
    const world = new QuotaWorld(policyOf({ requests: 2, burst: 2 }));
    world.ask(many(4));
    world.pass(1_000);
    expect(world.times).toEqual([0, 101]);
    const [first] = world.slots;
    world.giveBack(first?.id ?? 0, first?.id ?? 0);
    world.giveBack(first?.id ?? 0);
    world.pass(1_000);
    expect(world.times).toEqual([0, 101, 1_000]);
  });

  it("that nobody was granted cannot come back", () => {
    const world = new QuotaWorld(policyOf({ requests: 1, burst: 1 }));
    world.ask(many(2));
    world.giveBack(2, 3, 4_711);
    expect(world.served).toBe("a");
  });

  it("that comes back seconds after its end stays counted", () => {
    const world = new QuotaWorld(policyOf({ requests: 3, burst: 3 }));
    world.ask(many(1));
    world.pass(10_000);
    world.ask(many(1));
    world.giveBack(1);
    world.pass(1_000);
    world.ask(many(2));
    expect(world.served).toBe("aaa");
  });

  it("has an id that no other has, nor will after a restart", () => {
    const world = new QuotaWorld(policyOf());
    world.ask(many(3));
    world.pass(1_000);
    expect(world.slots.map(({ id }) => id)).toEqual([1, 2, 3]);
    expect(world.state.lastSlot).toBe(3);
  });
});

describe("slots ahead", () => {
  const FAST = policyOf({ requests: 6_000, burst: 100, spacingMs: 0 });

  it("are for who asks for them: one of half a second for all where there is no spacing", () => {
    const world = new QuotaWorld(FAST);
    world.ask(["a"], { spare: 3, toleranceMs: 60 });
    expect(world.slots).toEqual([
      { id: 1, from: 0, forMs: 60, count: 1 },
      { id: 2, from: 0, forMs: 500, count: 3 },
    ]);
    expect(world.state.pace.bucket.tokens).toBe(96);
  });

  it.each([
    [1_000, 40, 250, 20],
    [1_500, 40, 375, 30],
    [1_000, 200, 250, 100],
  ])(
    "are no longer than a quarter of a window of %i ms, and for what is used in that time",
    (windowMs, spare, forMs, count) => {
      const world = new QuotaWorld({ ...FAST, requests: 1_000, windowMs, burst: 1_000 });
      world.ask(["a"], { spare });
      expect(world.slots[1]).toEqual({ id: 2, from: 0, forMs, count });
    },
  );

  it("are shorter the less is left, down to what their isolate can hit", () => {
    const world = new QuotaWorld({ ...FAST, requests: 1_000, windowMs: 1_000, burst: 1_000 });
    world.ask(many(849));
    world.ask(["a"], { spare: 100, toleranceMs: 90 });
    world.ask(many(100));
    world.ask(["a"], { spare: 10, toleranceMs: 90 });
    expect(world.slots.filter(({ forMs }) => forMs > 0).map(({ forMs, count }) => [forMs, count])).toEqual([
      [90, 1],
      [150, 30],
      [90, 1],
      [90, 2],
    ]);
  });

  it("that come back in part are given on in part, once", () => {
    const world = new QuotaWorld({ ...FAST, burst: 20 });
    world.ask(["a"], { spare: 9 });
    world.ask(["b"], { unused: [{ id: 2, count: 6 }] });
    expect(world.state.pace.bucket.tokens).toBe(15);
    world.ask(["b"], { unused: [{ id: 2, count: 3 }] });
    expect(world.state.pace.bucket.tokens).toBe(14);
  });

  it("come back as many as they were at most", () => {
    const world = new QuotaWorld({ ...FAST, burst: 20 });
    world.ask(["a"], { spare: 4 });
    world.ask(["b", "b"]);
    world.ask(["b"], { unused: [{ id: 2, count: 1_000 }] });
    expect(world.state.pace.bucket.tokens).toBe(16);
  });

  it("follow one another where there is a spacing, within half a second", () => {
    const world = new QuotaWorld({ ...FAST, spacingMs: 10 });
    world.ask(["a"], { spare: 20, toleranceMs: 90 });
    expect(world.slots.map(({ from }) => from)).toEqual([0, 101, 202, 303, 404]);
  });

  it("are at most half of what is left, so that others find some too", () => {
    const world = new QuotaWorld(FAST);
    world.ask(["a", "b", "c"], { spare: 200 });
    expect(world.slots.map(({ count }) => count)).toEqual([1, 49, 1, 24, 1, 12]);
  });

  it("are not lent while somebody waits", () => {
    const world = new QuotaWorld({ ...FAST, burst: 4 });
    world.ask(many(6), { spare: 10 });
    expect(world.slots.map(({ count }) => count)).toEqual([1, 1, 1, 1]);
    world.pass(10);
    expect(world.slots.map(({ count }) => count)).toEqual([1, 1, 1, 1, 1]);
  });

  it.each([["30-per-minute"], ["10-per-minute"], ["5-per-minute"], ["60-per-minute"]] as const)(
    "are not lent of %s",
    (name) => {
      const world = new QuotaWorld(QUOTA_PRESETS[name]);
      world.ask(["a"], { spare: 5 });
      expect(world.slots).toHaveLength(1);
    },
  );
});

describe("who waits", () => {
  it("is served in turns with the other clients, however many requests each has", () => {
    const world = new QuotaWorld(policyOf({ requests: 60, burst: 1, spacingMs: 0 }));
    world.ask([...many(6, "a"), ...many(2, "b"), ...many(3, "c")]);
    world.pass(MINUTE_MS);
    expect(world.served).toBe("abcabcacaaa");
  });

  it("is refused at once when no slot can come by the deadline", () => {
    const world = new QuotaWorld(policyOf({ requests: 1, burst: 1 }));
    world.ask(["a"]);
    world.ask(["b"], { waitMs: 30_000 });
    expect(world.told).toEqual([
      { at: 0, client: "a", got: "slot" },
      { at: 0, client: "b", got: "deadline", retryAfterMs: 60_089 },
    ]);
  });

  it("is refused as soon as it is known that none can come", () => {
    const world = new QuotaWorld(policyOf({ requests: 60, burst: 1, spacingMs: 0 }));
    world.ask(["a", "b"], { waitMs: 20_000 });
    world.pass(500);
    world.hear({ kind: "throttled", retryAfterMs: 30_000 });
    expect(world.told.slice(1)).toEqual([{ at: 500, client: "b", got: "deadline", retryAfterMs: 30_000 }]);
  });

  it("never hears of a slot that begins after the deadline", () => {
    const world = new QuotaWorld(policyOf({ requests: 60, burst: 1, spacingMs: 0 }));
    world.ask(many(5), { waitMs: 2_500 });
    world.pass(MINUTE_MS);
    expect(world.told.map(({ at, got }) => [at, got])).toEqual([
      [0, "slot"],
      [1_000, "slot"],
      [2_000, "slot"],
      [2_000, "deadline"],
      [2_000, "deadline"],
    ]);
  });

  it("may be as many as there is room for", () => {
    const world = new QuotaWorld(policyOf({ requests: 60, burst: 1, spacingMs: 0, maxQueue: 2 }));
    world.ask(many(4));
    expect(world.told.at(-1)).toEqual({ at: 0, client: "a", got: "queue-full", retryAfterMs: 3_000 });
  });

  it("is nobody where there is no room, but a slot that is free is granted", () => {
    const world = new QuotaWorld(policyOf({ maxQueue: 0 }));
    world.ask(many(2));
    expect(world.told.map(({ got }) => got)).toEqual(["slot", "queue-full"]);
  });
});

describe("a pause", () => {
  it("holds everyone for as long as the upstream has said", () => {
    const world = new QuotaWorld(policyOf());
    world.ask(["a"]);
    world.pass(1_000);
    world.hear({ kind: "throttled", retryAfterMs: 3_000 });
    world.ask(["b", "c"]);
    world.pass(10_000);
    expect(world.times).toEqual([0, 4_000, 4_107]);
  });
});

describe("a new configuration", () => {
  it("holds from then on, and what was used stays used", () => {
    const world = new QuotaWorld(policyOf({ requests: 30, burst: 30, spacingMs: 0 }));
    world.ask(many(20));
    world.state = stateAt(world.state, START, termsOf(policyOf({ requests: 10, burst: 10, spacingMs: 0 }), 2));
    world.ask(["b"]);
    world.pass(59_000);
    expect(world.times).toHaveLength(20);
    world.pass(2_000);
    expect(world.served.endsWith("b")).toBe(true);
  });

  it("is not undone by an isolate that has an older one", () => {
    const { state } = new QuotaWorld(policyOf());
    const raised = stateAt(state, START, termsOf(policyOf({ requests: 1, burst: 1 }), 2));
    expect(stateAt(raised, START, termsOf(policyOf(), 1)).policy.requests).toBe(1);
  });
});

describe("a clock that steps back", () => {
  it.each([
    [10, 60_099],
    [4_000, 64_089],
    [86_400_000, 60_089],
  ])("by %i ms neither grants nor locks out: up to 5 s are waited out, a larger step is forgotten", (back, at) => {
    const world = new QuotaWorld(policyOf({ requests: 1, burst: 1, spacingMs: 0 }));
    world.ask(["a"]);
    world.skewMs = -back;
    world.ask(["b"]);
    world.pass(66_000);
    expect(world.times).toEqual([0, at]);
  });

  it("again and again by a little does not run fast", () => {
    const world = new QuotaWorld(policyOf({ requests: 1, burst: 1, spacingMs: 0 }));
    world.ask(["a", "b"]);
    for (let step = 0; step < 1_000; step += 1) {
      world.skewMs = step % 2 === 0 ? -8 : 0;
      world.giveBack();
      world.pass(59);
    }
    expect(world.times).toEqual([0]);
  });
});
