import type { BalancePolicy } from "../../schemas/index.ts";
import type { Candidate } from "./candidate.ts";
import { markEligible } from "./eligible.ts";
import { leastInFlight } from "./least-in-flight.ts";
import { powerOfTwo } from "./power-of-two.ts";
import { rendezvous } from "./rendezvous.ts";
import { slowStartWeight } from "./slow-start.ts";
import { smoothRoundRobin } from "./smooth-round-robin.ts";
import { weightedRandom } from "./weighted-random.ts";

/** Who asks for a target. */
export interface Asker {
  /** The target that its client is bound to, by index; -1: none. */
  readonly bound: number;
  /** Targets that it has been to, by index: chosen again only when there is no other. */
  readonly tried: readonly number[];
  /** What is spread over the targets by `rendezvous`; no other algorithm looks at it. */
  readonly key: string;
  /** In [0, 1), another number each time. */
  readonly random: () => number;
}

/**
 * Chooses a target among candidates that were filled for this choice: the bound one while it may be had, else one by the
 * policy's algorithm among those that may be. Changes the candidates' marks and weights, and the round robin's credits.
 *
 * @returns its index; undefined: there is none.
 */
export function chooseTarget(
  candidates: readonly Candidate[],
  policy: BalancePolicy,
  asker: Asker,
  now: number,
): number | undefined {
  const { bound, tried } = asker;
  markEligible(candidates, policy, bound);
  if (bound !== -1) {
    if (candidates[bound]?.isEligible !== true) return chooseTarget(candidates, policy, { ...asker, bound: -1 }, now);
    if (!tried.includes(bound)) return bound;
  }
  if (weigh(candidates, policy, tried, now) > 0) return draw(candidates, policy, asker);
  // Everyone has been tried: once more then, and a client that is bound goes where it belongs.
  if (bound !== -1) return bound;
  return tried.length > 0 && weigh(candidates, policy, [], now) > 0 ? draw(candidates, policy, asker) : undefined;
}

/** Gives each candidate the weight that it is drawn with; their sum. */
function weigh(
  candidates: readonly Candidate[],
  { slowStartMs }: BalancePolicy,
  tried: readonly number[],
  now: number,
): number {
  let total = 0;
  for (let index = 0; index < candidates.length; index++) {
    const candidate = candidates[index];
    if (candidate === undefined) break;
    const isOut = !candidate.isEligible || (tried.length > 0 && tried.includes(index));
    candidate.weight = isOut ? 0 : slowStartWeight(candidate.share, candidate.wellSince, slowStartMs, now);
    total += candidate.weight;
  }
  return total;
}

function draw(candidates: readonly Candidate[], { algorithm }: BalancePolicy, asker: Asker): number | undefined {
  switch (algorithm) {
    case "weighted-random":
      return weightedRandom(candidates, asker.random());
    case "round-robin":
      return smoothRoundRobin(candidates);
    case "least-requests":
      return leastInFlight(candidates, asker.random());
    case "power-of-two":
      return powerOfTwo(candidates, asker.random(), asker.random());
    case "rendezvous":
      return rendezvous(candidates, asker.key);
  }
}
