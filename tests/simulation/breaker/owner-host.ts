import { hear, newMemory, type BreakerMemory } from "../../../objects/circuit-breaker/breaker.ts";
import {
  reportProblem,
  type BreakerReply,
  type BreakerReport,
} from "../../../objects/circuit-breaker/breaker-messages.ts";
import { packBreaker, unpackBreaker } from "../../../objects/circuit-breaker/breaker-state.ts";
import { newBreaker, type BreakerState } from "../../../objects/circuit-breaker/circuit.ts";
import type { Random } from "../random.ts";
import type { VirtualClock } from "../virtual-clock.ts";
import type { Scenario } from "./scenario.ts";

/** From the first message to an object that isn't there until it is worked on. */
const STARTING_MS = 30;

/** Some time in 2026, as the owner's clock says it. */
export const EPOCH = 1_790_000_000_000;

interface Instance {
  /** Storage takes writes of the newest one only. */
  readonly generation: number;
  state: BreakerState;
  memory: BreakerMemory;
  busyUntil: number;
}

/** The object as a platform runs it: one row, restarts, a second instance that doesn't know that it is over. */
export class OwnerHost {
  /** When each message arrived. */
  readonly arrivals: number[] = [];
  rows = 0;
  readonly #clock: VirtualClock;
  readonly #random: Random;
  readonly #scenario: Scenario;
  readonly #onWrite: (before: BreakerState, after: BreakerState) => void;
  #stored: string | undefined;
  #current: Instance;
  #stale: Instance | undefined;
  #downUntil = -Infinity;
  #heardAt = -Infinity;
  /** What its clock says at the beginning of the run. */
  #epoch = EPOCH;

  constructor(
    clock: VirtualClock,
    random: Random,
    scenario: Scenario,
    onWrite: (before: BreakerState, after: BreakerState) => void,
  ) {
    this.#clock = clock;
    this.#random = random;
    this.#scenario = scenario;
    this.#onWrite = onWrite;
    this.#current = this.#start(1);
    this.#scheduleRestart();
    const { restartAt } = scenario.owner;
    if (restartAt !== Infinity)
      clock.after(restartAt, () => (this.#current = this.#start(this.#current.generation + 1)));
  }

  /** What is stored now. */
  get state(): BreakerState {
    return this.#current.state;
  }

  /** A report arrives; the reply, or undefined when the owner fails, comes when it has been worked on. */
  receive(report: BreakerReport, onReply: (reply: BreakerReply | undefined) => void): void {
    this.arrivals.push(this.#clock.now);
    const [goneFrom, goneTo] = this.#scenario.owner.gone;
    if (this.#clock.now >= goneFrom && this.#clock.now < goneTo) return;
    if (this.#clock.now < this.#downUntil) {
      onReply(undefined);
      return;
    }
    this.#wake();
    const instance = this.#stale !== undefined && this.#random.next() < 0.5 ? this.#stale : this.#current;
    const startsAt = Math.max(this.#clock.now, instance.busyUntil);
    instance.busyUntil = startsAt + this.#scenario.owner.serviceMs;
    this.#clock.after(instance.busyUntil - this.#clock.now, () => onReply(this.#work(instance, report)));
  }

  #wake(): void {
    const { now } = this.#clock;
    if (now - this.#heardAt > this.#scenario.owner.idleMs) {
      this.#current = this.#start(this.#current.generation + 1);
      this.#current.busyUntil = now + STARTING_MS;
    }
    this.#heardAt = now;
  }

  #work(instance: Instance, report: BreakerReport): BreakerReply | undefined {
    const problem = reportProblem(report);
    if (problem !== undefined) throw new TypeError(problem);
    if (instance !== this.#current && instance !== this.#stale) return undefined;
    const moment = { now: this.#now(), random: this.#random.next() };
    const { state, memory, reply } = hear(instance.state, instance.memory, report, moment, this.#scenario.rules);
    if (state !== instance.state) {
      if (instance.generation !== this.#current.generation) {
        // Its write throws: what it decided never leaves, and the platform ends it.
        this.#stale = undefined;
        return undefined;
      }
      this.rows += 1;
      this.#stored = packBreaker(state);
      this.#onWrite(instance.state, state);
    }
    instance.state = state;
    instance.memory = memory;
    return reply;
  }

  #start(generation: number): Instance {
    const stored = this.#scenario.owner.forgets ? undefined : this.#stored;
    const state = stored === undefined ? newBreaker(this.#scenario.policy) : unpackBreaker(stored);
    if (state === undefined) throw new Error(`the stored row cannot be read: ${stored ?? ""}`);
    const memory = newMemory(state, this.#now());
    return { generation, state, memory, busyUntil: this.#clock.now };
  }

  #now(): number {
    return this.#epoch + Math.floor(this.#clock.now);
  }

  #scheduleRestart(): void {
    const { restartEveryMs, splitBrain, stepBackMs } = this.#scenario.owner;
    if (restartEveryMs === Infinity) return;
    this.#clock.after(this.#random.exponential(restartEveryMs), () => {
      if (this.#clock.now >= this.#scenario.quietFrom) return;
      const isSplit = splitBrain && this.#random.next() < 0.5;
      const old = this.#current;
      if (this.#random.next() < 0.3) this.#epoch -= Math.floor(this.#random.between(0, stepBackMs));
      this.#stale = isSplit ? old : undefined;
      this.#current = this.#start(old.generation + 1);
      if (!isSplit) this.#downUntil = this.#clock.now + this.#random.between(0, 100);
      if (isSplit) this.#clock.after(this.#random.between(0, 1_000), () => this.#end(old));
      this.#scheduleRestart();
    });
  }

  #end(instance: Instance): void {
    if (this.#stale === instance) this.#stale = undefined;
  }
}
