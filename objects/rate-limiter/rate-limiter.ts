import { DurableObject } from "cloudflare:workers";
import { addresses } from "../address.ts";
import type { Abuse } from "./abuse.ts";
import {
  banOrderProblem,
  reportProblem,
  type BanOrder,
  type BanView,
  type ReportMessage,
  type ReportReply,
} from "./abuse-messages.ts";
import { ABUSE, banNotice, banView, openBanBook, type BanBook } from "./ban-book.ts";
import { openBanIndex, type BanIndex } from "./ban-index.ts";
import {
  banNewsProblem,
  banQueryProblem,
  type BanList,
  type BanNews,
  type BanNewsMessage,
  type BanQuery,
} from "./ban-index-messages.ts";
import { NEWS, openNewsOutbox, type NewsOutbox } from "./ban-news.ts";
import type { Ban } from "./bans.ts";
import { grantByOrder, refill, type Granted } from "./by-order.ts";
import type { ClientState } from "./client-state.ts";
import { addDecision, type ClientView } from "./client-view.ts";
import { activeIsolates } from "./demand.ts";
import { keepHouse, type Housekeeping } from "./housekeeping.ts";
import { lease } from "./lease-ledger.ts";
import { leaseProblem, type LeaseMessage, type LeaseReply } from "./lease-messages.ts";
import { report } from "./client-report.ts";
import { refund, take, type Outcome } from "./ledger.ts";
import { isCount, wanted } from "./message-checks.ts";
import type { BanNotice, RefundMessage, RefundReply, TakeMessage, TakeReply } from "./messages.ts";
import { refundProblem, takeProblem } from "./messages.ts";
import { decidePermits, reportPermits } from "./permit-ledger.ts";
import { permitProblem, type PermitMessage, type PermitMessageReply } from "./permit-messages.ts";
import { NO_PERMITS, type PermitState } from "./permit-state.ts";
import { leaseWhileBanned, takeWhileBanned } from "./refusals.ts";
import { settle } from "./reservations.ts";
import type { ShardCountRules } from "./shard-count.ts";
import { openShards, type Shards } from "./shard-host.ts";
import { openRows, type Row, type Rows } from "./rows.ts";
import { settleProblem, type SettleMessage, type SettleReply } from "./settle-messages.ts";
import { CLIENTS, PERMITS, newClientRow, type ClientMemory } from "./tables.ts";

/**
 * Owns what its clients may use: one client, or the rows of one pool (`objects/address.ts` decides).
 *
 * Every decision that spends is written before the reply, and the output gate holds the reply until the write is
 * durable; between the read and the write there is no `await`, so nothing comes between them. Memory only saves
 * reads: an instance that starts knows nothing, and one that was superseded cannot write, so its reply never leaves.
 *
 * What writes and arrives while a commit is under way waits for it and then commits together, as databases do it (group
 * commit): with 20 at once, 100 us of CPU each instead of 255, most of which is the commit. Alone it waits for nothing.
 *
 * A row that cannot be read is logged and replaced by one with empty buckets: its client waits for the refill, and
 * nobody gets a token twice. `reset` gives the tokens back.
 */
export class RateLimiter extends DurableObject {
  readonly #clients: Rows<ClientState, ClientMemory>;
  readonly #permits: Rows<PermitState, null>;
  readonly #bans: BanBook;
  readonly #banIndex: BanIndex;
  readonly #banNews: NewsOutbox;
  readonly #house: Housekeeping;
  readonly #shards: Shards;
  /** What the takes wait for that will commit together next. */
  #turn: Promise<void> | undefined;

