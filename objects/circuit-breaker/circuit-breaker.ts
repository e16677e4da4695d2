import { DurableObject } from "cloudflare:workers";
import { createDeadlines } from "../deadlines.ts";
import { askOrigin } from "./ask-origin.ts";
import { hear, newMemory, type BreakerMemory } from "./breaker.ts";
import { command, newBreaker, type BreakerState } from "./circuit.ts";
import { openTargetAlarm, type TargetAlarm } from "./target-alarm.ts";
import { eventsBetween, type Kept, type TargetEvent } from "./target-events.ts";
import {
  orderProblem,
  targetReportProblem,
  watchProblem,
  type OrderKind,
  type TargetOrder,
  type TargetReply,
  type TargetReport,
  type WatchMessage,
  type WatchReply,
} from "./target-messages.ts";
import {
  checked,
  heardOf,
  named,
  NAMELESS,
  newRecord,
  newsOf,
  withoutVerdict,
  type TargetRecord,
} from "./target-record.ts";
import { targetStatus, type TargetStatus } from "./target-status.ts";
import { openTargetStore, type TargetStore } from "./target-store.ts";
import { createWatchers, pollMs } from "./watchers.ts";

/** Events in a status. */
const TOLD_EVENTS = 100;

/**
 * Owns what the whole fleet knows of one target: the state of its breaker, who may probe it, whether it is healthy, and what
 * operators have ordered. No request waits for it while the breaker is closed (docs/design/breaker.md).
 *
 * A change is written before the reply that tells of it, which the output gate holds until it is durable; between the
 * read and the write there is no `await`. Nothing is stored of a target whose breaker never opened, whose health nobody
 * checks and of which nobody ordered anything. An instance that was superseded cannot write, so neither its permits
 * nor its changes ever leave.
 */
