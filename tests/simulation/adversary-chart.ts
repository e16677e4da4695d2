import { LEASE_RULES } from "../../objects/rate-limiter/leases/lease-rules.ts";
import { lineChart, mostWithin } from "./chart.ts";
import { limitOf, scenario } from "./scenario.ts";
import { simulate, type Outcome } from "./simulate.ts";
import { waitThenBurst } from "./traffic.ts";

const LONGEST_MS = 2_000;
const STEP_MS = 20;

/** The most tokens within intervals of 0, 20, ... 2,000 ms: what the limit allows, and what passed. */
export interface AdversaryCurves {
  readonly allowed: readonly number[];
  readonly shipped: readonly number[];
  /** Where tokens on lease do not count against the ceiling. */
  readonly withoutCeiling: readonly number[];
  readonly burst: number;
}

/** A client lets ten isolates take leases, waits until the bucket refilled behind them, and spends all at once. */
export function adversaryCurves(): AdversaryCurves {
  const limit = limitOf(100, 1_000);
  const world = { limits: [limit], isolates: 10, traffic: waitThenBurst(70, 2_000, 900, 400), durationMs: 60_000 };
  const lengths = Array.from({ length: LONGEST_MS / STEP_MS + 1 }, (_, step) => step * STEP_MS);
  const seen = (run: Outcome) => mostWithin(run.admissions, STEP_MS, LONGEST_MS);
  return {
    allowed: lengths.map((lengthMs) => limit.burst + (limit.tokensPerWindow * lengthMs) / limit.windowMs),
    shipped: seen(simulate(scenario(world))),
    withoutCeiling: seen(simulate(scenario({ ...world, rules: { ...LEASE_RULES, outstandingOf: () => 0 } }))),
    burst: limit.burst,
  };
}

/** The curves as the SVG of docs/design/leases.md. */
export function adversaryChart({ allowed, shipped, withoutCeiling }: AdversaryCurves): string {
  return lineChart("Most tokens within any interval, by its length, against an adversary", "tokens", STEP_MS, [
    { name: "allowed: burst + rate * t", colour: "#808080", dashed: true, values: allowed },
    { name: "leases under the ceiling", colour: "#1f9d6b", dashed: false, values: shipped },
    { name: "without the ceiling", colour: "#d9534f", dashed: false, values: withoutCeiling },
  ]);
}
