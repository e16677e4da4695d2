import { createLru } from "../../objects/lru.ts";
import type { Backend } from "../../schemas/index.ts";
import { newCandidate, type Candidate } from "../balance/candidate.ts";
import { skipTurns } from "../balance/smooth-round-robin.ts";

/** What a choice of this isolate remembers of a target, for one backend. */
export interface KnownCandidate extends Candidate {
  /** Since when the backend has it; -Infinity: since this isolate has known the backend. */
  readonly addedAt: number;
}

/** Backends that are remembered. Those used longest ago begin their rows anew, which nobody notices. */
const MOST_BACKENDS = 10_000;

const backends = createLru<string, ReadonlyMap<string, KnownCandidate>>(MOST_BACKENDS);

/**
 * The candidates of a backend's targets, in their order. The same values whatever configuration or route uses the backend, so
 * that a reload neither begins the round robin anew nor takes known targets for new ones.
 *
 * @param random in [0, 1): where this isolate begins its row.
 */
export function knownCandidates({ name, targets }: Backend, random: number, now: number): readonly KnownCandidate[] {
  const before = backends.get(name);
  const candidates = targets.map(
    ({ url }): KnownCandidate =>
      before?.get(url) ?? { ...newCandidate(url), addedAt: before === undefined ? -Infinity : now },
  );
  if (before === undefined) {
    for (const [index, candidate] of candidates.entries()) candidate.weight = targets[index]?.weight ?? 0;
    skipTurns(candidates, random);
  }
  backends.set(name, new Map(candidates.map((candidate) => [candidate.name, candidate])));
  return candidates;
}
