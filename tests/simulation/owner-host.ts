import { NEW_CLIENT, packClient, unpackClient, type ClientState } from "../../objects/rate-limiter/client-state.ts";
import { NO_MEMORY, lease, type LeaseMemory } from "../../objects/rate-limiter/leases/lease-ledger.ts";
import { endLeases } from "../../objects/rate-limiter/leases/live-leases.ts";
import { leaseProblem, type LeaseMessage, type LeaseReply } from "../../objects/rate-limiter/leases/lease-messages.ts";
import { countCalls, newLoad, shardNotice, type CallLoad } from "../../objects/rate-limiter/shards/shard-count.ts";
import { OWNER_EPOCH } from "./virtual-clock.ts";
import type { Random } from "./random.ts";
import type { Scenario } from "./scenario.ts";
import type { VirtualClock } from "./virtual-clock.ts";

/** A platform refuses calls to an object whose queue is this long. */
export const OVERLOAD_MS = 500;

interface Instance {
  /** Storage takes writes of the newest one only. */
  readonly generation: number;
  state: ClientState;
  memory: LeaseMemory;
  load: CallLoad;
  busyUntil: number;
}

/** What the checker hears of every decision that left the owner. */
export type OnDecision = (message: LeaseMessage, reply: LeaseReply, state: ClientState, before: ClientState) => void;

/** The object as a platform runs it: one client's row, restarts, a second instance that doesn't know that it is over. */
export class OwnerHost {
  readonly callsBySecond: number[] = [];
  rows = 0;
  readonly #clock: VirtualClock;
  readonly #random: Random;
  readonly #scenario: Scenario;
  readonly #onDecision: OnDecision;
  #stored: string | undefined;
  #current: Instance;
  #stale: Instance | undefined;
  #downUntil = -Infinity;

  constructor(clock: VirtualClock, random: Random, scenario: Scenario, onDecision: OnDecision) {
    this.#clock = clock;
    this.#random = random;
    this.#scenario = scenario;
    this.#onDecision = onDecision;
    this.#current = this.#start(1);
    this.#scheduleRestart();
  }

  /** Tokens of a policy that the owner counts as lent at this instant. */
  lent(policy: string): number {
    const now = OWNER_EPOCH + Math.floor(this.#clock.now);
    const { leases } = endLeases(this.#current.state, now, this.#scenario.rules);
    let tokens = 0;
    for (const lease of leases?.live ?? []) if (lease.policy === policy) tokens += lease.tokens;
    return tokens;
  }

  /** A message arrives; the reply, or undefined when the owner fails, comes when it has been worked on. */
  receive(message: LeaseMessage, onReply: (reply: LeaseReply | undefined) => void): void {
    const second = Math.floor(this.#clock.now / 1_000);
    this.callsBySecond[second] = (this.callsBySecond[second] ?? 0) + 1;
    if (this.#clock.now < this.#downUntil) {
      onReply(undefined);
      return;
    }
    if (this.#current.busyUntil - this.#clock.now > OVERLOAD_MS) {
      onReply(undefined);
      return;
    }
    const instance = this.#stale !== undefined && this.#random.next() < 0.5 ? this.#stale : this.#current;
    const startsAt = Math.max(this.#clock.now, instance.busyUntil);
    instance.busyUntil = startsAt + this.#scenario.owner.serviceMs;
    this.#clock.after(instance.busyUntil - this.#clock.now, () => {
      onReply(this.#work(instance, message));
    });
  }

  #work(instance: Instance, message: LeaseMessage): LeaseReply | undefined {
    const problem = leaseProblem(message);
    if (problem !== undefined) throw new TypeError(problem);
    if (instance !== this.#current && instance !== this.#stale) return undefined;
    const now = OWNER_EPOCH + Math.floor(this.#clock.now);
    const { state, memory, reply } = lease(instance.state, instance.memory, message, now, this.#scenario.rules);
    const counting = this.#scenario.sharding?.counting;
    if (counting !== undefined) instance.load = countCalls(instance.load, message, now, counting);
    const shards = counting === undefined ? undefined : shardNotice(instance.load, counting);
    const isRepeated = memory === instance.memory;
    const before = instance.state;
    if (state !== instance.state) {
      if (instance.generation !== this.#current.generation) {
        // Its write throws: what it decided never leaves, and the platform ends it.
        this.#stale = undefined;
        return undefined;
      }
      this.rows += 1;
      this.#stored = packClient(state);
    }
    instance.state = state;
    instance.memory = memory;
    if (!isRepeated) this.#onDecision(message, reply, state, before);
    return shards === undefined ? reply : { ...reply, shards };
  }

  #start(generation: number): Instance {
    const stored = this.#scenario.owner.forgets ? undefined : this.#stored;
    const state = stored === undefined ? NEW_CLIENT : unpackClient(stored);
    if (state === undefined) throw new Error(`the stored row cannot be read: ${stored ?? ""}`);
    const load = newLoad(OWNER_EPOCH + Math.floor(this.#clock.now));
    return { generation, state, memory: NO_MEMORY, load, busyUntil: this.#clock.now };
  }

  #scheduleRestart(): void {
    const { restartEveryMs, splitBrain } = this.#scenario.owner;
    if (restartEveryMs === Infinity) return;
    this.#clock.after(this.#random.exponential(restartEveryMs), () => {
      const isSplit = splitBrain && this.#random.next() < 0.5;
      const old = this.#current;
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
