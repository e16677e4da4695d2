import { DurableObject } from "cloudflare:workers";
import type { ClientState } from "./client-state.ts";
import { NEW_CLIENT, lostClient, packClient, unpackClient } from "./client-state.ts";
import { NO_MEMORY, lease, type LeaseMemory } from "./lease-ledger.ts";
import { leaseProblem, type LeaseMessage, type LeaseReply } from "./lease-messages.ts";
import { report } from "./client-report.ts";
import { forgettableAt, refund, take } from "./ledger.ts";
import type { ClientReport, RefundMessage, RefundReply, TakeMessage, TakeReply } from "./messages.ts";
import { refundProblem, takeProblem } from "./messages.ts";
import { decidePermits, reportPermits, type PermitReport } from "./permit-ledger.ts";
import { permitProblem, type PermitMessage, type PermitMessageReply } from "./permit-messages.ts";
import {
  NO_PERMITS,
  lostPermitState,
  packPermits,
  permitsForgettableAt,
  unpackPermits,
  type PermitState,
} from "./permit-state.ts";
import { openRows, type Row, type Rows, type Table } from "./rows.ts";

/** A sweep costs a request and a written row: not more often than this for a busy object ... */
const MIN_SWEEP_GAP_MS = 60_000;
/** ... and at least this often where one client's quota of a month would keep everyone else's rows. */
const MAX_SWEEP_GAP_MS = 3_600_000;

/** What goes with a client's row in memory only. */
interface ClientMemory {
  /** A refusal writes nothing. */
  lastDecision: ClientReport["lastDecision"];
  /** Losing it costs credit and repeats the sizing of leases. */
  lease: LeaseMemory;
}

type ClientRow = Row<ClientState, ClientMemory>;

const CLIENTS: Table<ClientState, ClientMemory> = {
  name: "clients",
  pack: packClient,
  unpack: unpackClient,
  lost: lostClient,
  forgettableAt,
  newMemory: () => ({ lastDecision: null, lease: NO_MEMORY }),
};

const PERMITS: Table<PermitState, null> = {
  name: "permits",
  pack: packPermits,
  unpack: unpackPermits,
  lost: lostPermitState,
  forgettableAt: permitsForgettableAt,
  newMemory: () => null,
};

/**
 * Owns the token buckets of its clients: one client, or the rows of one pool (`objects/address.ts` decides).
 *
 * Every decision that spends is written before the reply, and the output gate holds the reply until the write is
 * durable; between the read and the write there is no `await`, so nothing comes between them. Memory only saves
 * reads: an instance that starts knows nothing, and one that was superseded cannot write, so its reply never leaves.
 *
 * Takes that arrive while a commit is under way wait for it and then commit together (group commit, as databases do it):
 * with 20 at once, 100 us of CPU each instead of 255, most of which is the commit. One that comes alone waits for nothing.
 *
 * A row that cannot be read is logged and replaced by one with empty buckets: its client waits for the refill, and
 * nobody gets a token twice. `reset` gives the tokens back.
 */
