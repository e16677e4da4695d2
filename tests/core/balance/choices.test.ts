import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { leastInFlight } from "../../../worker/balance/least-in-flight.ts";
import { powerOfTwo, type TimedTarget } from "../../../worker/balance/power-of-two.ts";
import { rendezvous } from "../../../worker/balance/rendezvous.ts";
import { slowStartWeight } from "../../../worker/balance/slow-start.ts";
import { skipTurns, smoothRoundRobin, type TurnTarget } from "../../../worker/balance/smooth-round-robin.ts";
import { weightedRandom, type Weighted } from "../../../worker/balance/weighted-random.ts";
import { createRandom } from "../../simulation/random.ts";

const anyRandom = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const anyWeights = fc.array(fc.integer({ min: 0, max: 100 }), { maxLength: 12 });

function weighing(weights: readonly number[]): readonly Weighted[] {
  return weights.map((weight) => ({ weight }));
}

function turnsOf(weights: readonly number[]): readonly TurnTarget[] {
  return weights.map((weight) => ({ weight, credit: 0 }));
}

/** How often each index is chosen, as shares. */
function shares(turns: number, targets: number, choose: () => number | undefined): readonly number[] {
  const counts = Array<number>(targets).fill(0);
  for (let turn = 0; turn < turns; turn++) {
    const index = choose();
    if (index !== undefined) counts[index] = (counts[index] ?? 0) + 1;
  }
  return counts.map((count) => count / turns);
}

/** Whether every share is within so much of what the weights say. */
function expectShares(seen: readonly number[], weights: readonly number[], within: number): void {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  for (const [index, weight] of weights.entries()) {
    expect(Math.abs((seen[index] ?? 0) - weight / total), `share of ${index}`).toBeLessThan(within);
  }
}

