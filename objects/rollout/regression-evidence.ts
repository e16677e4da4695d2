import { startWeight } from "./start-weight.ts";

/** What one round saw of a variant: requests, answers or whatever may turn out bad, and how many did. */
export interface Trials {
  readonly trials: number;
  readonly bad: number;
}

/** Canary and control in the same time. */
export interface TrialRound {
  readonly canary: Trials;
  readonly control: Trials;
}

/** What speaks for a regression, over any number of rounds. */
export interface Evidence {
  /** Rounds in which anything was bad. */
  readonly rounds: number;
  /** For each alternative, the logarithm of what a wager on it has become. */
  readonly logs: readonly number[];
}

/** How many times the allowed odds a regression may have: every half doubling from 1.4 to 16. */
const ALTERNATIVES: readonly number[] = [1, 2, 3, 4, 5, 6, 7, 8].map((step) => 2 ** (step / 2));

/** Before the first round. */
export const NO_EVIDENCE: Evidence = { rounds: 0, logs: ALTERNATIVES.map(() => -Infinity) };

/**
 * Takes in a round.
 *
 * As long as the odds of a bad trial are at most `ratio` times the control's, the expectation of what `fortune` tells never grows by a
 * round, whatever the rate of bad ones is and however it changes: looked at is only whose the bad ones are. So it exceeds 1/alpha
 * ever with a probability of at most alpha, however often one looks (Ville, 1939). Of k bad ones each is the canary's with a probability
 * of at most ratio n / (ratio n + m) for n and m trials (Lindon and Malek, "Anytime-Valid Inference for Multinomial Count Data",
 * 2022); that they are drawn without replacement makes the expectation smaller still (Hoeffding, 1963, theorem 4). A round's trials must
 * be independent of each other.
 *
 * @param ratio >= 1.
 */
export function addRound(evidence: Evidence, { canary, control }: TrialRound, ratio: number): Evidence {
  const bad = canary.bad + control.bad;
  // Of one variant alone, or of nothing bad, there is nothing to learn.
  if (bad === 0 || canary.trials === 0 || control.trials === 0) return evidence;
  const rounds = evidence.rounds + 1;
  const allowed = ratio * canary.trials + control.trials;
  const stake = Math.log(startWeight(rounds));
  const logs = ALTERNATIVES.map((times, index) => {
    const gain =
      canary.bad * Math.log(times) - bad * Math.log((times * ratio * canary.trials + control.trials) / allowed);
    return addLogs(evidence.logs[index] ?? -Infinity, stake) + gain;
  });
  return { rounds, logs };
}

/** The logarithm of what a stake of 1, spread over all alternatives and beginnings, has become. */
export function fortune({ logs }: Evidence): number {
  return logs.reduce(addLogs, -Infinity) - Math.log(ALTERNATIVES.length);
}

/** Whether logarithms of wagers are as many as there are alternatives. */
export function isEvidence(logs: readonly unknown[]): logs is readonly number[] {
  return logs.length === ALTERNATIVES.length && logs.every((log) => typeof log === "number" && !Number.isNaN(log));
}

function addLogs(one: number, other: number): number {
  const larger = Math.max(one, other);
  return larger === -Infinity ? larger : larger + Math.log1p(Math.exp(Math.min(one, other) - larger));
}
