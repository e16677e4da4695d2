import { MAX_TOLERANCE_MS } from "../../../objects/upstream-quota/quota-messages.ts";
import type { EgressScenario } from "./scenario.ts";

/** What a request came to. */
export type End = "started" | "refused" | "left" | "lost";

/** The promises, watched from outside: when requests really started, and when each was over. Knows nothing of slots. */
export class EgressChecker {
  readonly starts: { readonly at: number; readonly client: string }[] = [];
  readonly ends: Record<End, number> = { started: 0, refused: 0, left: 0, lost: 0 };
  /** The most by which a request was not over at its deadline. */
  latestMs = 0;
  /** Requests that started though the upstream's own wish was known. */
  inPause = 0;
  /** The most by which one client was served more than another, of those who both still waited. */
  unfairness = 0;
  readonly #scenario: EgressScenario;
  readonly #waiting = new Map<string, number>();
  readonly #served = new Map<string, number>();
  readonly #pauses: { readonly from: number; readonly to: number }[] = [];

  constructor(scenario: EgressScenario) {
    this.#scenario = scenario;
  }

  /** How long each waited that started, in ms. */
  readonly waits: number[] = [];

  /** A request arrives. */
  came(client: string): void {
    this.#waiting.set(client, (this.#waiting.get(client) ?? 0) + 1);
    if (!this.#served.has(client)) this.#served.set(client, 0);
  }

  /** A request reaches the upstream. */
  started(at: number, client: string): void {
    this.starts.push({ at, client });
    if (this.#pauses.some(({ from, to }) => at > from && at < to)) this.inPause += 1;
    this.#served.set(client, (this.#served.get(client) ?? 0) + 1);
    const served = [...this.#waiting].filter(([, count]) => count > 0).map(([name]) => this.#served.get(name) ?? 0);
    this.unfairness = Math.max(this.unfairness, Math.max(...served) - Math.min(...served));
  }

  /** A request is over. */
  ended(
    at: number,
    { client, cameAt, deadlineAt }: { client: string; cameAt: number; deadlineAt: number },
    end: End,
  ): void {
    this.ends[end] += 1;
    if (end === "started") this.waits.push(at - cameAt);
    this.#waiting.set(client, (this.#waiting.get(client) ?? 1) - 1);
    if (end !== "lost") this.latestMs = Math.max(this.latestMs, at - deadlineAt);
  }

  /** The owner has stored that the upstream wants nothing until a time; slots that were granted before may still be used. */
  paused(from: number, to: number): void {
    this.#pauses.push({ from: from + this.#scenario.rules.aheadMs + MAX_TOLERANCE_MS, to });
  }

  /** The most that started within any window, and the least between two starts. */
  seen(): { readonly most: number; readonly leastMs: number } {
    const { windowMs } = this.#scenario.policy;
    const times = this.starts.map(({ at }) => at).sort((a, b) => a - b);
    let most = 0;
    let leastMs = Infinity;
    let first = 0;
    for (const [last, at] of times.entries()) {
      while ((times[first] ?? at) < at - windowMs) first += 1;
      most = Math.max(most, last - first + 1);
      leastMs = Math.min(leastMs, at - (times[last - 1] ?? -Infinity));
    }
    return { most, leastMs };
  }
}
