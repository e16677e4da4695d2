import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { BalancePolicy } from "../../../schemas/index.ts";
import { newCandidate, type Candidate } from "../../../worker/balance/candidate.ts";
import { chooseTarget, type Asker } from "../../../worker/balance/choose-target.ts";
import { createRandom } from "../../simulation/random.ts";

const ALGORITHMS = ["weighted-random", "round-robin", "least-requests", "power-of-two", "rendezvous"] as const;

function policy(changes: Partial<BalancePolicy> = {}): BalancePolicy {
  const defaults = {
    algorithm: "weighted-random",
    by: [],
    slowStartMs: 0,
    maxEjection: 0.5,
    panicThreshold: 0.5,
  } as const;
  return { ...defaults, ...changes };
}

function asker(changes: Partial<Asker> = {}): Asker {
  return { bound: -1, tried: [], key: "client", random: () => 0, ...changes };
}

function candidates(...changes: readonly Partial<Candidate>[]): readonly Candidate[] {
  return changes.map((change, index) => Object.assign(newCandidate(`https://${index}.example`), change));
}

const NOW = 100_000;

const anyCandidate = fc.record({
  isOpen: fc.boolean(),
  downSince: fc.option(fc.nat(100), { nil: undefined }),
  isDraining: fc.boolean(),
  share: fc.nat(3),
  wellSince: fc.constantFrom(-Infinity, NOW - 5_000, NOW),
  inFlight: fc.nat(5),
  latencyMs: fc.option(fc.nat(100), { nil: undefined }),
  credit: fc.integer({ min: -5, max: 5 }),
});

const anyCase = fc.array(anyCandidate, { minLength: 1, maxLength: 6 }).chain((list) =>
  fc.record({
    list: fc.constant(list),
    algorithm: fc.constantFrom(...ALGORITHMS),
    bound: fc.integer({ min: -1, max: list.length - 1 }),
    tried: fc.subarray(list.map((_, index) => index)),
    seed: fc.nat(1_000),
    slowStartMs: fc.constantFrom(0, 10_000),
  }),
);

describe("whatever is known of the targets and by any algorithm", () => {
  const seen = { bound: 0, other: 0, draining: 0, repeated: 0, none: 0 };

  it("a request meets one that may be had, its own where that may be, and none again that there is another for", () => {
    fc.assert(
      fc.property(anyCase, ({ list, algorithm, bound, tried, seed, slowStartMs }) => {
        const all = candidates(...list);
        const random = createRandom(seed);
        const index = chooseTarget(
          all,
          policy({ algorithm, slowStartMs }),
          asker({ bound, tried, key: String(seed), random: () => random.next() }),
          NOW,
        );
        const closed = all.filter(({ isOpen }) => !isOpen);
        const chosen = index === undefined ? undefined : all[index];
        const isBound = index !== undefined && index === bound;
        if (chosen === undefined || index === undefined) {
          seen.none += 1;
          // All that take new clients are open, or have no share; a draining one is no way out unless all of them drain.
          const pool = all.filter(({ share }) => share > 0);
          const staying = pool.filter(({ isDraining }) => !isDraining);
          expect((staying.length > 0 ? staying : pool).every(({ isOpen }) => isOpen)).toBe(true);
          return;
        }
        expect(chosen.isOpen).toBe(false);
        if (isBound) seen.bound += 1;
        else {
          seen.other += 1;
          expect(chosen.share).toBeGreaterThan(0);
          if (chosen.isDraining) {
            seen.draining += 1;
            expect(all.every(({ isDraining, share }) => isDraining || share === 0)).toBe(true);
          }
        }
        // One that is bound and may be had is had, unless it has been tried.
        const own = all[bound];
        if (own !== undefined && own.isEligible && !tried.includes(bound)) expect(index).toBe(bound);
        if (own !== undefined && !own.isOpen && own.downSince === undefined)
          expect(own.isEligible || own.share === 0 || own.isDraining).toBe(true);
        if (tried.includes(index)) {
          seen.repeated += 1;
          const others = closed.filter((one) => one.isEligible && !tried.includes(all.indexOf(one)) && one.share > 0);
          expect(others).toEqual([]);
        }
      }),
      { numRuns: 5_000 },
    );
    for (const [kind, times] of Object.entries(seen)) expect(times, kind).toBeGreaterThan(50);
  });
});

