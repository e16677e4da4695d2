import type { ObjectAddress } from "../../../objects/address.ts";
import type { TakeItem, TakeMessage, TakeReply, TakeReplyItem } from "../../../objects/rate-limiter/messages.ts";
import type { RateLimit } from "../../../schemas/index.ts";
import type { Exchange } from "../../exchange.ts";
import { stayToTheEnd } from "../../stay-to-the-end.ts";
import { clientAddress } from "../client-address.ts";
import { compileCosts } from "../cost-of-request.ts";
import { labelOf, type Verdict } from "../headers.ts";
import { learnBan } from "../bans/known-bans.ts";
import { forgetDenial, knownDenial, learnDenial, type Denied } from "./known-denials.ts";
import { shortName } from "../leased/lease-table.ts";
import { limitItem, type LimitGroup } from "../limit-group.ts";
import { noteIsolates } from "../local-buckets.ts";
import { callOwner, ownerOf, refundOwner } from "../owner.ts";
import { READY, type Claim, type Outcome, type Part, type Prepared } from "../part.ts";
import { releaseReservation, reserveMsOf, settleWhenKnown, type Granted, type Reservation } from "./settle.ts";
import { isSettled } from "./settled-cost.ts";
import { passShield } from "../shield.ts";
import { withoutOwner } from "../without-owner.ts";

/** One request at its client's owner. */
interface Question {
  readonly group: LimitGroup;
  readonly address: ObjectAddress;
  readonly exchange: Exchange;
  /** In units. */
  readonly costs: readonly number[];
  readonly startedAt: number;
  /** The same, as what was refused is remembered. */
  readonly denied: Denied;
}

/** Names this isolate in refunds, so that a repeated message counts once. Made at first use: no randomness at start-up. */
let isolate: string | undefined;
let refunds = 0;

/** Limits of one identity whose owner decides about each request, but for what it has just refused. */
export function askedPart(group: LimitGroup): Part {
  const { limits, by, clients } = group;
  const costsOf = compileCosts(limits);
  const name = shortName(JSON.stringify([by, clients, limits.map(limitItem)]));

  function claimAt(address: ObjectAddress, exchange: Exchange, startedAt: number): Claim {
    const costs = costsOf(exchange);
    const denied = { key: name + address.client, limits, costs };
    return askedClaim({ group, address, exchange, costs, startedAt, denied });
  }
  return {
    kind: "asked",
    limits,
    open(exchange, startedAt) {
      const address = clientAddress(exchange, by, clients);
      if (!(address instanceof Promise)) return claimAt(address, exchange, startedAt);
      return address.then((found) => claimAt(found, exchange, startedAt));
    },
  };
}

function askedClaim(question: Question): Claim {
  const { exchange, address, group, costs, denied } = question;
  let outcome: Outcome | undefined;
  let reply: TakeReply | undefined;
  /** The owner's answer, be it too late for the request. */
  let call: Promise<TakeReply> | undefined;

  function send(): Promise<TakeReply> {
    call = ownerOf(exchange.env, address).take(messageOf(question));
    return call;
  }

  async function ask(): Promise<Prepared> {
    const shield = passShield(exchange.env, address.client, exchange.client.network);
    if (shield !== undefined) await shield;
    let said: Outcome;
    try {
      const heard = await take(question, send);
      said = { verdicts: verdictsOf(question, heard.items) };
      learnDenial(denied, heard, Date.now());
      reply = heard;
    } catch (error) {
      said = withoutOwner(group.limits, address.client, costs, error);
    }
    if (said.verdicts.some(({ allowed, limit }) => !allowed && !limit.shadow)) return { kind: "refused", ...said };
    outcome = said;
    return READY;
  }

  const claim: Claim = {
    refusal(now) {
      const items = knownDenial(denied, now);
      return items === undefined ? undefined : { kind: "refused", verdicts: verdictsOf(question, items) };
    },
    prepare: () => (outcome === undefined ? ask() : READY),
    isReady: () => outcome !== undefined,
    commit: () => outcome ?? { verdicts: [] },
    release() {
      if (reply !== undefined) giveBack(question, reply);
      return outcome?.verdicts ?? [];
    },
  };
  return group.limits.some(isSettled) ? settledClaim(claim, question, () => call) : claim;
}

