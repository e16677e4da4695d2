import type { BreakerPolicy } from "../../../objects/circuit-breaker/breaker-policy.ts";
import { DEFAULT_BREAKER } from "../../../objects/circuit-breaker/breaker-policy.ts";
import { BREAKER_RULES, type BreakerRules } from "../../../objects/circuit-breaker/breaker-rules.ts";
import { createRandom, type Random } from "../random.ts";
import { WELL, scenario, type Health, type Scenario } from "./scenario.ts";

/** From then on the target is well and nothing is lost, so that the breaker has to close before the end. */
const WELL_FROM = 40_000;
/** The longest open time of these runs, the deadline of a lost probe, and time to hear of it. */
const RECOVERY_MS = 30_000;

/** A run with everything at once that may go wrong, drawn from its seed, and a calm end. */
export function fuzzed(seed: number, rules: BreakerRules = BREAKER_RULES): Scenario {
  const random = createRandom(seed);
  const isolates = random.pick([1, 2, 4, 8, 16]);
  return scenario({
    seed,
    durationMs: WELL_FROM + RECOVERY_MS,
    isolates,
    rate: isolates * random.pick([3, 10, 25]),
    health: healthOf(random),
    network: {
      medianMs: random.between(10, 60),
      loss: random.pick([0, 0.05, 0.3]),
      doubled: random.pick([0, 0.05, 0.3]),
    },
    isolateLifeMs: random.pick([Infinity, 20_000, 3_000]),
    owner: {
      serviceMs: random.between(0.2, 2),
      restartEveryMs: random.pick([Infinity, 8_000, 1_500]),
      restartAt: Infinity,
      idleMs: Infinity,
      splitBrain: random.next() < 0.5,
      stepBackMs: random.pick([0, 0, 2_000, 10_000]),
      forgets: false,
      gone: goneOf(random),
    },
    clocks: { driftPpm: random.pick([0, 1_000]), staleMs: random.pick([0, 50]) },
    quietFrom: WELL_FROM,
    policy: policyOf(random),
    rules,
  });
}

/** Short times, so that much happens in a run; probes may outlast an open time. */
function policyOf(random: Random): BreakerPolicy {
  return {
    ...DEFAULT_BREAKER,
    openMs: random.pick([1_000, 3_000, 5_000]),
    openMaxMs: random.pick([5_000, 10_000]),
    operationTimeoutMs: random.pick([500, 3_000, 8_000]),
    halfOpenPermits: random.integer(1, 4),
    successThreshold: random.integer(1, 3),
    halfOpenMaxFailures: random.pick([0, 0, 1]),
  };
}

function healthOf(random: Random): readonly Health[] {
  const health: Health[] = [];
  for (let at = random.between(500, 5_000); at < WELL_FROM; at += random.between(500, 8_000)) {
    health.push(
      random.pick([
        WELL,
        { ...WELL, failing: 1 },
        { ...WELL, hanging: 1 },
        { ...WELL, failing: 0.5, hanging: 0.2 },
        { ...WELL, hanging: 0.5 },
        { ...WELL, neutral: 0.9, failing: 0.1 },
        { ...WELL, latencyMs: 2_000 },
      ]),
    );
    health[health.length - 1] = { ...(health.at(-1) ?? WELL), at };
  }
  return [...health, { ...WELL, at: WELL_FROM }];
}

function goneOf(random: Random): readonly [number, number] {
  if (random.next() < 0.7) return [Infinity, Infinity];
  const from = random.between(2_000, 30_000);
  return [from, from + random.between(500, 8_000)];
}
