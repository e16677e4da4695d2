import { DurableObject } from "cloudflare:workers";
import { hearSignal, pausedMs, serve, takeBack, waiterOf, type QuotaMemory, type Served } from "./quota.ts";
import {
  acquireProblem,
  releaseProblem,
  signalProblem,
  type AcquireMessage,
  type AcquireReply,
  type ReleaseMessage,
  type SignalMessage,
  type SignalReply,
  type UnusedSlot,
} from "./quota-messages.ts";
import type { QuotaTerms } from "./quota-policy.ts";
import { newState, stateAt, type QuotaState } from "./quota-state.ts";
import { createQuotaTally, quotaStatus, type QuotaStatus } from "./quota-status.ts";
import { openQuotaStore, type QuotaStore } from "./quota-store.ts";
import { createSlotsOut } from "./slots-out.ts";
import { createWaitingRoom, type Waiter } from "./waiting-room.ts";
import { createWakeUp } from "../wake-up.ts";

/** The call of a waiter, which is still to be answered. */
interface Call {
  readonly answer: (reply: AcquireReply) => void;
  readonly fail: (error: unknown) => void;
}

/**
 * Owns what the whole fleet may ask of one upstream: who may call when (docs/design/egress.md).
 *
 * A grant is written before the reply that tells of it, which the output gate holds until it is durable. An instance that was
 * superseded cannot write, so its grants never leave. Who waits is in memory: a restart fails their calls, and they ask again.
 */
export class UpstreamQuota extends DurableObject {
  readonly #store: QuotaStore;
  readonly #calls = new Map<Waiter, Call>();
  readonly #tally = createQuotaTally();
  #memory: QuotaMemory = { room: createWaitingRoom(), out: createSlotsOut() };
  #state: QuotaState | undefined;
  /** What is stored cannot be read: all of the quota counts as used. */
  #isLost: boolean;
  /** Only for somebody who waits, so that it keeps the object in memory no longer, or hardly, than they do. */
  readonly #wakeUp = createWakeUp(() => this.#wake());

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#store = openQuotaStore(ctx.storage);
    const stored = this.#store.load();
    this.#isLost = stored === "lost";
    this.#state = stored === "lost" ? undefined : stored;
    void ctx.blockConcurrencyWhile(() => this.#store.start());
  }

  /** Answers when the request's slot has come, or won't come any more. Throws a TypeError on a malformed message. */
  acquire(message: AcquireMessage): Promise<AcquireReply> {
    insist("grant a slot", acquireProblem(message));
    const known = this.#at(message);
    const state = takeBack(known, this.#memory.out, message.unused);
    this.#tally.left({ withdrawn: 0, returned: requestsOf(message.unused) });
    const waiter = waiterOf(message, state.clock.at);
    return new Promise((answer, fail) => {
      this.#calls.set(waiter, { answer, fail });
      this.#serve(state, waiter);
    });
  }

  /** Takes in what the upstream has said of its limits. Throws a TypeError on a malformed message. */
  signal(message: SignalMessage): SignalReply {
    insist("take the signal", signalProblem(message));
    const known = this.#at(message);
    const state = hearSignal(known, message, Math.random());
    if (pausedMs(known) === 0 && pausedMs(state) > 0) tell(state);
    this.#serve(state);
    return { v: 1, pausedMs: pausedMs(state) };
  }

  /** Takes back slots and withdraws requests that have no more use for any. Throws a TypeError on a malformed message. */
  release(message: ReleaseMessage): { readonly v: 1 } {
    insist("release", releaseProblem(message));
    const { isolate, withdrawn, unused } = message;
    const known = this.#at();
    if (known === undefined) return { v: 1 };
    this.#tally.left({ withdrawn: withdrawn.length, returned: requestsOf(unused) });
    for (const seq of withdrawn) this.#withdraw(isolate, seq);
    this.#serve(takeBack(known, this.#memory.out, unused));
    return { v: 1 };
  }

  /** What is known of the quota; null: nobody has asked for a slot in the last hour or so. */
  status(): QuotaStatus | null {
    const state = this.#at();
    return state === undefined ? null : quotaStatus(state, this.#memory.room, this.#tally);
  }

  /** Answers when the object can be reached and its storage read. */
  ping(): { readonly v: 1 } {
    this.ctx.storage.sql.exec("SELECT 1 FROM sqlite_master LIMIT 1").toArray();
    return { v: 1 };
  }

  /** Forgets a quota that is whole again and that nobody uses. */
  override async alarm(): Promise<void> {
    // A row that cannot be read stays until somebody asks: how long its window was nobody knows.
    const isOver = this.#store.rang(this.#isLost ? "lost" : this.#at());
    if (!isOver || this.#calls.size > 0) return;
    this.#state = undefined;
    await this.#store.erase();
  }

  #at(): QuotaState | undefined;
  #at(terms: QuotaTerms): QuotaState;
  #at(terms?: QuotaTerms): QuotaState | undefined {
    const now = Date.now();
    if (this.#state !== undefined) return stateAt(this.#state, now, terms);
    return terms === undefined ? undefined : newState(terms, this.#isLost, now);
  }

  /** Serves whoever can be served, stores that, and only then tells. */
  #serve(state: QuotaState, newcomer?: Waiter): void {
    let served: Served;
    try {
      served = serve(state, this.#memory, newcomer);
      this.#store.save(served.state);
    } catch (error) {
      // As after a restart: all who wait ask again, and meet what is stored.
      for (const { fail } of this.#calls.values()) fail(error);
      this.#calls.clear();
      this.#memory = { room: createWaitingRoom(), out: this.#memory.out };
      throw error;
    }
    this.#state = served.state;
    this.#isLost = false;
    this.#tally.note(served.grants, served.refusals);
    for (const { waiter, ...grant } of served.grants) this.#answer(waiter, { v: 1, kind: "granted", ...grant });
    for (const { waiter, ...refusal } of served.refusals) this.#answer(waiter, { v: 1, kind: "refused", ...refusal });
    this.#wakeUp.in(served.wakeInMs);
  }

  #wake(): void {
    const state = this.#at();
    if (state === undefined) return;
    try {
      this.#serve(state);
    } catch (error) {
      // Those who wait have been told; nobody else is there to hear of it.
      console.error(JSON.stringify({ level: "error", event: "upstream-quota-not-stored", error: String(error) }));
    }
  }

  #withdraw(isolate: string, seq: number): void {
    const waiter = this.#memory.room.withdraw(isolate, seq);
    // Nobody listens any more; a call that is never answered would keep the object in memory.
    if (waiter !== undefined) this.#answer(waiter, { v: 1, kind: "refused", why: "deadline", retryAfterMs: 0 });
  }

  #answer(waiter: Waiter, reply: AcquireReply): void {
    this.#calls.get(waiter)?.answer(reply);
    this.#calls.delete(waiter);
  }
}

/** An operator who watches the log alone is to see that an upstream pauses everybody. */
function tell(state: QuotaState): void {
  const { quota, pause } = state;
  const { cause, throttles } = pause;
  const line = { level: "warn", event: "egress-paused", quota, cause, pausedMs: pausedMs(state), throttles };
  console.log(JSON.stringify(line));
}

function requestsOf(slots: readonly UnusedSlot[]): number {
  return slots.reduce((sum, { count }) => sum + count, 0);
}

function insist(what: string, problem: string | undefined): void {
  if (problem !== undefined) throw new TypeError(`cannot ${what}: ${problem}`);
}
