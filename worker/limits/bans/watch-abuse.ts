import type { ObjectAddress } from "../../../objects/address.ts";
import type { BanNotice } from "../../../objects/rate-limiter/messages.ts";
import type { RateLimit } from "../../../schemas/index.ts";
import type { Exchange } from "../../exchange.ts";
import { banTerms, type BanTerms } from "./attempt-counter.ts";
import { noteAttempt, type Watched } from "./attempts.ts";
import { clientAddress } from "../client-address.ts";
import { compileCosts } from "../cost-of-request.ts";
import type { Decide, LimitDecision } from "../decide.ts";
import { banState, confirmBan, knowsBans } from "./known-bans.ts";
import { isPardonedBy, sameIdentity } from "./pardon.ts";

/** One way in which the limits of a route tell clients apart. */
interface Identity {
  readonly limits: readonly RateLimit[];
  /** Every limit is in shadow mode, so a ban has no consequences either. */
  readonly isShadow: boolean;
  readonly deadlineMs: number;
  readonly isPardoned: (exchange: Exchange) => boolean;
  /** What is counted of its clients; undefined: no limit bans. */
  readonly watch: Watch | undefined;
}

interface Watch {
  readonly watched: Watched;
  /** The limits that ban, in the order of `watched.terms`. */
  readonly limits: readonly RateLimit[];
  readonly costsOf: (exchange: Exchange) => readonly number[];
}

/**
 * Puts bans around a decision: a request of a banned client is decided by that alone, any other is noted as an attempt
 * once it is decided.
 *
 * Costs nothing while this isolate knows of no ban and no limit has one.
 */
export function watchAbuse(limits: readonly RateLimit[], decide: Decide): Decide {
  const identities = identitiesOf(limits);
  const watching = identities.filter(({ watch }) => watch !== undefined);

  function after(exchange: Exchange, decision: LimitDecision): LimitDecision {
    for (const identity of watching) noteFor(identity, exchange, decision);
    return decision;
  }
  /** A ban that the owner told while it was asked ends the request, whatever was decided. */
  async function afterAsking(exchange: Exchange, asked: Promise<LimitDecision>): Promise<LimitDecision> {
    const decision = await asked;
    const ban = knowsBans() ? await banOf(identities, exchange) : undefined;
    return ban === undefined ? after(exchange, decision) : { ...decision, ban };
  }
  function decideNow(exchange: Exchange, startedAt: number): LimitDecision | Promise<LimitDecision> {
    const decision = decide(exchange, startedAt);
    return decision instanceof Promise ? afterAsking(exchange, decision) : after(exchange, decision);
  }

  return (exchange, startedAt) => {
    if (!knowsBans()) return decideNow(exchange, startedAt);
    const ban = banOf(identities, exchange);
    if (ban instanceof Promise) {
      return ban.then((found) => (found === undefined ? decideNow(exchange, startedAt) : refusedFor(found)));
    }
    return ban === undefined ? decideNow(exchange, startedAt) : refusedFor(ban);
  };
}

function refusedFor(ban: BanNotice): LimitDecision {
  return { verdicts: [], ban };
}

function identitiesOf(limits: readonly RateLimit[]): readonly Identity[] {
  const identities = new Map<string, RateLimit[]>();
  for (const limit of limits) {
    const key = sameIdentity(limit);
    identities.set(key, [...(identities.get(key) ?? []), limit]);
  }
  return [...identities.entries()].map(([key, members]) => ({
    limits: members,
    isShadow: members.every(({ shadow }) => shadow),
    deadlineMs: Math.min(...members.map(({ deadlineMs }) => deadlineMs)),
    isPardoned: isPardonedBy(members),
    watch: watchOf(key, members),
  }));
}

function watchOf(key: string, members: readonly RateLimit[]): Watch | undefined {
  const terms: BanTerms[] = [];
  const limits: RateLimit[] = [];
  for (const limit of members) {
    const found = banTerms(limit);
    if (found === undefined) continue;
    terms.push(found);
    limits.push(limit);
  }
  if (limits.length === 0) return undefined;
  const watched = { terms, signature: JSON.stringify([key, terms]) };
  return { watched, limits, costsOf: compileCosts(limits) };
}

/** The ban that stops a request: known by heart, or told now by an owner whose last word is too old. */
function banOf(
  identities: readonly Identity[],
  exchange: Exchange,
): BanNotice | undefined | Promise<BanNotice | undefined> {
  for (const identity of identities) {
    if (identity.isShadow || identity.isPardoned(exchange)) continue;
    const address = addressOf(identity, exchange);
    if (address instanceof Promise) return askEach(identities, exchange);
    const state = banState(address, exchange);
    if (state.kind === "banned") return state.ban;
    if (state.kind === "unsure") return askEach(identities, exchange);
  }
  return undefined;
}

async function askEach(identities: readonly Identity[], exchange: Exchange): Promise<BanNotice | undefined> {
  for (const identity of identities) {
    if (identity.isShadow || identity.isPardoned(exchange)) continue;
    const address = await addressOf(identity, exchange);
    const state = await confirmBan(address, exchange, identity.deadlineMs);
    // Silence is no ban: then the limits decide, each by its `onError`.
    if (state.kind === "banned") return state.ban;
  }
  return undefined;
}

function noteFor({ limits: [limit], watch, isPardoned }: Identity, exchange: Exchange, decision: LimitDecision): void {
  if (limit === undefined || watch === undefined || isPardoned(exchange)) return;
  const isRefused = decision.verdicts.some((verdict) => !verdict.allowed && !verdict.limit.shadow);
  const costs = countedCosts(watch, exchange, decision, isRefused);
  const attempt = { costs, isRefused, now: Date.now() };
  const address = clientAddress(exchange, limit.by, limit.clients);
  if (!(address instanceof Promise)) noteAttempt(watch.watched, address, exchange, attempt);
  else exchange.ctx.waitUntil(address.then((found) => noteAttempt(watch.watched, found, exchange, attempt)));
}

/** Where only some responses count, a request that was let through is no attempt at anything. */
function countedCosts(
  watch: Watch,
  exchange: Exchange,
  { verdicts }: LimitDecision,
  isRefused: boolean,
): readonly number[] {
  const costs = watch.costsOf(exchange);
  const countsAll = ({ countWhen, countCacheHits }: RateLimit) => countWhen === undefined && countCacheHits;
  if (watch.limits.every(countsAll)) return costs;
  return watch.limits.map((limit, index) => {
    const isRefusedByIt = isRefused && verdicts.some((verdict) => verdict.limit === limit && !verdict.allowed);
    return countsAll(limit) || isRefusedByIt ? (costs[index] ?? 0) : 0;
  });
}

function addressOf({ limits: [limit] }: Identity, exchange: Exchange): ObjectAddress | Promise<ObjectAddress> {
  return clientAddress(exchange, limit?.by ?? [], limit?.clients ?? "pooled");
}