  /** @param shardCount when a client is too hot for one object; the runtime passes none, so what ships holds. */
  constructor(ctx: DurableObjectState, env: Env, shardCount?: ShardCountRules) {
    super(ctx, env);
    this.#shards = openShards(env.RATE_LIMITER, shardCount);
    const { storage } = ctx;
    const onStored = (forgettableAt: number, now: number) => this.#house.onStored(forgettableAt, now);
    const abuse: Rows<Abuse, undefined> = openRows(storage, ABUSE, onStored);
    const news: Rows<BanNews, undefined> = openRows(storage, NEWS, onStored);
    this.#clients = openRows(storage, CLIENTS, onStored);
    this.#permits = openRows(storage, PERMITS, onStored);
    this.#bans = openBanBook(abuse, this.#spread.bind(this));
    this.#banIndex = openBanIndex(storage, onStored);
    this.#banNews = openNewsOutbox(news, (items) => tellIndex(env, items));
    this.#house = keepHouse(storage, [this.#clients, this.#permits, abuse, news, this.#banIndex], this.#banNews);
    void ctx.blockConcurrencyWhile(() => this.#house.start());
  }

  /** Takes tokens under every limit of the message or under none. Throws a TypeError on a malformed message. */
  async take(message: TakeMessage): Promise<TakeReply> {
    insist("take", takeProblem(message));
    const ban = this.#banNotice(message.client);
    if (ban !== undefined && message.evenIfBanned !== true) return takeWhileBanned(message, ban);
    await this.#commitTogether(message.client, ({ state }, at) => take(state, message, at));
    const now = Date.now();
    const row = this.#clients.load(message.client, now) ?? newClientRow();
    const { state, reply } = take(row.state, message, now);
    if (state !== row.state) this.#clients.store(message.client, row, state, now);
    row.memory.decisions = addDecision(row.memory.decisions, { asked: "take", message, reply, at: now });
    const isolates = activeIsolates(row.memory.lease.peers, now);
    return { ...reply, ...(isolates > 0 && { isolates }), ...(ban && { ban }) };
  }

  /**
   * Answers an isolate that asks for, renews or returns a lease (docs/design/leases.md): decides about the request that
   * waits, and grants tokens that the isolate may spend without asking. Throws a TypeError on a malformed message.
   */
  async lease(message: LeaseMessage): Promise<LeaseReply> {
    insist("lease", leaseProblem(message));
    if (message.shardOf !== undefined) return this.#shards.lease(message, message.shardOf.root);
    const ban = this.#banNotice(message.client);
    if (ban !== undefined && message.evenIfBanned !== true) return leaseWhileBanned(message, ban);
    await this.#commitTogether(message.client, (row, at) => lease(row.state, row.memory.lease, message, at));
    const now = Date.now();
    const row = this.#clients.load(message.client, now) ?? newClientRow();
    const { state, memory, reply } = lease(row.state, row.memory.lease, message, now);
    if (state !== row.state) this.#clients.store(message.client, row, state, now);
    // Only now: had the write thrown, the same message sent again would be told of a lease that storage lacks.
    row.memory.lease = memory;
    row.memory.decisions = addDecision(row.memory.decisions, { asked: "lease", message, reply, at: now });
    const shards = this.#shards.countCalls(row.memory, message, now);
    return { ...reply, ...(ban && { ban }), ...(shards && { shards }) };
  }

  /**
   * Answers an isolate that asks for, renews or gives back permits for operations in flight (docs/design/permits.md).
   * Throws a TypeError on a malformed message.
   */
  async permits(message: PermitMessage): Promise<PermitMessageReply> {
    insist("grant permits", permitProblem(message));
    if (this.#grants(message)) await (this.#turn ??= this.#nextTurn());
    const now = Date.now();
    const row = this.#permits.load(message.client, now) ?? { state: NO_PERMITS, memory: null };
    const { state, reply } = decidePermits(row.state, message, now);
    if (state !== row.state) this.#permits.store(message.client, row, state, now);
    // Decided all the same: a permit is given back for nothing, and what is in flight has to be counted.
    const ban = this.#banNotice(message.client);
    return ban === undefined ? reply : { ...reply, ban };
  }

  /** Gives tokens back that were taken and not spent. Throws a TypeError on a malformed message. */
  async refund(message: RefundMessage): Promise<RefundReply> {
    insist("refund", refundProblem(message));
    return this.#decide(message.client, (state, at) => refund(state, message, at));
  }

  /** Charges what a request cost for which a take reserved. Throws a TypeError on a malformed message. */
  async settle(message: SettleMessage): Promise<SettleReply> {
    insist("settle", settleProblem(message));
    return this.#decide(message.client, (state, at) => settle(state, message, at));
  }

  /**
   * Counts attempts that an isolate has seen, and bans the client when they show abuse; the ban is durable before the
   * reply leaves (docs/design/bans.md). Throws a TypeError on a malformed message.
   */
  report(message: ReportMessage): ReportReply {
    insist("report", reportProblem(message));
    return this.#bans.report(message, Date.now());
  }

  /** Bans a client by an operator's order, whatever ban there was. Throws a TypeError on a malformed order. */
  ban(client: string, order: BanOrder): BanView {
    insist("ban", banOrderProblem(order));
    return this.#bans.ban(client, order, Date.now());
  }

  /** Ends a client's ban, which isolates feel within 2 s, and forgives what led to it. */
  unban(client: string): { readonly v: 1; readonly wasBanned: boolean } {
    return { v: 1, wasBanned: this.#bans.unban(client, Date.now()) };
  }

  /** Takes in what owners tell the index of bans (`Addresses.banIndex`). Throws a TypeError on a malformed message. */
  noteBans(message: BanNewsMessage): { readonly v: 1 } {
    insist("note bans", banNewsProblem(message));
    this.#banIndex.note(message.items, Date.now());
    return { v: 1 };
  }

  /** A page of the bans in force, asked of the index. Throws a TypeError on a malformed query. */
  listBans(query: BanQuery): BanList {
    insist("list bans", banQueryProblem(query));
    return this.#banIndex.list(query, Date.now());
  }

  /** What there is to know of a client; null when nothing is recorded of it, which is to say that its limits are full. */
  inspect(client: string): ClientView | null {
    const now = Date.now();
    const row = this.#clients.load(client, now);
    const permits = this.#permits.load(client, now);
    const ban = this.#bans.banOf(client, now);
    if (row === undefined && permits === undefined && ban === undefined) return null;
    const { lastDecision: _, ...counters } = report((row ?? newClientRow()).state, client, null, now);
    return {
      ...counters,
      lastDecisions: row?.memory.decisions ?? [],
      permits: permits === undefined ? [] : reportPermits(permits.state, now),
      ban: ban === undefined ? null : banView(ban, now),
    };
  }

  /**
   * Gives a client all its tokens and frees its permits, whatever is in flight; what isolates hold on lease goes on
   * counting. A ban stays. Says whether there was anything to give.
   */
  reset(client: string): { readonly v: 1; readonly existed: boolean } {
    const now = Date.now();
    const hadPermits = this.#permits.delete(client);
    const row = this.#clients.load(client, now);
    const state = row === undefined ? undefined : refill(row.state, now);
    if (row === undefined || state === undefined) return { v: 1, existed: this.#clients.delete(client) || hadPermits };
    this.#clients.store(client, row, state, now);
    return { v: 1, existed: true };
  }

  /**
   * Adds tokens, in units, under one limit of a client, up to its ceiling. Null when nothing is used under it. Throws a
   * TypeError on a malformed order.
   */
  grant(client: string, order: { readonly policy: string; readonly tokens: number }): Granted | null {
    insist("grant", isCount(order.tokens) ? undefined : wanted("tokens", order.tokens, "an integer >= 0"));
    const now = Date.now();
    const row = this.#clients.load(client, now);
    const outcome = row === undefined ? undefined : grantByOrder(row.state, order, now);
    if (row === undefined || outcome === undefined) return null;
    this.#clients.store(client, row, outcome.state, now);
    return outcome.reply;
  }

  /** Answers when the object can be reached and its storage read; for readiness checks. */
  ping(): { readonly v: 1 } {
    this.ctx.storage.sql.exec("SELECT 1 FROM sqlite_master LIMIT 1").toArray();
    return { v: 1 };
  }

  /** Tells the index of bans what it has not heard, drops what is over, and with the last row all storage. */
  override alarm(): Promise<void> {
    return this.#house.alarm();
  }

  #banNotice(client: string): BanNotice | undefined {
    const now = Date.now();
    return banNotice(this.#bans.banOf(client, now), now);
  }

  /** Has the index told of a ban's beginning or end, off the way of whoever caused it. */
  #spread(client: string, { since, until, reason }: Ban, kind: "began" | "ended", now: number): void {
    this.#banNews.add({ client, at: now, until, ban: kind === "began" ? { since, reason } : null }, now);
    this.#house.wakeAt(this.#banNews.nextAt(now) ?? now);
    this.ctx.waitUntil(this.#banNews.run());
  }

  async #decide<Reply>(client: string, decide: (state: ClientState, now: number) => Outcome<Reply>): Promise<Reply> {
    await this.#commitTogether(client, ({ state }, at) => decide(state, at));
    const now = Date.now();
    const row = this.#clients.load(client, now) ?? newClientRow();
    const { state, reply } = decide(row.state, now);
    if (state !== row.state) this.#clients.store(client, row, state, now);
    return reply;
  }

  /**
   * Has a decision that will write wait for the commit that is under way. One that writes nothing waits for nobody:
   * those who wait mostly take tokens, so a refusal would be one after them too.
   */
  async #commitTogether(client: string, decide: (row: ClientRow, now: number) => { readonly state: ClientState }) {
    const now = Date.now();
    const row = this.#clients.load(client, now) ?? newClientRow();
    if (decide(row, now).state !== row.state) await (this.#turn ??= this.#nextTurn());
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
}

type ClientRow = Row<ClientState, ClientMemory>;

/** Brings news of bans to the index, which is an object of this class too. */
async function tellIndex(env: Env, items: readonly BanNews[]): Promise<void> {
  if (env.NAMING_SECRET === undefined) throw new Error("NAMING_SECRET is not set");
  const { name } = await addresses(env.NAMING_SECRET).banIndex();
  await env.RATE_LIMITER.getByName(name).noteBans({ v: 1, items });
}

function insist(what: string, problem: string | undefined): void {
  if (problem !== undefined) throw new TypeError(`cannot ${what}: ${problem}`);
}