export class RateLimiter extends DurableObject {
  readonly #clients: Rows<ClientState, ClientMemory>;
  readonly #permits: Rows<PermitState, null>;
  /** Every table of the object: one alarm sweeps them all. */
  readonly #tables: readonly Pick<Rows<unknown, unknown>, "sweep" | "isEmpty" | "wasDropped">[];
  #hasAlarm = false;
  /** What the takes wait for that will commit together next. */
  #turn: Promise<void> | undefined;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const onStored = this.#onStored.bind(this);
    this.#clients = openRows(ctx.storage, CLIENTS, onStored);
    this.#permits = openRows(ctx.storage, PERMITS, onStored);
    this.#tables = [this.#clients, this.#permits];
    void ctx.blockConcurrencyWhile(async () => {
      this.#hasAlarm = (await ctx.storage.getAlarm()) !== null;
    });
  }

  /** Takes tokens under every limit of the message or under none. Throws a TypeError on a malformed message. */
  async take(message: TakeMessage): Promise<TakeReply> {
    const problem = takeProblem(message);
    if (problem !== undefined) throw new TypeError(`cannot take: ${problem}`);
    // What writes nothing waits for nobody: those who wait only take tokens, so a refusal would be one after them too.
    if (this.#writes(message)) await (this.#turn ??= this.#nextTurn());
    const now = Date.now();
    const row = this.#clients.load(message.client, now) ?? newRow();
    const { state, reply } = take(row.state, message, now);
    if (state !== row.state) this.#clients.store(message.client, row, state, now);
    row.memory.lastDecision = { at: now, allowed: reply.allowed };
    return reply;
  }

  /**
   * Answers an isolate that asks for, renews or returns a lease (docs/design/leases.md): decides about the request that
   * waits, and grants tokens that the isolate may spend without asking. Throws a TypeError on a malformed message.
   */
  lease(message: LeaseMessage): LeaseReply {
    const problem = leaseProblem(message);
    if (problem !== undefined) throw new TypeError(`cannot lease: ${problem}`);
    const now = Date.now();
    const row = this.#clients.load(message.client, now) ?? newRow();
    const { state, memory, reply } = lease(row.state, row.memory.lease, message, now);
    if (state !== row.state) this.#clients.store(message.client, row, state, now);
    // Only now: had the write thrown, the same message sent again would be told of a lease that storage lacks.
    row.memory.lease = memory;
    row.memory.lastDecision = { at: now, allowed: reply.allowed };
    return reply;
  }

  /**
   * Answers an isolate that asks for, renews or gives back permits for operations in flight (docs/design/permits.md).
   * Throws a TypeError on a malformed message.
   */
  async permits(message: PermitMessage): Promise<PermitMessageReply> {
    const problem = permitProblem(message);
    if (problem !== undefined) throw new TypeError(`cannot grant permits: ${problem}`);
    if (this.#grants(message)) await (this.#turn ??= this.#nextTurn());
    const now = Date.now();
    const row = this.#permits.load(message.client, now) ?? { state: NO_PERMITS, memory: null };
    const { state, reply } = decidePermits(row.state, message, now);
    if (state !== row.state) this.#permits.store(message.client, row, state, now);
    return reply;
  }

  /** A client's operations in flight, by policy. */
  inspectPermits(client: string): readonly PermitReport[] {
    const now = Date.now();
    const row = this.#permits.load(client, now);
    return row === undefined ? [] : reportPermits(row.state, now);
  }

  /** Gives tokens back that were taken and not spent. Throws a TypeError on a malformed message. */
  refund(message: RefundMessage): RefundReply {
    const problem = refundProblem(message);
    if (problem !== undefined) throw new TypeError(`cannot refund: ${problem}`);
    const now = Date.now();
    const row = this.#clients.load(message.client, now);
    if (row === undefined) return { v: 1, refunded: false };
    const { state, reply } = refund(row.state, message, now);
    if (state !== row.state) this.#clients.store(message.client, row, state, now);
    return reply;
  }

  /** A client's live counters; null when nothing is recorded of it, which is to say that its buckets are full. */
  inspect(client: string): ClientReport | null {
    const now = Date.now();
    const row = this.#clients.load(client, now);
    return row === undefined ? null : report(row.state, client, row.memory.lastDecision, now);
  }

  /**
   * Forgets a client, which fills its buckets and frees its permits, whatever is in flight. Says whether there was
   * anything to forget.
   */
  reset(client: string): { readonly v: 1; readonly existed: boolean } {
    const hadPermits = this.#permits.delete(client);
    return { v: 1, existed: this.#clients.delete(client) || hadPermits };
  }

  /** Answers when the object can be reached and its storage read; for readiness checks. */
  ping(): { readonly v: 1 } {
    this.ctx.storage.sql.exec("SELECT 1 FROM sqlite_master LIMIT 1").toArray();
    return { v: 1 };
  }

  /** Drops the rows that have nothing left to remember, and with the last one all storage. */
  override async alarm(): Promise<void> {
    try {
      let latest = 0;
      for (const table of this.#tables) latest = Math.max(latest, await table.sweep());
      if (!this.#tables.every((table) => table.isEmpty())) {
        await this.ctx.storage.setAlarm(sweepTime(latest, Date.now()));
        return;
      }
    } catch (error) {
      // The runtime repeats a failed alarm a few times only; after that the next write has to set one.
      this.#hasAlarm = false;
      throw error;
    }
    for (const table of this.#tables) table.wasDropped();
    this.#hasAlarm = false;
    await this.ctx.storage.deleteAll();
  }

  #writes(message: TakeMessage): boolean {
    const now = Date.now();
    const { state } = this.#clients.load(message.client, now) ?? newRow();
    return take(state, message, now).state !== state;
  }

  #grants(message: PermitMessage): boolean {
    const now = Date.now();
    const { state } = this.#permits.load(message.client, now) ?? { state: NO_PERMITS };
    return decidePermits(state, message, now).state !== state;
  }

  async #nextTurn(): Promise<void> {
    try {
      await this.ctx.storage.sync();
    } finally {
      this.#turn = undefined;
    }
  }

  #onStored(forgettable: number, now: number): void {
    if (this.#hasAlarm) return;
    this.#hasAlarm = true;
    // Not awaited: it commits together with the row, and the output gate waits for both.
    void this.ctx.storage.setAlarm(sweepTime(forgettable, now));
  }
}

function newRow(): ClientRow {
  return { state: NEW_CLIENT, memory: CLIENTS.newMemory() };
}

function sweepTime(forgettable: number, now: number): number {
  return Math.min(Math.max(forgettable, now + MIN_SWEEP_GAP_MS), now + MAX_SWEEP_GAP_MS);
}
