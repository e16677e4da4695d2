import { admit, settle, type Attempt } from "../../../objects/circuit-breaker/breaker-admission.ts";
import type { BreakerReply, BreakerReport } from "../../../objects/circuit-breaker/breaker-messages.ts";
import { dueReport, failed, heard } from "../../../objects/circuit-breaker/breaker-reporting.ts";
import { newView, type BreakerView } from "../../../objects/circuit-breaker/breaker-view.ts";
import type { Outcome } from "../../../objects/circuit-breaker/outcome.ts";
import type { Random } from "../random.ts";
import type { Scenario } from "./scenario.ts";

/** How long a request waits for the owner, as in production. */
const DEADLINE_MS = 150;

/** How long it is listened for a reply that nobody waits for. */
const CALL_MS = 1_000;

/** What an isolate can do to the world around it. */
export interface Surroundings {
  readonly clock: { readonly now: number; after(delayMs: number, run: () => void): void };
  readonly random: Random;
  readonly scenario: Scenario;
  /** Sends a report; the reply (undefined: the owner failed) may come late or never. */
  send(report: BreakerReport, onReply: (reply: BreakerReply | undefined) => void): void;
  /** A call to the target begins; it ends in `settle`, for a probe at its deadline at the latest. */
  begin(isolate: IsolateHost, attempt: Attempt): void;
  refused(): void;
}

/** A Worker isolate: its view of the breaker, a clock of its own. */
export class IsolateHost {
  readonly isSick: boolean;
  isDead = false;
  readonly #name: string;
  readonly #phase: number;
  #known: BreakerView | undefined;
  readonly #surroundings: Surroundings;
  readonly #drift: number;
  readonly #offset: number;
  #last = -Infinity;

  constructor(name: string, isSick: boolean, surroundings: Surroundings) {
    const { random, scenario } = surroundings;
    this.isSick = isSick;
    this.#surroundings = surroundings;
    this.#drift = 1 + (random.between(-1, 1) * scenario.clocks.driftPpm) / 1_000_000;
    this.#offset = random.between(0, 1_000_000_000_000);
    this.#name = name;
    this.#phase = random.next();
  }

  /** A request for the target arrives. */
  request(): void {
    const { clock, scenario } = this.#surroundings;
    const admission = admit(this.#view, this.#now(), scenario.rules);
    switch (admission.kind) {
      case "pass":
        this.#surroundings.begin(this, admission.attempt);
        break;
      case "refused":
        this.#surroundings.refused();
        break;
      case "ask": {
        const { message } = admission;
        let isOver = false;
        const end = () => {
          if (isOver || this.isDead) return;
          isOver = true;
          const answer = admit(this.#view, this.#now(), scenario.rules);
          if (answer.kind === "pass") this.#surroundings.begin(this, answer.attempt);
          else this.#surroundings.refused();
          if (answer.kind === "ask") this.#send(answer.message, () => {});
          this.#report();
        };
        this.#send(message, end);
        // The reply may come all the same, with a permit for the next request.
        clock.after(DEADLINE_MS, end);
        clock.after(CALL_MS, () => {
          if (!this.isDead) failed(this.#view, message.seq, this.#now());
        });
        break;
      }
    }
    this.#report();
  }

  /** A call has ended. */
  settle(attempt: Attempt, outcome: Outcome): void {
    if (this.isDead) return;
    settle(this.#view, attempt, outcome, this.#now(), this.#surroundings.scenario.rules);
    this.#report();
  }

  /** Time has passed. */
  tick(): void {
    if (this.#known !== undefined) this.#report();
  }

  /** How long until this isolate's clock says `at`, in true time. */
  until(at: number): number {
    return (at - this.#offset) / this.#drift - this.#surroundings.clock.now;
  }

  /** It knows nothing of a target before its first request. */
  get #view(): BreakerView {
    const { policy } = this.#surroundings.scenario;
    const reporter = { isolate: this.#name, seq: 0 };
    this.#known ??= newView({ policy, configVersion: 1, reporter, phase: this.#phase }, this.#now());
    return this.#known;
  }

  #report(): void {
    const report = dueReport(this.#view, this.#now());
    if (report === undefined) return;
    const { clock } = this.#surroundings;
    this.#send(report, () => {});
    clock.after(CALL_MS, () => {
      if (!this.isDead) failed(this.#view, report.seq, this.#now());
    });
  }

  #send(report: BreakerReport, onEnd: () => void): void {
    this.#surroundings.send(report, (reply) => {
      if (this.isDead) return;
      const { rules } = this.#surroundings.scenario;
      if (reply === undefined) failed(this.#view, report.seq, this.#now());
      else heard(this.#view, report.seq, reply, this.#now(), rules);
      onEnd();
    });
  }

  /** As the platform says it: the time of the last event, which may be a while ago. */
  #now(): number {
    const { clock, random, scenario } = this.#surroundings;
    const now = clock.now * this.#drift + this.#offset - random.between(0, scenario.clocks.staleMs);
    this.#last = Math.max(this.#last, Math.floor(now));
    return this.#last;
  }
}
