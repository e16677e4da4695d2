import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  enter,
  leave,
  newGate,
  reconfigureGate,
  roomFor,
  type Gate,
  type Guest,
} from "../../../worker/concurrency/gate.ts";
import { DEFAULT_CONCURRENCY } from "../../../schemas/policies/backends/concurrency.ts";
import type { AdaptiveConcurrency, Priority } from "../../../schemas/index.ts";
import { roomOf } from "../../../worker/concurrency/priority.ts";

const { limit: ADAPTIVE_LIMIT, shares: SHARES } = DEFAULT_CONCURRENCY;

const LEASE_MS = 60_000;
const NOW = 1_000_000;

function fixed(limit: number): Gate {
  return newGate({ limit: { kind: "fixed", limit }, shares: SHARES }, NOW);
}

function adaptive(changes: Partial<AdaptiveConcurrency> = {}): Gate {
  return newGate({ limit: { ...ADAPTIVE_LIMIT, sampleAnswers: 20, ...changes }, shares: SHARES }, NOW);
}

function ask(gate: Gate, priority: Priority = "normal", now = NOW, random = 0) {
  return enter(gate, { priority, leaseMs: LEASE_MS, random }, now);
}

/** As many as get in. */
function fill(gate: Gate, priority: Priority, now = NOW): readonly Guest[] {
  const guests: Guest[] = [];
  for (;;) {
    const entry = ask(gate, priority, now);
    if (entry.kind === "shed") return guests;
    guests.push(entry.guest);
  }
}

describe("a limit of a backend", () => {
  it.each<[number, Priority, number]>([
    [10, "critical", 10],
    [10, "normal", 8],
    [10, "low", 5],
    [3, "critical", 3],
    [3, "normal", 2],
    [3, "low", 1],
    [1, "critical", 1],
    [1, "normal", 1],
    [1, "low", 1],
    [1_000, "normal", 800],
  ])("of %d lets %s requests have %d", (limit, priority, expected) => {
    expect([roomOf(priority, limit, SHARES), fill(fixed(limit), priority).length]).toEqual([expected, expected]);
  });

  it("keeps its reserve for critical requests, whoever came first", () => {
    const gate = fixed(10);
    const from = (["low", "normal", "critical"] as const).map((priority) => fill(gate, priority).length);
    expect(from).toEqual([5, 3, 2]);
    const critical = fixed(10);
    expect([fill(critical, "critical").length, fill(critical, "normal").length]).toEqual([10, 0]);
  });

  it("has room again when one has left, by whatever way, once", () => {
    const gate = fixed(2);
    const [one, other] = fill(gate, "critical");
    if (one === undefined || other === undefined) throw new Error("the gate let nobody in");
    leave(gate, one, { kind: "nothing" }, NOW);
    leave(gate, one, { kind: "nothing" }, NOW);
    expect(fill(gate, "critical").length).toBe(1);
  });

  it("has room again when the lease of one is over that was never heard of again", () => {
    const gate = fixed(2);
    fill(gate, "critical");
    expect([NOW + LEASE_MS - 1, NOW + LEASE_MS].map((now) => fill(gate, "critical", now).length)).toEqual([0, 2]);
  });

  it("may be another one from now on, for those inside as well", () => {
    const gate = fixed(4);
    const [first] = fill(gate, "critical");
    reconfigureGate(gate, { limit: { kind: "fixed", limit: 2 }, shares: SHARES }, NOW);
    if (first !== undefined) leave(gate, first, { kind: "nothing" }, NOW);
    expect(fill(gate, "critical").length).toBe(0);
    reconfigureGate(gate, DEFAULT_CONCURRENCY, NOW);
    expect(fill(gate, "critical").length).toBe(17);
    if (gate.gradient !== undefined) gate.gradient.bestMs = 40;
    reconfigureGate(gate, { limit: { ...ADAPTIVE_LIMIT, maximum: 10, buffer: 1 }, shares: SHARES }, NOW);
    expect([roomFor(gate, "critical", NOW), gate.gradient?.bestMs]).toEqual([10, 40]);
  });

  it("is never exceeded, whatever comes and goes", () => {
    const anyStep = fc.oneof(
      fc.constantFrom<Priority>("critical", "normal", "low").map((priority) => ({ kind: "come" as const, priority })),
      fc.nat(20).map((which) => ({ kind: "go" as const, which })),
    );
    let shed = 0;
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.array(anyStep, { minLength: 20, maxLength: 80 }),
        (limit, steps) => {
          const gate = fixed(limit);
          const inside: Guest[] = [];
          for (const step of steps) {
            if (step.kind === "go") {
              const [guest] = inside.splice(step.which % Math.max(1, inside.length), 1);
              if (guest !== undefined) leave(gate, guest, { kind: "nothing" }, NOW);
              continue;
            }
            const before = inside.length;
            const entry = ask(gate, step.priority);
            expect(entry.kind).toBe(before < roomOf(step.priority, limit, SHARES) ? "pass" : "shed");
            if (entry.kind === "pass") inside.push(entry.guest);
            else shed += 1;
          }
        },
      ),
    );
    expect(shed).toBeGreaterThan(50);
  });
});

