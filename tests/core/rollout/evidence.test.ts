import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  addRound,
  fortune,
  NO_EVIDENCE,
  type Evidence,
  type TrialRound,
} from "../../../objects/rollout/regression-evidence.ts";
import { startWeight } from "../../../objects/rollout/start-weight.ts";
import { createRandom } from "../../simulation/random.ts";

function round(trials: number, bad: number, controlTrials: number, controlBad: number): TrialRound {
  return { canary: { trials, bad }, control: { trials: controlTrials, bad: controlBad } };
}

describe("a round without a regression", () => {
  const anySide = fc.integer({ min: 1, max: 60 });

  /** What a fortune is expected to be after one round in which the canary's odds are `odds` times the control's, exactly. */
  function expected(canary: number, control: number, bad: number, odds: number, ratio: number): number {
    let weights = 0;
    let sum = 0;
    for (let own = Math.max(0, bad - control); own <= Math.min(bad, canary); own++) {
      const weight = Math.exp(logChoose(canary, own) + logChoose(control, bad - own) + own * Math.log(odds));
      weights += weight;
      const after = addRound(NO_EVIDENCE, round(canary, own, control, bad - own), ratio);
      sum += weight * Math.exp(fortune(after));
    }
    return sum / weights;
  }

  it("is not expected to bring anything, whatever the sizes, the errors and the bound", () => {
    fc.assert(
      fc.property(
        anySide,
        anySide,
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 1, max: 4, noNaN: true }),
        fc.double({ min: 0.05, max: 1, noNaN: true }),
        (canary, control, rate, ratio, within) => {
          const bad = Math.round(rate * (canary + control));
          if (bad === 0) return;
          const staked = startWeight(1);
          expect(expected(canary, control, bad, ratio * within, ratio)).toBeLessThanOrEqual(staked * (1 + 1e-9));
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it("would bring something if the canary had twice the odds that it may have", () => {
    expect(expected(50, 50, 10, 3, 1.5) / startWeight(1)).toBeGreaterThan(1.5);
  });

  it("says nothing when nothing was bad, or only one of the two had requests", () => {
    for (const empty of [round(10, 0, 200, 0), round(0, 0, 100, 9), round(100, 9, 0, 0)]) {
      expect(addRound(NO_EVIDENCE, empty, 1.5)).toBe(NO_EVIDENCE);
    }
  });
});

describe("the stake", () => {
  it("is less than all, over any number of rounds", () => {
    const last = 1_000_000;
    let sum = 0;
    for (let at = 1; at <= last; at++) sum += startWeight(at);
    // The rest of the series is less than its integral.
    expect(sum + 1 / (2.11 * Math.log(last + 1))).toBeLessThan(1);
    expect(sum).toBeGreaterThan(0.9);
  });

  it.each([
    ["at once", 0, 40],
    ["after an hour of rounds of 3 s", 1_200, 80],
    ["after a day of them", 28_800, 95],
    ["after a week of rounds of 1 s", 604_800, 105],
  ])(
    "lets a fifth of errors instead of a hundredth be seen that begin %s: %d of them, then %d requests",
    (_what, rounds, expected) => {
      let evidence: Evidence = NO_EVIDENCE;
      // A canary better than it has to be loses all that is wagered on it.
      for (let at = 0; at < rounds; at++) evidence = addRound(evidence, round(5, at % 50 === 0 ? 1 : 0, 95, 1), 1.5);
      expect(fortune(evidence)).toBeLessThan(0);
      let seen = 0;
      while (fortune(evidence) < Math.log(2_000)) {
        evidence = addRound(evidence, round(5, 1, 95, 1), 1.5);
        seen += 5;
      }
      expect(seen).toBe(expected);
    },
  );
});

describe("looking after every round for five hundred rounds", () => {
  const RUNS = 1_000;
  const ROUNDS = 500;

  interface World {
    /** The canary's part of the requests. */
    readonly share: number;
    /** Rate of errors in a round; of the canary times `odds`. */
    readonly rate: (at: number) => number;
    readonly odds: number;
  }

  function falseAborts(
    world: World,
    alpha: number,
    isOver: (evidence: Evidence, total: TrialRound) => boolean,
  ): number {
    let aborts = 0;
    const random = createRandom(Math.round(1 / alpha) + Math.round(world.share * 1_000));
    const draw = (trials: number, rate: number) => {
      let bad = 0;
      for (let trial = 0; trial < trials; trial++) if (random.next() < rate) bad += 1;
      return bad;
    };
    for (let run = 0; run < RUNS; run++) {
      let evidence: Evidence = NO_EVIDENCE;
      let total = round(0, 0, 0, 0);
      for (let at = 0; at < ROUNDS; at++) {
        const canary = draw(20, world.share);
        const rate = world.rate(at);
        const seen = round(canary, draw(canary, rate * world.odds), 20 - canary, draw(20 - canary, rate));
        evidence = addRound(evidence, seen, 1.5);
        total = round(
          total.canary.trials + canary,
          total.canary.bad + seen.canary.bad,
          total.control.trials + 20 - canary,
          total.control.bad + seen.control.bad,
        );
        if (!isOver(evidence, total)) continue;
        aborts += 1;
        break;
      }
    }
    return aborts / RUNS;
  }

  const steady = (rate: number) => () => rate;
  const worlds: readonly (readonly [string, World])[] = [
    ["equal to the control", { share: 0.05, rate: steady(0.02), odds: 1 }],
    ["as bad as it may be", { share: 0.05, rate: steady(0.02), odds: 1.45 }],
    ["half of all", { share: 0.5, rate: steady(0.05), odds: 1.45 }],
    ["in outages of both", { share: 0.2, rate: (at) => (at % 100 < 10 ? 0.6 : 0.01), odds: 1 }],
  ];

  it.each(worlds)("aborts a canary %s in at most 5 of 100 runs, at a bound of 0.05", (_what, world) => {
    expect(falseAborts(world, 0.05, (evidence) => fortune(evidence) >= Math.log(20))).toBeLessThanOrEqual(0.05);
  });

  it.each(worlds)("aborts a canary %s in at most one of 1,000 runs, at the bound that ships", (_what, world) => {
    const aborted = falseAborts(world, 0.001, (evidence) => fortune(evidence) >= Math.log(2_000));
    expect(aborted).toBeLessThanOrEqual(world.odds === 1 ? 0 : 0.001);
  });

  it("would abort one in four with a test that is made to be looked at once", () => {
    const z = ({ canary, control }: TrialRound) => {
      const pooled = (canary.bad + control.bad) / (canary.trials + control.trials);
      const spread = Math.sqrt(pooled * (1 - pooled) * (1 / canary.trials + 1 / control.trials));
      return canary.trials < 50 ? 0 : (canary.bad / canary.trials - control.bad / control.trials) / spread;
    };
    const [, equal] = worlds[0] ?? [];
    expect(equal && falseAborts(equal, 0.05, (_evidence, total) => z(total) > 1.645)).toBeGreaterThan(0.25);
  });
});

function logChoose(from: number, count: number): number {
  let log = 0;
  for (let step = 0; step < count; step++) log += Math.log((from - step) / (step + 1));
  return log;
}