export class CircuitBreaker extends DurableObject {
  readonly #store: TargetStore;
  readonly #alarm: TargetAlarm;
  readonly #watchers = createWatchers();
  readonly #within = createDeadlines();
  #breaker: BreakerState;
  #memory: BreakerMemory;
  #record: TargetRecord | undefined;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#store = openTargetStore(ctx.storage);
    const { breaker = newBreaker(), record } = this.#store.load();
    this.#breaker = breaker;
    this.#record = record;
    this.#memory = newMemory(breaker, Date.now());
    this.#alarm = openTargetAlarm(ctx.storage);
    void ctx.blockConcurrencyWhile(async () => {
      await this.#alarm.start();
      this.#replaceLost(Date.now());
    });
  }

  /** Takes in what an isolate's calls have come to; says what state holds. Throws a TypeError on a malformed message. */
  report(message: TargetReport): TargetReply {
    insist("take the report", targetReportProblem(message));
    const now = Date.now();
    const record = heardOf(this.#record, message, now);
    const moment = { now, random: Math.random() };
    const { state, memory, reply } = hear(this.#breaker, this.#memory, message, moment);
    this.#keep({ breaker: state, record }, now, null);
    this.#memory = memory;
    return { ...reply, news: newsOf(record, now) };
  }

  /** Tells an isolate that has nothing to report what is new. Throws a TypeError on a malformed message. */
  watch(message: WatchMessage): WatchReply {
    insist("watch", watchProblem(message));
    const now = Date.now();
    const record = heardOf(this.#record, message, now);
    this.#keep({ breaker: this.#breaker, record }, now, null);
    const isolates = this.#watchers.note(message.isolate, now);
    return { v: 1, news: newsOf(record, now), isolates, pollMs: pollMs(isolates, Math.random()) };
  }

  /** Does what an operator orders, and says what holds then. Throws a TypeError on a malformed order. */
  order(order: TargetOrder): TargetStatus {
    insist("carry the order out", orderProblem(order));
    const now = Date.now();
    const { kind, target, by = "operator" } = order;
    const record = ordered(named(this.#record ?? newRecord(target, now), target), kind);
    const breaker = kind === "drain" ? this.#breaker : command(this.#breaker, kind === "close" ? "closed" : kind, now);
    this.#keep({ breaker, record }, now, by);
    return this.#describe(record, now);
  }

  /** What is known of the target; null: nothing, so that its requests pass. */
  status(): TargetStatus | null {
    const now = Date.now();
    return this.#record === undefined ? null : this.#describe(this.#record, now);
  }

  /** Answers when the object can be reached and its storage read. */
  ping(): { readonly v: 1 } {
    this.ctx.storage.sql.exec("SELECT 1 FROM sqlite_master LIMIT 1").toArray();
    return { v: 1 };
  }

  /** Checks the target's health while somebody wants to know, and forgets a target that is no more heard of. */
  override async alarm(): Promise<void> {
    const now = Date.now();
    try {
      switch (this.#alarm.rang(this.#known(), now, Math.random())) {
        case "check":
          return await this.#check();
        case "forget":
          return await this.#forget(now);
        case "wait":
          return;
      }
    } catch (error) {
      // The runtime repeats a failed alarm a few times only; after that the next message has to set one.
      this.#alarm.lost();
      throw error;
    }
  }

  /** One check. Isolates are heard meanwhile, so what is known is read anew when it has ended. */
  async #check(): Promise<void> {
    const record = this.#record;
    if (record === undefined || record.backend === null || record.health === null) return;
    const { target, backend, configVersion, health } = record;
    const question = { v: 1, target, backend, configVersion } as const;
    const asked = { origin: this.ctx.exports.Origin, within: this.#within };
    const answer = await askOrigin(asked, question, health.timeoutMs);
    const now = Date.now();
    if (this.#record !== undefined)
      this.#keep({ breaker: this.#breaker, record: checked(this.#record, answer, now) }, now, null);
  }

  async #forget(now: number): Promise<void> {
    this.#breaker = newBreaker();
    this.#memory = newMemory(this.#breaker, now);
    this.#record = undefined;
    await this.#store.erase();
  }

  /** Of a record that was lost the rest is in force all the same; should nobody tell it again, it is forgotten in its time. */
  #replaceLost(now: number): void {
    if (this.#record !== undefined || !this.#store.exists()) return;
    this.#keep({ breaker: this.#breaker, record: newRecord(NAMELESS, now) }, now, null);
  }

  #known(): Kept {
    return { breaker: this.#breaker, record: this.#record };
  }

  /** Stores what has changed, and only then takes it for true. */
  #keep(next: Kept, now: number, by: string | null): void {
    if (next.breaker !== this.#breaker || next.record !== this.#record) {
      const events = eventsBetween(this.#known(), next, now, by);
      this.#store.save(next, events);
      this.#breaker = next.breaker;
      this.#record = next.record;
      for (const event of events) tell(next.record?.target, event);
    }
    if (this.#store.exists()) this.#alarm.plan(next, now, Math.random());
  }

  #describe(record: TargetRecord, now: number): TargetStatus {
    const events = this.#store.events(TOLD_EVENTS);
    return targetStatus({ breaker: this.#breaker, memory: this.#memory, record, events }, now);
  }
}

function ordered(record: TargetRecord, kind: OrderKind): TargetRecord {
  if (kind === "drain") return record.isDraining ? record : { ...record, isDraining: true };
  if (kind === "auto") return record.isDraining ? { ...record, isDraining: false } : record;
  return kind === "reset" ? withoutVerdict(record) : record;
}

/** An operator who watches the log alone is to see what happens to a target. */
function tell(target: string | undefined, { at, kind, from, to, cause, by }: TargetEvent): void {
  const isWorse = to === "open" || to === "forced-open" || to === "down";
  const time = new Date(at).toISOString();
  const line = { event: "target-changed", time, target, kind, from, to, cause, by: by ?? undefined };
  if (isWorse) console.warn(JSON.stringify({ level: "warn", ...line }));
  else console.log(JSON.stringify({ level: "info", ...line }));
}

function insist(what: string, problem: string | undefined): void {
  if (problem !== undefined) throw new TypeError(`cannot ${what}: ${problem}`);
}
