import type { BreakerPolicy } from "../../../objects/circuit-breaker/breaker-policy.ts";
import type { BreakerState, Transition } from "../../../objects/circuit-breaker/circuit.ts";
import type { Outcome } from "../../../objects/circuit-breaker/outcome.ts";

interface EpochFacts {
  failures: number;
  probeSuccesses: number;
  probeFailures: number;
  probeNeutrals: number;
  permits: number;
}

/**
 * The promises, watched from outside: what calls really began in which epoch and how they ended, and whether that can be
 * the reason of what the breaker did. Knows nothing of reports.
 */
export class Checker {
  probesInFlight = 0;
  mostProbes = 0;
  /** Transitions that nothing in their epoch explains. */
  readonly unexplained: Transition[] = [];
  readonly transitions: Transition[] = [];
  readonly #policy: BreakerPolicy;
  readonly #epochs = new Map<number, EpochFacts>();

  constructor(policy: BreakerPolicy) {
    this.#policy = policy;
  }

  /** A probe reaches the target. */
  probeBegan(): void {
    this.probesInFlight += 1;
    this.mostProbes = Math.max(this.mostProbes, this.probesInFlight);
  }

  /** A probe is over, whether or not anybody hears of it. */
  probeEnded(): void {
    this.probesInFlight -= 1;
  }

  /** The isolate that made a call has learnt how it ended. */
  learnt(epoch: number, isProbe: boolean, outcome: Outcome): void {
    const facts = this.#of(epoch);
    if (!isProbe) {
      if (outcome === "failure") facts.failures += 1;
      return;
    }
    if (outcome === "failure") facts.probeFailures += 1;
    if (outcome === "success") facts.probeSuccesses += 1;
    if (outcome === "neutral") facts.probeNeutrals += 1;
  }

  /** The breaker has changed. */
  wrote(before: BreakerState, after: BreakerState): void {
    if (after.lastPermit > before.lastPermit) this.#of(after.epoch).permits += 1;
    for (const transition of after.history) {
      if (transition.epoch <= before.epoch) continue;
      this.transitions.push(transition);
      if (!this.#isExplained(transition)) this.unexplained.push(transition);
    }
  }

  #isExplained({ cause, epoch }: Transition): boolean {
    const facts = this.#of(epoch - 1);
    const { failureThreshold, successThreshold, halfOpenMaxFailures } = this.#policy;
    switch (cause) {
      case "consecutive-failures":
      case "failure-ratio":
        // What was seen before anything was heard of an epoch may belong to this one.
        return facts.failures + this.#of(0).failures >= failureThreshold;
      case "probes-succeeded":
        return facts.probeSuccesses + Math.floor(facts.probeNeutrals / 5) >= successThreshold;
      case "probes-failed":
        // Three that nobody heard of again count as a failure.
        return facts.probeFailures + Math.floor(facts.permits / 3) > halfOpenMaxFailures;
      case "slow-calls":
      case "open-time-over":
      case "operator":
      case "reset":
      case "state-lost":
        return true;
    }
  }

  #of(epoch: number): EpochFacts {
    const known = this.#epochs.get(epoch);
    if (known !== undefined) return known;
    const made = { failures: 0, probeSuccesses: 0, probeFailures: 0, probeNeutrals: 0, permits: 0 };
    this.#epochs.set(epoch, made);
    return made;
  }
}
