import type { Priority } from "../../../objects/upstream-quota/fair-queue.ts";
import type { AcquireMessage, SignalMessage } from "../../../objects/upstream-quota/quota-messages.ts";
import type { QuotaPolicy, QuotaTerms } from "../../../objects/upstream-quota/quota-policy.ts";
import { QUOTA_PRESETS } from "../../../schemas/policies/backends/quota.ts";
import { newState, stateAt, type QuotaState } from "../../../objects/upstream-quota/quota-state.ts";
import {
  hearSignal,
  serve,
  takeBack,
  waiterOf,
  type QuotaMemory,
  type Served,
} from "../../../objects/upstream-quota/quota.ts";
import { createSlotsOut } from "../../../objects/upstream-quota/slots-out.ts";
import { createWaitingRoom } from "../../../objects/upstream-quota/waiting-room.ts";

/** When each world begins. */
export const START = 1_790_000_000_000;

/** The first preset, but for what is given. */
export function policyOf(changes: Partial<QuotaPolicy> = {}): QuotaPolicy {
  return { ...QUOTA_PRESETS["30-per-minute"], ...changes };
}

/** The terms of a policy. */
export function termsOf(policy: QuotaPolicy, configVersion = 1): QuotaTerms {
  return { quota: "provider", configVersion, policy };
}

/** What happened to a request that asked, told shortly; times from the beginning of the world. */
export type Told =
  | { readonly at: number; readonly client: string; readonly got: "slot" }
  | {
      readonly at: number;
      readonly client: string;
      readonly got: "queue-full" | "deadline";
      readonly retryAfterMs: number;
    };

/** An owner without its object: what it is told, on a clock that the test moves. */
export class QuotaWorld {
  now = 0;
  /** How far the owner's clock is ahead of what it was. */
  skewMs = 0;
  state: QuotaState;
  memory: QuotaMemory = { room: createWaitingRoom(), out: createSlotsOut() };
  readonly told: Told[] = [];
  /** Ids of slots, in the order of their granting, slots ahead included. */
  readonly slots: { readonly id: number; readonly from: number; readonly forMs: number; readonly count: number }[] = [];
  #seq = 0;
  #wakeAt: number | null = null;

  constructor(policy: QuotaPolicy) {
    this.state = newState(termsOf(policy), false, START);
  }

  /** Requests ask at once, one for each client. */
  ask(clients: readonly string[], changes: Partial<AcquireMessage> = {}): void {
    for (const client of clients) {
      const message = { ...this.message(client), ...changes };
      this.#serve(takeBack(this.#at(), this.memory.out, message.unused), message);
    }
  }

  /** What a client's request asks. */
  message(client: string, priority: Priority = "normal"): AcquireMessage {
    this.#seq += 1;
    const { quota, configVersion, policy } = this.state;
    const terms = { quota, configVersion, policy };
    const waiting = { waitMs: 300_000, toleranceMs: 0, spare: 0, unused: [] };
    return { v: 1, isolate: "a", seq: this.#seq, client, priority, ...waiting, ...terms };
  }

  /** The upstream's answer to a request of the newest epoch, or of the one given. */
  hear(signal: SignalMessage["signal"], epoch = this.state.pause.epoch, random = 0.5): void {
    const { quota, configVersion, policy } = this.state;
    this.#serve(hearSignal(this.#at(), { v: 1, epoch, signal, quota, configVersion, policy }, random));
  }

  /** Slots come back. */
  giveBack(...ids: readonly number[]): void {
    const unused = ids.map((id) => ({ id, count: 1 }));
    this.#serve(takeBack(this.#at(), this.memory.out, unused));
  }

  /** Lets time pass, and the owner wake whenever it wants to. */
  pass(ms: number): void {
    const until = this.now + ms;
    while (this.#wakeAt !== null && this.#wakeAt <= until) {
      this.now = this.#wakeAt;
      this.#serve(this.#at());
    }
    this.now = until;
  }

  /** Clients whose slots came, in order. */
  get served(): string {
    return this.told.flatMap(({ client, got }) => (got === "slot" ? client : [])).join("");
  }

  /** When slots came. */
  get times(): readonly number[] {
    return this.told.flatMap(({ at, got }) => (got === "slot" ? at : []));
  }

  #at(): QuotaState {
    return stateAt(this.state, START + this.now + this.skewMs);
  }

  #serve(state: QuotaState, message?: AcquireMessage): void {
    const newcomer = message === undefined ? undefined : waiterOf(message, state.clock.at);
    const served: Served = serve(state, this.memory, newcomer);
    this.state = served.state;
    this.#wakeAt = served.wakeInMs === null ? null : this.now + served.wakeInMs;
    for (const { waiter, slots } of served.grants) {
      this.told.push({ at: this.now, client: waiter.client, got: "slot" });
      for (const { inMs, ...slot } of slots) this.slots.push({ ...slot, from: this.now + inMs });
    }
    for (const { waiter, why, retryAfterMs } of served.refusals) {
      this.told.push({ at: this.now, client: waiter.client, got: why, retryAfterMs });
    }
  }
}
