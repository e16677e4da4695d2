import { PRIORITIES } from "../../../objects/upstream-quota/fair-queue.ts";
import type { QuotaPolicy } from "../../../objects/upstream-quota/quota-policy.ts";
import { QUOTA_PRESETS } from "../../../schemas/policies/backends/quota.ts";
import { createRandom, type Random } from "../random.ts";
import { egress, type Arrival, type EgressScenario } from "./scenario.ts";

const PRESETS = Object.values(QUOTA_PRESETS);

/** A scenario with everything that may go wrong, drawn from a seed. */
export function fuzzedEgress(seed: number): EgressScenario {
  const random = createRandom(seed * 7_919);
  const policy = policyOf(random);
  // As many windows of a fast quota are over sooner.
  const durationMs = Math.min(240_000, 40 * policy.windowMs + 20_000);
  const from = random.between(10_000, durationMs * 0.6);
  const retryAfterMs = random.next() < 0.5 ? null : random.integer(1_000, 8_000);
  return egress({
    seed,
    durationMs,
    policy,
    isolates: random.integer(1, 8),
    arrivals: arrivalsOf(random, policy, durationMs),
    throttling: random.next() < 0.5 ? [] : [{ from, to: from + random.between(100, 20_000), retryAfterMs }],
    network: {
      medianMs: random.between(3, 150),
      loss: random.next() < 0.5 ? 0 : random.between(0, 0.1),
      late: random.next() < 0.5 ? 0 : random.between(0, 0.1),
      doubled: random.next() < 0.5 ? 0 : random.between(0, 0.2),
    },
    isolateLifeMs: random.next() < 0.4 ? Infinity : random.between(5_000, 60_000),
    leaving: random.next() < 0.5 ? 0 : random.between(0, 0.5),
    owner: {
      restartEveryMs: random.next() < 0.3 ? Infinity : random.between(2_000, 40_000),
      killedAt: Infinity,
      splitBrain: random.next() < 0.5,
      stepBackMs: random.next() < 0.5 ? 0 : 20_000,
      forgets: false,
      commitMs: random.between(0.5, 20),
    },
    clocks: { driftPpm: 1_000, staleMs: random.between(0, 8) },
  });
}

function policyOf(random: Random): QuotaPolicy {
  const preset = PRESETS[random.integer(0, PRESETS.length + 1)];
  if (preset !== undefined) return preset;
  // One that is fast enough to be lent.
  const spacingMs = random.next() < 0.5 ? 0 : random.integer(1, 30);
  const requests = random.pick([60, 150]);
  const windowMs = random.pick([1_000, 2_000, 3_000]);
  return { ...QUOTA_PRESETS["30-per-minute"], requests, windowMs, burst: random.integer(5, requests), spacingMs };
}

function arrivalsOf(random: Random, policy: QuotaPolicy, durationMs: number): readonly Arrival[] {
  const arrivals: Arrival[] = [];
  const perMs = (policy.requests / policy.windowMs) * random.between(0.3, 3);
  const clients = random.integer(1, 8);
  const one = (at: number): Arrival => ({
    at,
    client: `client ${Math.floor(clients * random.next() ** 2)}`,
    priority: random.pick(PRIORITIES),
    waitMs: random.pick([500, 5_000, 30_000, 60_000]),
  });
  // Half of them in crowds, which is when bursts and slots ahead are used up.
  for (let at = 0; at < durationMs; at += random.exponential(2 / perMs)) arrivals.push(one(at));
  for (let at = 0; at < durationMs; at += random.exponential(20_000)) {
    const crowd = Math.min(200, Math.ceil(perMs * 10_000));
    for (let count = 0; count < crowd; count += 1) arrivals.push(one(at));
  }
  return arrivals;
}
