import { DurableObject } from "cloudflare:workers";
import { relayAt } from "../web-socket-relay/relay-stub.ts";
import { giveOrder, partOf } from "./give-order.ts";
import { createRegistry, LEASE_MS } from "./registry.ts";
import {
  listProblem,
  orderProblem,
  reportProblem,
  type ListMessage,
  type OrderMessage,
  type OrderReply,
  type ReportMessage,
  type ReportReply,
  type SessionEntry,
  type SessionPage,
  type SessionSummary,
} from "./registry-messages.ts";

/** Counters stay for so long after the last session: operators who read them every few minutes miss none. */
const COUNTS_MS = 900_000;

/** Objects that take an order longer have failed it: whoever gave it waits for ten seconds. */
const RELAYS_MS = 5_000;

/**
 * One shard of the list of live WebSocket sessions, for operators. It stores nothing: no session outlives the object that
 * holds it for long, and those objects tell of theirs again and again.
 */
export class SocketRegistry extends DurableObject<Env> {
  readonly #registry = createRegistry(undefined, Date.now());
  #toldAt = 0;
  /** While anybody is listed it keeps the object in memory, which would forget all of them else. */
  #timer: ReturnType<typeof setTimeout> | null = null;

  /** Takes in what a relay object tells of its sessions. Throws a TypeError on a malformed message. */
  report(message: ReportMessage): ReportReply {
    insist("take the report", reportProblem(message));
    this.#toldAt = Date.now();
    this.#registry.report(message, this.#toldAt);
    this.#stay();
    const drained = this.#registry.drained(this.#toldAt);
    return { v: 1, ...(drained !== undefined && { drained }) };
  }

  /** A page of the sessions that match. Throws a TypeError on a malformed message. */
  list(message: ListMessage): SessionPage {
    insist("list", listProblem(message));
    return this.#registry.list(message, Date.now());
  }

  /** A session as it was told of last; null: it is not known, or was not told of for a minute. */
  find(id: string): SessionEntry | null {
    return this.#registry.find(id, Date.now()) ?? null;
  }

  /** What was counted here since this object began. */
  summary(): SessionSummary {
    return this.#registry.summary(Date.now());
  }

  /** Gives an order to the sessions that match, or to as many as one invocation can. Throws a TypeError on a malformed message. */
  async order(message: OrderMessage): Promise<OrderReply> {
    insist("give the order", orderProblem(message));
    const now = Date.now();
    const { filter, order: what, rest } = message;
    if (rest === undefined && what.kind === "close" && what.refuseNewMs !== undefined && filter.route !== null) {
      this.#registry.drain(filter.route, now, now + what.refuseNewMs);
      // It is not to be forgotten with the last session.
      this.#toldAt = now;
      this.#stay();
    }
    const part = partOf(this.#registry.matching(filter, now), rest, now);
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error("late")), RELAYS_MS);
    try {
      return await giveOrder(part, what, (object) => relayAt(this.env, object), late);
    } finally {
      clearTimeout(timer);
    }
  }

  #stay(): void {
    const isQuiet = this.#registry.size === 0 && Date.now() - this.#toldAt > COUNTS_MS;
    if (this.#timer !== null || isQuiet) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#registry.sweep(Date.now());
      this.#stay();
    }, LEASE_MS);
  }
}

function insist(what: string, problem: string | undefined): void {
  if (problem !== undefined) throw new TypeError(`cannot ${what}: ${problem}`);
}
