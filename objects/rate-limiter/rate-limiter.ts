import { isCount } from "../numbers.ts";
import { DurableObject } from "cloudflare:workers";
import { addresses } from "../address.ts";
import { banOrderProblem, reportProblem } from "./bans/abuse-messages.ts";
import type { BanOrder, BanView, ReportMessage, ReportReply } from "./bans/abuse-messages.ts";
import { ABUSE, banView, openBanBook, type BanBook } from "./bans/ban-book.ts";
import { openBanIndex, type BanIndex } from "./bans/ban-index.ts";
import { banNewsProblem, banQueryProblem } from "./bans/ban-index-messages.ts";
import type { BanList, BanNews, BanNewsMessage, BanQuery } from "./bans/ban-index-messages.ts";
import { NEWS, openNewsOutbox, type NewsOutbox } from "./bans/ban-news.ts";
import type { Ban } from "./bans/bans.ts";
import type { Granted } from "./by-order.ts";
import { openCounters, type ClientCounters } from "./client-counters.ts";
import type { ClientView } from "./client-view.ts";
import { groupCommit } from "./group-commit.ts";
import { keepHouse, type Housekeeping } from "./housekeeping.ts";
import { leaseProblem, type LeaseMessage, type LeaseReply } from "./leases/lease-messages.ts";
import { wanted } from "../message-checks.ts";
import { ONE_TRY } from "../one-try.ts";
import type { BanNotice, OwnerNotices, RefundMessage, RefundReply, TakeMessage, TakeReply } from "./messages.ts";
import { refundProblem, takeProblem } from "./messages.ts";
import { openPermitBook, type PermitBook } from "./permits/permit-book.ts";
import { permitProblem, type PermitMessage, type PermitMessageReply } from "./permits/permit-messages.ts";
import { leaseWhileBanned, takeWhileBanned } from "./refusals.ts";
import { openRows } from "./rows.ts";
import { settleProblem, type SettleMessage, type SettleReply } from "./settle-messages.ts";
import type { ShardCountRules } from "./shards/shard-count.ts";
import { openShards, type Shards } from "./shards/shard-host.ts";
import { CLIENTS, PERMITS } from "./tables.ts";

/**
 * Owns what its clients may use: one client, or the rows of one pool (`objects/address.ts` decides).
 *
 * Every decision that spends is written before the reply, and the output gate holds the reply until the write is
 * durable; between the read and the write there is no `await`, so nothing comes between them. Memory only saves
 * reads: an instance that starts knows nothing, and one that was superseded cannot write, so its reply never leaves.
 *
 * A row that cannot be read is logged and replaced by one with empty buckets: its client waits for the refill, and
 * nobody gets a token twice. `reset` gives the tokens back.
 */
export class RateLimiter extends DurableObject {
  readonly #counters: ClientCounters;
  readonly #permits: PermitBook;
  readonly #bans: BanBook;
  readonly #banIndex: BanIndex;
  readonly #banNews: NewsOutbox;
  readonly #house: Housekeeping;
  readonly #shards: Shards;