describe("every way to choose", () => {
  it.each<[string, (weights: readonly number[], random: number) => number | undefined]>([
    ["weighted random", (weights, random) => weightedRandom(weighing(weights), random)],
    [
      "smooth round robin",
      (weights, random) => {
        const targets = turnsOf(weights);
        skipTurns(targets, random);
        return smoothRoundRobin(targets);
      },
    ],
    [
      "least in flight",
      (weights, random) =>
        leastInFlight(
          weights.map((weight, index) => ({ weight, inFlight: index })),
          random,
        ),
    ],
    [
      "rendezvous",
      (weights, random) =>
        rendezvous(
          weights.map((weight, index) => ({ name: `t${index}`, weight })),
          String(random),
        ),
    ],
    [
      "power of two",
      (weights, random) =>
        powerOfTwo(
          weights.map((weight) => ({ weight, inFlight: 0, latencyMs: 1 })),
          random,
          random,
        ),
    ],
  ])("%s gives a target of weight 0 nothing, and has an answer as long as any has weight", (_name, choose) => {
    fc.assert(
      fc.property(anyWeights, anyRandom, (weights, random) => {
        const index = choose(weights, random);
        const hasWeight = weights.some((weight) => weight > 0);
        expect(index === undefined).toBe(!hasWeight);
        if (index !== undefined) expect(weights[index]).toBeGreaterThan(0);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("weighted random", () => {
  it("keeps within half a point of 70, 20 and 10 over 100,000 requests", () => {
    const random = createRandom(1);
    const weights = [70, 20, 10];
    expectShares(
      shares(100_000, 3, () => weightedRandom(weighing(weights), random.next())),
      weights,
      0.005,
    );
  });

  it("cuts the line from 0 to 1 by the weights", () => {
    const chosen = [0, 0.699, 0.701, 0.899, 0.901, 0.999].map((random) =>
      weightedRandom(weighing([70, 20, 10]), random),
    );
    expect(chosen).toEqual([0, 0, 1, 1, 2, 2]);
  });

  it("cuts it as if one weren't there that is left out", () => {
    expect([0, 0.666, 0.667].map((random) => weightedRandom(weighing([70, 20, 10]), random, 0))).toEqual([1, 1, 2]);
  });
});

describe("smooth round robin", () => {
  function sequence(weights: readonly number[], turns: number, first = 0): readonly number[] {
    const targets = turnsOf(weights);
    skipTurns(targets, first);
    const chosen: number[] = [];
    for (let turn = 0; turn < turns; turn++) {
      const next = smoothRoundRobin(targets);
      if (next !== undefined) chosen.push(next);
    }
    return chosen;
  }

  it("spreads the turns of the heavy one", () => {
    expect(sequence([5, 1, 1], 7)).toEqual([0, 0, 1, 0, 2, 0, 0]);
  });

  it("begins elsewhere in the row for each isolate", () => {
    expect([0, 0.2, 0.4, 0.6, 0.8].map((first) => sequence([2, 2, 1], 1, first)[0])).toEqual([0, 1, 2, 0, 1]);
  });

  it("gives exactly the weights in every round, and is at most a turn per other target off in between", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 6 }),
        anyRandom,
        (weights, first) => {
          const total = weights.reduce((sum, weight) => sum + weight, 0);
          const chosen = sequence(weights, 2 * total, first);
          for (const [index, weight] of weights.entries()) {
            let count = 0;
            for (const [turn, one] of chosen.entries()) {
              if (one === index) count += 1;
              const due = ((turn + 1) * weight) / total;
              // One that begins in the middle is as far off as the row is there, on top.
              const most = first === 0 ? weights.length - 1 : 2 * (weights.length - 1);
              expect(Math.abs(count - due)).toBeLessThanOrEqual(Math.max(most, 1e-9));
            }
            expect(chosen.slice(0, total).filter((one) => one === index).length).toBe(weight);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it("begins within a thousand turns however large the weights", () => {
    // They alternate, and 501 are skipped.
    expect(sequence([1_000_000, 1_000_001], 3, 0.501)).toEqual([0, 1, 0]);
  });

  it("takes a weight that has changed as it is, and lets no credit last that has lost its weight", () => {
    const targets = [
      { weight: 0, credit: 100 },
      { weight: 1, credit: 0 },
    ];
    expect(smoothRoundRobin(targets)).toBe(1);
    expect(targets).toEqual([
      { weight: 0, credit: 0 },
      { weight: 1, credit: 0 },
    ]);
  });

  it("keeps its credits within the sum of the weights for each target, whoever is left out of some turns", () => {
    const random = createRandom(5);
    const targets = turnsOf([5, 3, 1]);
    for (let turn = 0; turn < 10_000; turn++) {
      const out = Math.floor(random.next() * 6);
      const shown = targets.map((target, index) =>
        Object.assign(target, { weight: index === out ? 0 : [5, 3, 1][index] }),
      );
      smoothRoundRobin(shown);
      for (const { credit } of targets) expect(Math.abs(credit)).toBeLessThanOrEqual(3 * 9);
    }
  });
});

describe("least in flight", () => {
  it.each([
    ["fewest", [{ inFlight: 3 }, { inFlight: 1 }, { inFlight: 2 }], 0.99, 1],
    ["fewest for its weight", [{ inFlight: 1 }, { inFlight: 4, weight: 10 }], 0, 1],
    ["the first by a low lot", [{ inFlight: 0 }, { inFlight: 0 }], 0.49, 0],
    ["the second by a high lot", [{ inFlight: 0 }, { inFlight: 0 }], 0.5, 1],
    ["none of none", [], 0, undefined],
  ])("takes %s", (_what, targets, random, expected) => {
    const full = targets.map((target) => ({ weight: 1, ...target }));
    expect(leastInFlight(full, random)).toBe(expected);
  });

  it("never takes one that has more for its weight than another", () => {
    const anyTarget = fc.record({ weight: fc.integer({ min: 1, max: 9 }), inFlight: fc.nat(50) });
    fc.assert(
      fc.property(fc.array(anyTarget, { minLength: 1, maxLength: 8 }), anyRandom, (targets, random) => {
        const chosen = targets[leastInFlight(targets, random) ?? -1];
        const load = ({ weight, inFlight }: { weight: number; inFlight: number }) => (inFlight + 1) / weight;
        expect(chosen && load(chosen)).toBe(Math.min(...targets.map(load)));
      }),
    );
  });
});

describe("power of two", () => {
  const target = (changes: Partial<TimedTarget>): TimedTarget => ({
    weight: 1,
    inFlight: 0,
    latencyMs: 10,
    ...changes,
  });

  it.each([
    ["the faster", [target({ latencyMs: 20 }), target({})], 1],
    ["the less busy", [target({ inFlight: 5 }), target({ inFlight: 1 })], 1],
    ["the stronger", [target({}), target({ weight: 3 })], 1],
    ["one that is not known yet", [target({}), target({ latencyMs: undefined })], 1],
    [
      "the known one, as long as the other's first answer is awaited",
      [target({ latencyMs: 9_000 }), target({ latencyMs: undefined, inFlight: 1 })],
      0,
    ],
    ["the only one", [target({ latencyMs: 9_000 })], 0],
  ])("takes %s", (_what, targets, expected) => {
    expect(powerOfTwo(targets, 0, 0.99)).toBe(expected);
  });

  it("sends almost nothing to a target ten times as slow as nine others, and not all to the fastest", () => {
    const random = createRandom(3);
    const targets = Array.from({ length: 10 }, (_, index) => target({ latencyMs: index === 0 ? 100 : 10 + index }));
    const seen = shares(20_000, 10, () => powerOfTwo(targets, random.next(), random.next()));
    expect(seen[0]).toBe(0);
    expect(Math.max(...seen)).toBeLessThan(0.25);
  });
});

describe("rendezvous", () => {
  const names = (count: number) => Array.from({ length: count }, (_, index) => `https://origin-${index}.example`);
  const anyTargets = fc
    .uniqueArray(fc.record({ name: fc.string({ maxLength: 8 }), weight: fc.integer({ min: 1, max: 9 }) }), {
      minLength: 2,
      maxLength: 8,
      selector: ({ name }) => name,
    })
    .chain((targets) => fc.tuple(fc.constant(targets), fc.nat(targets.length - 1)));

  it("moves only the keys of a target that goes, and takes from all for one that comes", () => {
    let moved = 0;
    fc.assert(
      fc.property(anyTargets, fc.array(fc.string(), { maxLength: 30 }), ([targets, gone], keys) => {
        const rest = targets.toSpliced(gone, 1);
        for (const key of keys) {
          const before = targets[rendezvous(targets, key) ?? -1]?.name;
          const after = rest[rendezvous(rest, key) ?? -1]?.name;
          if (before === targets[gone]?.name) moved += 1;
          else expect(after).toBe(before);
        }
      }),
      { numRuns: 1_000 },
    );
    expect(moved).toBeGreaterThan(1_000);
  });

  it("does not look at the order of the targets", () => {
    fc.assert(
      fc.property(anyTargets, fc.string(), ([targets], key) => {
        const back = targets.toReversed();
        expect(back[rendezvous(back, key) ?? -1]).toEqual(targets[rendezvous(targets, key) ?? -1]);
      }),
    );
  });

  it("spreads 100,000 keys by weight, also such as differ in one character", () => {
    const weights = [70, 20, 10];
    const targets = names(3).map((name, index) => ({ name, weight: weights[index] ?? 0 }));
    let key = 0;
    expectShares(
      shares(100_000, 3, () => rendezvous(targets, `user-${key++}`)),
      weights,
      0.005,
    );
    const even = names(10).map((name) => ({ name, weight: 1 }));
    key = 0;
    expectShares(
      shares(100_000, 10, () => rendezvous(even, String(key++))),
      Array<number>(10).fill(1),
      0.005,
    );
  });

  it("changes only the keys that a raised weight wins", () => {
    const [a, b] = names(2);
    const before = [
      { name: a ?? "", weight: 1 },
      { name: b ?? "", weight: 1 },
    ];
    const after = before.map((one, index) => ({ ...one, weight: index === 0 ? 3 : 1 }));
    for (let key = 0; key < 2_000; key++) {
      if (rendezvous(before, String(key)) === 0) expect(rendezvous(after, String(key))).toBe(0);
    }
  });
});

describe("slow start", () => {
  it.each([
    [0, 1],
    [1_000, 1],
    [5_000, 5],
    [9_999, 9.999],
    [10_000, 10],
    [1_000_000, 10],
    [-5_000, 1],
  ])("after %d ms of ten seconds a target of weight 10 has %d", (sinceMs, weight) => {
    expect(slowStartWeight(10, 0, 10_000, sinceMs)).toBeCloseTo(weight, 9);
  });

  it("of no length gives all at once", () => {
    expect(slowStartWeight(10, 0, 0, 0)).toBe(10);
  });
});