describe("who is shed", () => {
  it.each([
    [0, 0, 1_000],
    [0, 0.9, 1_450],
    [900, 0, 1_000],
    [3_000, 0, 3_000],
    [3_000, 0.5, 3_750],
    [60_000, 0, 10_000],
    [60_000, 0.9, 14_500],
  ])("after %d ms of shedding, by a lot of %d, is told to wait %d ms", (sheddingMs, random, expected) => {
    const gate = fixed(1);
    fill(gate, "critical");
    for (let at = 0; at < sheddingMs; at += 1_000) enter(gate, { priority: "low", leaseMs: 1, random: 0 }, NOW + at);
    fill(gate, "critical", NOW + sheddingMs);
    expect(ask(gate, "critical", NOW + sheddingMs, random)).toEqual({ kind: "shed", retryAfterMs: expected });
  });

  it("is told to wait a second after a pause of five", () => {
    const gate = fixed(1);
    for (const at of [0, 4_000, 8_000, 13_001]) fill(gate, "critical", NOW + at);
    expect(ask(gate, "critical", NOW + 13_001)).toEqual({ kind: "shed", retryAfterMs: 1_000 });
  });
});

describe("a limit that adapts", () => {
  /** Lets so many requests through at once, all of which take that long; says the limit after them. */
  function serve(gate: Gate, count: number, tookMs: number, now: number): number {
    const guests = Array.from({ length: count }, () => ask(gate, "critical", now));
    for (const entry of guests) {
      if (entry.kind === "pass") leave(gate, entry.guest, { kind: "head", tookMs }, now + tookMs);
    }
    return gate.gradient?.limit ?? 0;
  }

  it("begins at the initial one", () => {
    expect(fill(adaptive({ initial: 7 }), "critical").length).toBe(7);
  });

  it.each([
    // gradient = clamp(0.5, 2, 100 * 1.25 / sample); limit = 20 * gradient + sqrt(20 * gradient)
    [100, 30],
    [125, 20 + Math.sqrt(20)],
    [200, 12.5 + Math.sqrt(12.5)],
    [250, 10 + Math.sqrt(10)],
    [10_000, 10 + Math.sqrt(10)],
  ])("follows Envoy's formula: after a sample of %d ms, 100 being the best", (tookMs, expected) => {
    const gate = adaptive();
    if (gate.gradient !== undefined) gate.gradient.bestMs = 100;
    expect(serve(gate, 20, tookMs, NOW)).toBeCloseTo(expected, 9);
  });

  it("takes the first sample for the best there is", () => {
    const gate = adaptive();
    serve(gate, 20, 300, NOW);
    expect(gate.gradient?.bestMs).toBe(300);
  });

  it("is halved by requests that were given up, and takes none of them for the best", () => {
    const gate = adaptive();
    for (const guest of fill(gate, "critical")) leave(gate, guest, { kind: "given-up" }, NOW + 10_000);
    expect([gate.gradient?.limit, gate.gradient?.bestMs]).toEqual([10 + Math.sqrt(10), undefined]);
  });

  it("learns nothing of a request that failed fast", () => {
    const gate = adaptive();
    for (let times = 0; times < 10; times++) {
      for (const guest of fill(gate, "critical")) leave(gate, guest, { kind: "nothing" }, NOW + times * 1_000);
    }
    expect([gate.gradient?.limit, gate.gradient?.bestMs]).toEqual([20, undefined]);
  });

  it.each([
    ["a hundred answers and a tenth of a second", 100, 99, false],
    ["a hundred answers and a tenth of a second", 99, 100, false],
    ["a hundred answers and a tenth of a second", 100, 100, true],
    ["a second, and twenty answers", 20, 999, false],
    ["a second, and twenty answers", 19, 1_000, false],
    ["a second, and twenty answers", 20, 1_000, true],
  ])("needs %s for a sample: of %d in %d ms %s", (_what, answers, ms, isFull) => {
    const gate = adaptive({ sampleAnswers: 100 });
    const at = (count: number, now: number) => {
      for (let left = count; left > 0; left -= 20) serve(gate, Math.min(20, left), 0, now);
    };
    at(answers - 1, NOW + 1);
    at(1, NOW + ms);
    expect(gate.gradient?.limit !== 20).toBe(isFull);
  });

  it("counts one answer for a request that leaves twice", () => {
    const gate = adaptive();
    for (const guest of fill(gate, "critical").slice(1)) {
      for (const now of [NOW + 99, NOW + 100]) leave(gate, guest, { kind: "head", tookMs: 10 }, now);
    }
    expect(gate.gradient?.limit).toBe(20);
  });

  it("does not grow when less than half of it was used, and falls all the same", () => {
    const gate = adaptive();
    const few = (tookMs: number, from: number) => {
      for (let turn = 0; turn < 5; turn++) serve(gate, 4, tookMs, from + turn * tookMs);
      return gate.gradient?.limit;
    };
    expect(few(100, NOW)).toBe(20);
    expect(few(1_000, NOW + 10_000)).toBeCloseTo(10 + Math.sqrt(10), 9);
  });

  it("stays within its bounds", () => {
    const gate = adaptive({ minimum: 5, maximum: 30 });
    expect([1, 2, 3].map((turn) => serve(gate, 30, 100, NOW + turn * 1_000)).at(-1)).toBe(30);
    expect(Array.from({ length: 40 }, (_, turn) => serve(gate, 30, 9_000, NOW + (turn + 1) * 60_000)).at(-1)).toBe(5);
  });

  it("takes faster answers for the best there is, when they are no chance", () => {
    const gate = adaptive();
    serve(gate, 20, 100, NOW);
    for (let turn = 0; turn < 15; turn++) serve(gate, 20, turn === 3 ? 20 : 95, NOW + turn * 1_000);
    expect(gate.gradient?.bestMs).toBe(100);
    for (let turn = 15; turn < 60; turn++) serve(gate, 20, 80, NOW + turn * 1_000);
    expect(gate.gradient?.bestMs).toBe(80);
  });

  it("goes on when its clock steps back", () => {
    const gate = adaptive();
    serve(gate, 20, 100, NOW);
    expect(serve(gate, 20, 100, NOW - 500_000)).toBe(30);
    expect(serve(gate, 20, 100, NOW - 499_000)).toBeGreaterThan(30);
  });

  describe("measures what is best", () => {
    /** A turn of the clock begins. */
    const TURN = 1_200_000;

    /** A gate whose last answers were slow, and that has just refused somebody. */
    function busy(now: number): Gate {
      const gate = adaptive();
      serve(gate, 20, 100, now - 2_000);
      serve(gate, 20, 1_000, now - 1_000);
      fill(gate, "critical", now - 1);
      return gate;
    }

    function emptied(gate: Gate): Gate {
      gate.inFlight.count = 0;
      gate.inFlight.ends.clear();
      return gate;
    }

    it.each([
      ["in the first half second of a turn", TURN, 3],
      ["at its end", TURN + 499, 3],
      ["not after it", TURN + 500, 14],
      ["not before", TURN - 1, 14],
    ])("%s", (_what, now, expected) => {
      expect(roomFor(busy(now), "normal", now)).toBe(expected);
    });

    it("not when nobody was refused, and not when answers are fast", () => {
      const unhurt = adaptive();
      serve(unhurt, 20, 100, TURN - 2_000);
      serve(unhurt, 20, 1_000, TURN - 1_000);
      const fast = adaptive();
      serve(fast, 20, 100, TURN - 2_000);
      fill(fast, "critical", TURN - 1);
      expect([roomFor(unhurt, "normal", TURN), roomFor(fast, "normal", TURN)]).toEqual([14, 24]);
    });

    it("holding all but critical requests to the minimum, and those to their reserve above it", () => {
      const gate = busy(TURN);
      const rooms = (["critical", "normal", "low"] as const).map((priority) => roomFor(gate, priority, TURN));
      expect(rooms).toEqual([3 + 3, 3, 3]);
    });

    it("by the requests that begin when the queue is gone, and once a turn", () => {
      const gate = emptied(busy(TURN));
      // The queue is as long as the last sample was slow.
      expect(roomFor(gate, "normal", TURN)).toBe(3);
      for (let at = 0; at < 50; at++) serve(gate, 1, 900, TURN + 999);
      expect(gate.gradient?.bestMs).toBe(100);
      for (let at = 0; at < 50; at++) serve(gate, 1, 120, TURN + 1_000 + at);
      expect([gate.gradient?.bestMs, roomFor(gate, "normal", TURN + 1_200)]).toEqual([110, 14]);
    });

    it("once a turn, though it is slow again before its first half second is over", () => {
      const gate = adaptive();
      serve(gate, 20, 10, TURN - 2_000);
      serve(gate, 20, 40, TURN - 1_000);
      fill(gate, "critical", TURN - 1);
      emptied(gate);
      expect(roomFor(gate, "normal", TURN)).toBe(3);
      for (let at = 0; at < 50; at++) serve(gate, 1, 10, TURN + 40);
      serve(gate, 10, 40, TURN + 60);
      serve(gate, 10, 40, TURN + 160);
      fill(gate, "critical", TURN + 210);
      expect([gate.gradient?.isSlow, roomFor(gate, "normal", TURN + 220)]).toEqual([true, 9]);
    });

    it("and believes at once what is far from what it knew", () => {
      const gate = emptied(busy(TURN));
      roomFor(gate, "normal", TURN);
      for (let at = 0; at < 50; at++) serve(gate, 1, 400, TURN + 1_000 + at);
      expect(gate.gradient?.bestMs).toBe(400);
    });

    it("for a second at most, and of too few answers nothing", () => {
      const gate = emptied(busy(TURN));
      roomFor(gate, "normal", TURN);
      for (let at = 0; at < 9; at++) serve(gate, 1, 400, TURN + 1_000 + at);
      expect([roomFor(gate, "normal", TURN + 1_999), roomFor(gate, "normal", TURN + 2_000)]).toEqual([3, 14]);
      serve(gate, 1, 400, TURN + 2_100);
      expect(gate.gradient?.bestMs).toBe(100);
    });
  });
});
