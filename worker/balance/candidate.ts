/**
 * A target as it is seen when one is chosen. Filled anew before each choice and chosen from at once, in place: a request pays for
 * this among all targets.
 */
export interface Candidate {
  /** Names it for ever: its URL. */
  readonly name: string;
  /** Its breaker refuses. */
  isOpen: boolean;
  /** Health checks call it down since then; undefined: they don't. */
  downSince: number | undefined;
  /** Since when it is well, or known; -Infinity: it was never anything else. */
  wellSince: number;
  /** It is to get no new client. */
  isDraining: boolean;
  /** What the configuration gives it; 0: no new client, whatever happens to the others. */
  share: number;
  /** What of that it is chosen with now; 0: not at all. */
  weight: number;
  isEligible: boolean;
  inFlight: number;
  /** What a request takes, an average in ms; undefined: not known yet. */
  latencyMs: number | undefined;
  /** Of the round robin; kept from turn to turn. */
  credit: number;
}

/** A target of which nothing is known. */
export function newCandidate(name: string): Candidate {
  return {
    name,
    isOpen: false,
    downSince: undefined,
    wellSince: -Infinity,
    isDraining: false,
    share: 1,
    weight: 1,
    isEligible: true,
    inFlight: 0,
    latencyMs: undefined,
    credit: 0,
  };
}
