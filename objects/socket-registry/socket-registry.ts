import { DurableObject } from "cloudflare:workers";
import { relayAt } from "../web-socket-relay/relay-stub.ts";
import { giveOrder, partOf } from "./give-order.ts";
import { openDrainOrders, type DrainOrders } from "./drain-orders.ts";
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
 * One shard of the list of live WebSocket sessions, for operators. It stores none: no session outlives the object that
 * holds it for long, and those objects tell of theirs again and again. What is stored is which routes take no new ones.
 */
export class SocketRegistry extends DurableObject<Env> {
  readonly #registry = createRegistry(undefined, Date.now());
  readonly #drains: DrainOrders;
  #toldAt = 0;
  /** While anybody is listed it keeps the object in memory, which would forget all of them else; and while an order may run out. */
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#drains = openDrainOrders(ctx.storage);
    this.#tidy();
  }

  /** Takes in what a relay object tells of its sessions. Throws a TypeError on a malformed message. */
  report(message: ReportMessage): ReportReply {
    insist("take the report", reportProblem(message));
    this.#toldAt = Date.now();
    this.#registry.report(message, this.#toldAt);
    this.#stay();
    const drained = this.#drains.routes;
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

  /** What was counted here since this object began, and which routes take no new sessions. */
  summary(): SessionSummary {
    const now = Date.now();
    this.#drains.sweep(now);
    const drained = this.#drains.routes;
    return { ...this.#registry.summary(now), ...(drained !== undefined && { drained }) };
  }

  /** Gives an order to the sessions that match, or to as many as one invocation can. Throws a TypeError on a malformed message. */
  async order(message: OrderMessage): Promise<OrderReply> {
    insist("give the order", orderProblem(message));
    const now = Date.now();
    const { filter, order: what, rest } = message;
    const refuseNewMs = what.kind === "close" ? what.refuseNewMs : undefined;
    if (rest === undefined && refuseNewMs !== undefined && filter.route !== null) {
      this.#drains.give(filter.route, now, refuseNewMs);
      this.#stay();
    }
    // Who takes that back wants nobody to leave.
    const part = partOf(refuseNewMs === 0 ? [] : this.#registry.matching(filter, now), rest, now);
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error("late")), RELAYS_MS);
    try {
      return await giveOrder(part, what, (object) => relayAt(this.env, object), late);
    } finally {
      clearTimeout(timer);
    }
  }

  #tidy(): void {
    const now = Date.now();
    this.#registry.sweep(now);
    this.#drains.sweep(now);
    this.#stay();
  }

  #stay(): void {
    const isQuiet = this.#registry.size === 0 && Date.now() - this.#toldAt > COUNTS_MS;
    if (this.#timer !== null || (isQuiet && this.#drains.routes === undefined)) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#tidy();
    }, LEASE_MS);
  }
}

function insist(what: string, problem: string | undefined): void {
  if (problem !== undefined) throw new TypeError(`cannot ${what}: ${problem}`);
}