  /** @param shardCount when a client is too hot for one object; the runtime passes none, so what ships holds. */
  constructor(ctx: DurableObjectState, env: Env, shardCount?: ShardCountRules) {
    super(ctx, env);
    const { storage } = ctx;
    const onStored = (forgettableAt: number, now: number) => this.#house.onStored(forgettableAt, now);
    const clients = openRows(storage, CLIENTS, onStored);
    const permits = openRows(storage, PERMITS, onStored);
    const abuse = openRows(storage, ABUSE, onStored);
    const news = openRows(storage, NEWS, onStored);
    const decideOn = groupCommit(storage);
    this.#shards = openShards(env.RATE_LIMITER, shardCount);
    this.#counters = openCounters(clients, decideOn, this.#shards);
    this.#permits = openPermitBook(permits, decideOn);
    this.#bans = openBanBook(abuse, this.#spread.bind(this));
    this.#banIndex = openBanIndex(storage, onStored);
    this.#banNews = openNewsOutbox(news, (items) => tellIndex(env, items));
    this.#house = keepHouse(storage, [clients, permits, abuse, news, this.#banIndex], this.#banNews);
    void ctx.blockConcurrencyWhile(() => this.#house.start());
  }

  /** Takes tokens under every limit of the message or under none. Throws a TypeError on a malformed message. */
  async take(message: TakeMessage): Promise<TakeReply> {
    insist("take", takeProblem(message));
    const ban = this.#bans.noticeOf(message.client, Date.now());
    if (ban !== undefined && message.evenIfBanned !== true) return takeWhileBanned(message, ban);
    return withBan(await this.#counters.take(message), ban);
  }

  /**
   * Answers an isolate that asks for, renews or returns a lease (docs/design/leases.md): decides about the request that
   * waits, and grants tokens that the isolate may spend without asking. Throws a TypeError on a malformed message.
   */
  async lease(message: LeaseMessage): Promise<LeaseReply> {
    insist("lease", leaseProblem(message));
    if (message.shardOf !== undefined) return this.#shards.lease(message, message.shardOf.root);
    const ban = this.#bans.noticeOf(message.client, Date.now());
    if (ban !== undefined && message.evenIfBanned !== true) return leaseWhileBanned(message, ban);
    return withBan(await this.#counters.lease(message), ban);
  }

  /**
   * Answers an isolate that asks for, renews or gives back permits for operations in flight (docs/design/permits.md).
   * Throws a TypeError on a malformed message.
   */
  async permits(message: PermitMessage): Promise<PermitMessageReply> {
    insist("grant permits", permitProblem(message));
    // Decided though the client is banned: a permit is given back for nothing, and what is in flight has to be counted.
    const reply = await this.#permits.decide(message);
    return withBan(reply, this.#bans.noticeOf(message.client, Date.now()));
  }

  /** Gives tokens back that were taken and not spent. Throws a TypeError on a malformed message. */
  async refund(message: RefundMessage): Promise<RefundReply> {
    insist("refund", refundProblem(message));
    return this.#counters.refund(message);
  }

  /** Charges what a request cost for which a take reserved. Throws a TypeError on a malformed message. */
  async settle(message: SettleMessage): Promise<SettleReply> {
    insist("settle", settleProblem(message));
    return this.#counters.settle(message);
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
    const counters = this.#counters.view(client, now);
    const permits = this.#permits.view(client, now);
    const ban = this.#bans.banOf(client, now);
    if (counters === undefined && permits === undefined && ban === undefined) return null;
    const { policies, lastDecisions } = counters ?? NOTHING_COUNTED;
    const view = { v: 1, client, policies, lastDecisions, permits: permits ?? [] } as const;
    return { ...view, ban: ban === undefined ? null : banView(ban, now) };
  }

  /**
   * Gives a client all its tokens and frees its permits, whatever is in flight; what isolates hold on lease goes on
   * counting. A ban stays. Says whether there was anything to give.
   */
  reset(client: string): { readonly v: 1; readonly existed: boolean } {
    const hadPermits = this.#permits.free(client);
    return { v: 1, existed: this.#counters.reset(client, Date.now()) || hadPermits };
  }

  /**
   * Adds tokens, in units, under one limit of a client, up to its ceiling. Null when nothing is used under it. Throws a
   * TypeError on a malformed order.
   */
  grant(client: string, order: { readonly policy: string; readonly tokens: number }): Granted | null {
    insist("grant", isCount(order.tokens) ? undefined : wanted("tokens", order.tokens, "an integer >= 0"));
    return this.#counters.grant(client, order, Date.now());
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

  /** Has the index told of a ban's beginning or end, off the way of whoever caused it. */
  #spread(client: string, { since, until, reason }: Ban, kind: "began" | "ended", now: number): void {
    this.#banNews.add({ client, at: now, until, ban: kind === "began" ? { since, reason } : null }, now);
    this.#house.wakeAt(this.#banNews.nextAt(now) ?? now);
    this.ctx.waitUntil(this.#banNews.run());
  }
}

const NOTHING_COUNTED = { policies: [], lastDecisions: [] };

/** Brings news of bans to the index, which is an object of this class too. */
async function tellIndex(env: Env, items: readonly BanNews[]): Promise<void> {
  if (env.NAMING_SECRET === undefined) throw new Error("NAMING_SECRET is not set");
  const { name } = await addresses(env.NAMING_SECRET).banIndex();
  const index = env.RATE_LIMITER.get(env.RATE_LIMITER.idFromName(name), ONE_TRY);
  await index.noteBans({ v: 1, items });
}

function withBan<Reply extends OwnerNotices>(reply: Reply, ban: BanNotice | undefined): Reply {
  return ban === undefined ? reply : { ...reply, ban };
}

function insist(what: string, problem: string | undefined): void {
  if (problem !== undefined) throw new TypeError(`cannot ${what}: ${problem}`);
}
