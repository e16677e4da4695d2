import {
  acquireProblem,
  releaseProblem,
  signalProblem,
  type AcquireMessage,
  type AcquireReply,
  type ReleaseMessage,
  type SignalMessage,
} from "../../../objects/upstream-quota/quota-messages.ts";
import {
  newState,
  packState,
  stateAt,
  unpackState,
  type QuotaState,
} from "../../../objects/upstream-quota/quota-state.ts";
import {
  hearSignal,
  pausedMs,
  serve,
  takeBack,
  waiterOf,
  type QuotaMemory,
} from "../../../objects/upstream-quota/quota.ts";
import { createSlotsOut, type SlotsOut } from "../../../objects/upstream-quota/slots-out.ts";
import { createWaitingRoom, type Waiter } from "../../../objects/upstream-quota/waiting-room.ts";
import type { Random } from "../random.ts";
import { OWNER_EPOCH, type VirtualClock } from "../virtual-clock.ts";
import type { EgressScenario } from "./scenario.ts";

type OnReply = (reply: AcquireReply | undefined) => void;

interface Instance {
  /** Storage takes writes of the newest one only. */
  readonly generation: number;
  state: QuotaState | undefined;
  readonly memory: QuotaMemory;
  readonly calls: Map<Waiter, OnReply>;
  /** The last wake-up that was asked for; earlier ones do nothing. */
  wake: number;
  isOver: boolean;
  /** Writes that are not durable yet. */
  unsaved: number;
}

/** The object as a platform runs it: a row that takes time to be durable, restarts, a second instance that doesn't know that it is over. */
export class QuotaOwnerHost {
  calls = 0;
  rows = 0;
  readonly #clock: VirtualClock;
  readonly #random: Random;
  readonly #scenario: EgressScenario;
  readonly #onPaused: (ms: number) => void;
  readonly #drift: number;
  /** What its clock says at the beginning of the run. */
  #epoch = OWNER_EPOCH;
  #stored: string | undefined;
  /** Written, and not yet durable. */
  #pending: string | undefined;
  #current: Instance;
  #stale: Instance | undefined;
  #downUntil = -Infinity;
  #durableAt = -Infinity;