describe("a client that is bound", () => {
  it.each<[string, Partial<Candidate>, readonly number[], number]>([
    ["stays while its target is well", {}, [], 0],
    ["stays while its target drains", { isDraining: true }, [], 0],
    ["stays when its target has no share any more", { share: 0 }, [], 0],
    ["leaves a target whose breaker is open", { isOpen: true }, [], 1],
    ["leaves a target that is down", { downSince: 1 }, [], 1],
    ["is tried elsewhere after its target failed it", {}, [0], 1],
    ["is tried at home once more when the others have failed it too", {}, [0, 1, 2], 0],
  ])("%s", (_what, change, tried, expected) => {
    expect(chooseTarget(candidates(change, {}, {}), policy(), asker({ bound: 0, tried }), NOW)).toBe(expected);
  });

  it("leaves a draining target that is down for another that drains, when all do", () => {
    const all = candidates({ isDraining: true, isOpen: true }, { isDraining: true });
    expect(chooseTarget(all, policy(), asker({ bound: 0 }), NOW)).toBe(1);
  });

  it("takes no turn of the others", () => {
    const all = candidates({}, {});
    chooseTarget(all, policy({ algorithm: "round-robin" }), asker({ bound: 1 }), NOW);
    expect(all.map(({ credit }) => credit)).toEqual([0, 0]);
  });
});

describe("by rendezvous", () => {
  it("the keys of a target that opens move by themselves and come back when it closes", () => {
    const keys = Array.from({ length: 500 }, (_, index) => `client ${index}`);
    const all = candidates({}, {}, {}, {});
    const ask = () => keys.map((key) => chooseTarget(all, policy({ algorithm: "rendezvous" }), asker({ key }), NOW));
    const [, second] = all;
    const before = ask();
    if (second !== undefined) second.isOpen = true;
    const during = ask();
    expect(during.filter((index, at) => index !== before[at]).length).toBe(before.filter((one) => one === 1).length);
    expect(during).not.toContain(1);
    if (second !== undefined) second.isOpen = false;
    expect(ask()).toEqual(before);
  });

  it("a retry goes to the same second target each time", () => {
    const all = candidates({}, {}, {}, {});
    const ask = (tried: readonly number[]) =>
      chooseTarget(all, policy({ algorithm: "rendezvous" }), asker({ tried }), NOW) ?? -1;
    const first = ask([]);
    const second = ask([first]);
    expect(second).not.toBe(first);
    expect(ask([first])).toBe(second);
  });
});

describe("a target that has become well", () => {
  function shareOf(algorithm: BalancePolicy["algorithm"], sinceMs: number): number {
    const random = createRandom(7);
    const all = candidates({ wellSince: NOW - sinceMs }, {});
    const slow = policy({ algorithm, slowStartMs: 10_000 });
    let met = 0;
    for (let request = 0; request < 20_000; request++) {
      const key = `client ${request}`;
      if (chooseTarget(all, slow, asker({ key, random: () => random.next() }), NOW) === 0) met += 1;
    }
    return met / 20_000;
  }

  it.each(["weighted-random", "round-robin", "rendezvous"] as const)("gets its share by and by, by %s", (algorithm) => {
    expect(Math.abs(shareOf(algorithm, 0) - 0.1 / 1.1)).toBeLessThan(0.01);
    expect(Math.abs(shareOf(algorithm, 5_000) - 0.5 / 1.5)).toBeLessThan(0.01);
    expect(Math.abs(shareOf(algorithm, 10_000) - 0.5)).toBeLessThan(0.015);
  });

  it("gets the request that it has room for at a tenth of its weight, by least requests", () => {
    const slow = policy({ algorithm: "least-requests", slowStartMs: 10_000 });
    const busy = (inFlight: number) => candidates({ wellSince: NOW }, { inFlight });
    expect(chooseTarget(busy(8), slow, asker(), NOW)).toBe(1);
    expect(chooseTarget(busy(10), slow, asker(), NOW)).toBe(0);
  });
});

describe("by turns", () => {
  it("the shares are exact among those that may be had, while others come and go", () => {
    const all = candidates({ share: 3 }, { share: 2 }, { share: 1, isOpen: true });
    const turns = policy({ algorithm: "round-robin" });
    const met = [0, 0, 0];
    const go = (times: number) => {
      for (let turn = 0; turn < times; turn++) {
        const index = chooseTarget(all, turns, asker(), NOW) ?? -1;
        met[index] = (met[index] ?? 0) + 1;
      }
    };
    go(50);
    expect(met).toEqual([30, 20, 0]);
    const [, , third] = all;
    if (third !== undefined) third.isOpen = false;
    go(60);
    expect(met).toEqual([60, 40, 10]);
  });
});