/** A claim whose owner hears afterwards what the request has cost, also when its client leaves in the middle. */
function settledClaim(claim: Claim, question: Question, callOf: () => Promise<TakeReply> | undefined): Claim {
  const { exchange, group, address, denied } = question;
  const limits = group.limits.filter(isSettled);
  const { signal } = exchange.request;
  let letGo: (() => void) | undefined;
  /** The origin is asked next only if the client is still there. */
  let wasThere = false;

  /** What the owner reserves also when its answer is late; undefined: it was not asked. */
  function reservation(): Reservation | undefined {
    const granted = callOf()?.then((reply) => grantedOf(question, reply));
    return granted === undefined ? undefined : { address, limits, granted, onTold: () => forgetDenial(denied.key) };
  }
  function giveUp(): void {
    const reserved = reservation();
    if (reserved !== undefined) releaseReservation(reserved, exchange);
    letGo?.();
  }

  async function prepare(): Promise<Prepared> {
    letGo = stayToTheEnd(exchange);
    try {
      const prepared = await claim.prepare();
      if (prepared.kind === "refused") giveUp();
      return prepared;
    } catch (error) {
      giveUp();
      throw error;
    }
  }

  return {
    ...claim,
    prepare: () => (letGo === undefined ? prepare() : claim.prepare()),
    commit(now) {
      wasThere = !signal.aborted;
      return claim.commit(now);
    },
    release(now) {
      const verdicts = claim.release(now);
      giveUp();
      return verdicts;
    },
    finish(end) {
      const reserved = reservation();
      const isAbandoned = wasThere && signal.aborted && end.response === undefined;
      if (reserved !== undefined) settleWhenKnown(reserved, { ...end, isAbandoned }, exchange);
      letGo?.();
    },
  };
}

function messageOf({ group, address, exchange, costs }: Question): TakeMessage {
  const { timeouts } = exchange.route.route;
  const items = group.limits.map((limit, index): TakeItem => {
    const item = { ...limitItem(limit), cost: costs[index] ?? 0 };
    return isSettled(limit) ? { ...item, reserveMs: reserveMsOf(limit, timeouts) } : item;
  });
  const asked: TakeMessage = { v: 1, configVersion: exchange.configVersion, client: address.client, items };
  return group.evenIfBanned ? { ...asked, evenIfBanned: true } : asked;
}

async function take({ group, address, startedAt }: Question, send: () => Promise<TakeReply>): Promise<TakeReply> {
  const askedAt = Date.now();
  const deadlineMs = startedAt + group.deadlineMs - askedAt;
  // What is taken for an answer that nobody waits for is lost.
  if (deadlineMs <= 0) throw new Error("another owner has used up the time");
  // Silence says little of an owner that was given little time.
  const reply = await callOwner(address, send, { deadlineMs, countsLate: () => deadlineMs * 2 >= group.deadlineMs });
  noteIsolates(address.client, reply.isolates);
  learnBan(address.client, reply.ban, askedAt);
  return reply;
}

function verdictsOf({ group, address }: Question, items: readonly TakeReplyItem[]): readonly Verdict[] {
  return group.limits.map((limit, index): Verdict => {
    const item = items[index];
    if (item?.policy !== limit.id) {
      throw new Error(`RateLimiter answered about ${item?.policy ?? "nothing"} where ${limit.id} was asked`);
    }
    const { allowed, retryAfterMs, resetMs } = item;
    const remaining = tokensOf(item.remaining, limit);
    const verdict = { limit, label: labelOf(limit, address.client), allowed, remaining, retryAfterMs };
    return resetMs === undefined ? verdict : { ...verdict, resetMs };
  });
}

function tokensOf(units: number, { unitsPerToken }: RateLimit): number {
  return Math.max(0, Math.floor(units / unitsPerToken));
}

/** What the owner holds until it hears what the request has cost; undefined: nothing. */
function grantedOf({ group, costs }: Question, { reservation, items }: TakeReply): Granted | undefined {
  if (reservation === undefined || reservation === null) return undefined;
  const reserved = group.limits.flatMap((limit, index) =>
    // A shadow limit that would have refused has given nothing.
    isSettled(limit) && items[index]?.allowed === true ? [{ limit, reserved: costs[index] ?? 0 }] : [],
  );
  return { id: reservation, items: reserved };
}

function giveBack(question: Question, reply: TakeReply): void {
  const { group, address, exchange, costs, denied } = question;
  const items = group.limits.flatMap((limit, index) =>
    !isSettled(limit) && reply.items[index]?.allowed === true ? [{ policy: limit.id, cost: costs[index] ?? 0 }] : [],
  );
  if (items.length === 0) return;
  isolate ??= crypto.randomUUID();
  refunds += 1;
  const message = { v: 1, client: address.client, isolate, seq: refunds, items } as const;
  const { takenAt } = reply;
  const refund = refundOwner(exchange.env, address, takenAt === undefined ? message : { ...message, takenAt });
  // A lost refund loses tokens and admits nothing.
  exchange.ctx.waitUntil(refund.then(() => forgetDenial(denied.key)).catch(() => {}));
}