  constructor(clock: VirtualClock, random: Random, scenario: EgressScenario, onPaused: (ms: number) => void) {
    this.#clock = clock;
    this.#random = random;
    this.#scenario = scenario;
    this.#onPaused = onPaused;
    this.#drift = 1 + (random.between(-1, 1) * scenario.clocks.driftPpm) / 1e6;
    this.#current = this.#start(1);
    const { restartEveryMs, killedAt } = scenario.owner;
    if (killedAt < Infinity) clock.after(killedAt, () => this.#restart());
    if (restartEveryMs < Infinity) this.#scheduleRestart(restartEveryMs);
  }

  /** Undefined comes back when the owner fails. */
  acquire(message: AcquireMessage, onReply: OnReply): void {
    insist(acquireProblem(message));
    const instance = this.#reached();
    if (instance === undefined) {
      onReply(undefined);
      return;
    }
    const known = stateAt(instance.state ?? newState(message, false, this.#now()), this.#now(), message);
    const state = takeBack(known, this.#out(instance), message.unused);
    const waiter = waiterOf(message, state.clock.at);
    instance.calls.set(waiter, onReply);
    this.#serve(instance, state, waiter);
  }

  /** Tells of the upstream's answer. */
  signal(message: SignalMessage): void {
    insist(signalProblem(message));
    const instance = this.#reached();
    if (instance === undefined) return;
    const known = stateAt(instance.state ?? newState(message, false, this.#now()), this.#now(), message);
    const state = hearSignal(known, message, this.#random.next());
    this.#serve(instance, this.#scenario.mutation === "ignores the upstream" ? known : state, undefined, () =>
      this.#onPaused(pausedMs(stateAt(state, this.#now()))),
    );
  }

  /** Gives back. */
  release(message: ReleaseMessage): void {
    insist(releaseProblem(message));
    const instance = this.#reached();
    if (instance?.state === undefined) return;
    for (const seq of message.withdrawn) {
      const waiter = instance.memory.room.withdraw(message.isolate, seq);
      if (waiter !== undefined) instance.calls.delete(waiter);
    }
    this.#serve(instance, takeBack(stateAt(instance.state, this.#now()), this.#out(instance), message.unused));
  }

  #reached(): Instance | undefined {
    this.calls += 1;
    if (this.#clock.now < this.#downUntil) return undefined;
    return this.#stale !== undefined && this.#random.next() < 0.5 ? this.#stale : this.#current;
  }

  #serve(instance: Instance, state: QuotaState, newcomer?: Waiter, onReply?: () => void): void {
    const served = serve(state, instance.memory, newcomer, this.#scenario.rules);
    let isWritten = false;
    if (instance !== this.#current) {
      // Its write throws: what it decided never leaves, and the platform ends it.
      if (served.grants.length > 0 || served.state.pause !== instance.state?.pause) {
        this.#end(instance);
        return;
      }
    } else if (served.state.pace !== instance.state?.pace || served.state.pause !== instance.state.pause) {
      this.rows += 1;
      instance.unsaved += 1;
      isWritten = true;
      this.#pending = packState(served.state);
    }
    instance.state = served.state;
    const replies: (() => void)[] = onReply === undefined ? [] : [onReply];
    const say = (waiter: Waiter, reply: AcquireReply) => {
      const onReply = instance.calls.get(waiter);
      instance.calls.delete(waiter);
      if (onReply !== undefined) replies.push(() => onReply(reply));
    };
    for (const { waiter, ...grant } of served.grants) say(waiter, { v: 1, kind: "granted", ...grant });
    for (const { waiter, ...refusal } of served.refusals) say(waiter, { v: 1, kind: "refused", ...refusal });
    this.#commit(instance, isWritten ? this.#pending : undefined, replies);
    instance.wake += 1;
    const { wake } = instance;
    if (served.wakeInMs === null) return;
    this.#clock.after(served.wakeInMs + this.#random.between(-0.5, 3), () => {
      if (instance.isOver || instance.wake !== wake || instance.state === undefined) return;
      this.#serve(instance, stateAt(instance.state, this.#now()));
    });
  }

  /** What was written is durable some time later, and only then do replies leave. */
  #commit(instance: Instance, written: string | undefined, replies: readonly (() => void)[]): void {
    const tellsEarly = this.#scenario.mutation === "tells grants before they are stored";
    if (tellsEarly) for (const reply of replies) reply();
    // In the order of their writing.
    const { now } = this.#clock;
    this.#durableAt = Math.max(this.#durableAt, now + this.#random.between(0.5, 2) * this.#scenario.owner.commitMs);
    this.#clock.after(this.#durableAt - now, () => {
      if (instance.isOver) return;
      if (instance !== this.#current && instance.unsaved > 0) {
        this.#end(instance);
        return;
      }
      if (instance === this.#current && written !== undefined) {
        this.#stored = written;
        instance.unsaved -= 1;
      }
      if (!tellsEarly) for (const reply of replies) reply();
    });
  }

  #start(generation: number): Instance {
    const stored = this.#scenario.owner.forgets ? undefined : this.#stored;
    const state = stored === undefined ? undefined : unpackState(stored);
    if (stored !== undefined && state === undefined) throw new Error(`the stored row cannot be read: ${stored}`);
    const memory = { room: createWaitingRoom(this.#scenario.rules), out: createSlotsOut(this.#scenario.rules) };
    return { generation, state, memory, calls: new Map(), wake: 0, isOver: false, unsaved: 0 };
  }

  #restart(): void {
    const { splitBrain, stepBackMs } = this.#scenario.owner;
    const isSplit = splitBrain && this.#random.next() < 0.5;
    const old = this.#current;
    // What was being written may be durable or not; its replies have not left.
    if (this.#random.next() < 0.5) {
      this.#stored = this.#pending ?? this.#stored;
      old.unsaved = 0;
    }
    this.#pending = undefined;
    if (this.#random.next() < 0.3) this.#epoch -= Math.floor(this.#random.between(0, stepBackMs));
    if (this.#stale !== undefined) this.#end(this.#stale);
    this.#current = this.#start(old.generation + 1);
    if (!isSplit) {
      this.#downUntil = this.#clock.now + this.#random.between(0, 100);
      this.#end(old);
      return;
    }
    this.#stale = old;
    this.#clock.after(this.#random.between(0, 1_000), () => this.#end(old));
  }

  #end(instance: Instance): void {
    if (this.#stale === instance) this.#stale = undefined;
    if (instance.isOver) return;
    instance.isOver = true;
    for (const onReply of instance.calls.values()) onReply(undefined);
    instance.calls.clear();
  }

  #scheduleRestart(everyMs: number): void {
    this.#clock.after(this.#random.exponential(everyMs), () => {
      this.#restart();
      this.#scheduleRestart(everyMs);
    });
  }

  #out({ memory: { out } }: Instance): SlotsOut {
    if (this.#scenario.mutation !== "credits a slot each time that it comes back") return out;
    const claim = (id: number) => {
      const slot = out.claim(id);
      if (slot !== undefined) out.add(id, slot, slot.from);
      return slot;
    };
    return { ...out, claim };
  }

  #now(): number {
    const staleMs = this.#random.between(0, this.#scenario.clocks.staleMs);
    return Math.floor(this.#epoch + this.#clock.now * this.#drift - staleMs);
  }
}

function insist(problem: string | undefined): void {
  if (problem !== undefined) throw new TypeError(problem);
}
