import { DurableObject } from "cloudflare:workers";
import type { Lru } from "../lru.ts";
import { createLru } from "../lru.ts";
import type { ClientState } from "./client-state.ts";
import { NEW_CLIENT, lostClient, packClient, unpackClient } from "./client-state.ts";
import { NO_MEMORY, lease, type LeaseMemory } from "./lease-ledger.ts";
import { leaseProblem, type LeaseMessage, type LeaseReply } from "./lease-messages.ts";
import { forgettableAt, refund, report, take } from "./ledger.ts";
import type { ClientReport, RefundMessage, RefundReply, TakeMessage, TakeReply } from "./messages.ts";
import { refundProblem, takeProblem } from "./messages.ts";

/**
 * Decoded rows kept in memory, to spare a read and a parse for hot clients. Small, because a runtime may hold all 256
 * objects of a pool in one isolate of 128 MB.
 */
const MAX_ROWS_IN_MEMORY = 256;
/** Rows looked at in one go by the sweep; requests get their turn between two goes. */
const SWEEP_BATCH = 500;
/** A sweep costs a request and a written row: not more often than this for a busy object ... */
const MIN_SWEEP_GAP_MS = 60_000;
/** ... and at least this often where one client's quota of a month would keep everyone else's rows. */
const MAX_SWEEP_GAP_MS = 3_600_000;

// Constant texts: the runtime keeps a prepared statement for each text it has seen.
const FIND_TABLE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'clients'";
const CREATE_TABLE = "CREATE TABLE clients (client TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT, WITHOUT ROWID";
const READ = "SELECT state FROM clients WHERE client = ?";
const WRITE = "INSERT INTO clients VALUES (?, ?) ON CONFLICT (client) DO UPDATE SET state = excluded.state";
const DELETE = "DELETE FROM clients WHERE client = ?";
const FIND_ANY = "SELECT 1 FROM clients LIMIT 1";
const READ_AFTER = `SELECT client, state FROM clients WHERE client > ? ORDER BY client LIMIT ${SWEEP_BATCH}`;

interface Row {
  state: ClientState;
  /** In memory only: a refusal writes nothing. */
  lastDecision: ClientReport["lastDecision"];
  /** In memory only: losing it costs credit and repeats the sizing of leases. */
  memory: LeaseMemory;
}

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
  readonly #rows: Lru<string, Row> = createLru(MAX_ROWS_IN_MEMORY);
  #hasTable: boolean;
  #hasAlarm = false;
  /** What the takes wait for that will commit together next. */
  #turn: Promise<void> | undefined;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    // The table is made by the first write: an object that was only asked about a client leaves no storage behind.
    this.#hasTable = ctx.storage.sql.exec(FIND_TABLE).toArray().length > 0;
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
    const row = this.#load(message.client, now) ?? newRow();
    const { state, reply } = take(row.state, message, now);
    if (state !== row.state) this.#store(message.client, row, state, now);
    row.lastDecision = { at: now, allowed: reply.allowed };
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
    const row = this.#load(message.client, now) ?? newRow();
    const { state, memory, reply } = lease(row.state, row.memory, message, now);
    if (state !== row.state) this.#store(message.client, row, state, now);
    // Only now: had the write thrown, the same message sent again would be told of a lease that storage lacks.
    row.memory = memory;
    row.lastDecision = { at: now, allowed: reply.allowed };
    return reply;
  }

  /** Gives tokens back that were taken and not spent. Throws a TypeError on a malformed message. */
  refund(message: RefundMessage): RefundReply {
    const problem = refundProblem(message);
    if (problem !== undefined) throw new TypeError(`cannot refund: ${problem}`);
    const now = Date.now();
    const row = this.#load(message.client, now);
    if (row === undefined) return { v: 1, refunded: false };
    const { state, reply } = refund(row.state, message, now);
    if (state !== row.state) this.#store(message.client, row, state, now);
    return reply;
  }

  /** A client's live counters; null when nothing is recorded of it, which is to say that its buckets are full. */
  inspect(client: string): ClientReport | null {
    const now = Date.now();
    const row = this.#load(client, now);
    return row === undefined ? null : report(row.state, client, row.lastDecision, now);
  }

  /** Forgets a client, which fills its buckets. Says whether there was anything to forget. */
  reset(client: string): { readonly v: 1; readonly existed: boolean } {
    this.#rows.delete(client);
    if (!this.#hasTable) return { v: 1, existed: false };
    return { v: 1, existed: this.ctx.storage.sql.exec(DELETE, client).rowsWritten > 0 };
  }

  /** Answers when the object can be reached and its storage read; for readiness checks. */
  ping(): { readonly v: 1 } {
    this.ctx.storage.sql.exec(FIND_TABLE).toArray();
    return { v: 1 };
  }

  /** Drops the rows that have nothing left to remember, and with the last one all storage. */
  override async alarm(): Promise<void> {
    try {
      const latest = await this.#sweep();
      if (this.#hasTable && this.ctx.storage.sql.exec(FIND_ANY).toArray().length > 0) {
        await this.ctx.storage.setAlarm(sweepTime(latest, Date.now()));
        return;
      }
    } catch (error) {
      // The runtime repeats a failed alarm a few times only; after that the next write has to set one.
      this.#hasAlarm = false;
      throw error;
    }
    this.#hasTable = false;
    this.#hasAlarm = false;
    await this.ctx.storage.deleteAll();
  }

  /** One pass over all rows; when the last of those that stay may go, in ms since the epoch. */
  async #sweep(): Promise<number> {
    let latest = 0;
    let after = "";
    while (this.#hasTable) {
      const now = Date.now();
      const batch = this.ctx.storage.sql.exec<{ client: string; state: string }>(READ_AFTER, after).toArray();
      for (const { client, state } of batch) {
        const at = forgettableAt(this.#decode(client, state, now));
        after = client;
        if (at > now) latest = Math.max(latest, at);
        if (at <= now) this.reset(client);
      }
      if (batch.length < SWEEP_BATCH) break;
      await scheduler.wait(0);
    }
    return latest;
  }

  #writes(message: TakeMessage): boolean {
    const now = Date.now();
    const { state } = this.#load(message.client, now) ?? newRow();
    return take(state, message, now).state !== state;
  }

  async #nextTurn(): Promise<void> {
    try {
      await this.ctx.storage.sync();
    } finally {
      this.#turn = undefined;
    }
  }

  #load(client: string, now: number): Row | undefined {
    const held = this.#rows.get(client);
    if (held !== undefined || !this.#hasTable) return held;
    const [stored] = this.ctx.storage.sql.exec<{ state: string }>(READ, client).toArray();
    if (stored === undefined) return undefined;
    const row = newRow(this.#decode(client, stored.state, now));
    this.#rows.set(client, row);
    return row;
  }

  #decode(client: string, text: string, now: number): ClientState {
    const state = unpackClient(text);
    if (state !== undefined) return state;
    console.error(JSON.stringify({ level: "error", event: "rate-limiter-record-lost", client }));
    const lost = lostClient(now);
    this.ctx.storage.sql.exec(WRITE, client, packClient(lost));
    return lost;
  }

  #store(client: string, row: Row, state: ClientState, now: number): void {
    if (!this.#hasTable) this.ctx.storage.sql.exec(CREATE_TABLE);
    this.#hasTable = true;
    this.ctx.storage.sql.exec(WRITE, client, packClient(state));
    // Only now: had the write thrown, memory would know of a decision that storage does not.
    row.state = state;
    this.#rows.set(client, row);
    if (this.#hasAlarm) return;
    this.#hasAlarm = true;
    // Not awaited: it commits together with the row, and the output gate waits for both.
    void this.ctx.storage.setAlarm(sweepTime(forgettableAt(state), now));
  }
}

function newRow(state: ClientState = NEW_CLIENT): Row {
  return { state, lastDecision: null, memory: NO_MEMORY };
}

function sweepTime(forgettable: number, now: number): number {
  return Math.min(Math.max(forgettable, now + MIN_SWEEP_GAP_MS), now + MAX_SWEEP_GAP_MS);
}
