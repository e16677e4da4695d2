import type { ObjectAddress } from "../../objects/address.ts";
import type { TakeItem, TakeReply } from "../../objects/rate-limiter/messages.ts";
import type { LimitKey, RateLimit } from "../../schemas/index.ts";
import { GatewayError } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import { clientAddress } from "./client-address.ts";
import type { Verdict } from "./headers.ts";
import { takeLocally } from "./local-buckets.ts";
import { askOwner, refundOwner } from "./owner.ts";

export interface LimitDecision {
  /** In the order of the configuration. */
  readonly verdicts: readonly Verdict[];
  /** `<limit id>: <policy>` for each limit that was decided without its owner. */
  readonly degraded: readonly string[];
  readonly waitedMs: number;
}

/** Limits that tell clients apart in the same way have one owner, which decides about all of them at once. */
interface Group {
  readonly by: readonly LimitKey[];
  readonly clients: "pooled" | "own";
  readonly limits: readonly RateLimit[];
  readonly items: readonly TakeItem[];
  readonly deadlineMs: number;
}

interface GroupDecision {
  readonly group: Group;
  readonly address: ObjectAddress;
  readonly verdicts: readonly Verdict[];
  readonly degraded: readonly string[];
  /** Whether the owner took tokens, and so has them to get back. */
  readonly taken: boolean;
}

/** Names this isolate in refunds, so that a repeated message counts once. Made at first use: no randomness at start-up. */
let isolate: string | undefined;
let refunds = 0;

/**
 * Compiles the limits of a route into one decision per exchange.
 *
 * @throws GatewayError `dependency-unavailable` when an owner does not answer and a limit's `onError` is `closed`.
 */
export function compileLimits(limits: readonly RateLimit[]): (exchange: Exchange) => Promise<LimitDecision> {
  const groups = groupByIdentity(limits);
  return async (exchange) => {
    const startedAt = Date.now();
    // Settled, not all: a group that fails ends the request, and what the others took has to be known to go back.
    const settled = await Promise.allSettled(groups.map((group) => decideGroup(group, exchange)));
    const decisions = settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    const failure = settled.find((one) => one.status === "rejected");
    if (failure !== undefined || decisions.some(isRefused)) {
      for (const decision of decisions) if (decision.taken && !isRefused(decision)) giveBack(decision, exchange);
    }
    if (failure !== undefined) throw failure.reason;
    return {
      verdicts: limits.flatMap((limit) =>
        decisions.flatMap(({ verdicts }) => verdicts.filter((verdict) => verdict.limit === limit)),
      ),
      degraded: decisions.flatMap(({ degraded }) => degraded),
      waitedMs: Date.now() - startedAt,
    };
  };
}

function groupByIdentity(limits: readonly RateLimit[]): readonly Group[] {
  const groups = new Map<string, RateLimit[]>();
  for (const limit of limits) {
    const identity = JSON.stringify([limit.by, limit.clients]);
    groups.set(identity, [...(groups.get(identity) ?? []), limit]);
  }
  return [...groups.values()].map((members) => ({
    by: members[0]?.by ?? [],
    clients: members[0]?.clients ?? "pooled",
    limits: members,
    items: members.map(takeItem),
    deadlineMs: Math.min(...members.map((limit) => limit.deadlineMs)),
  }));
}

function takeItem(limit: RateLimit): TakeItem {
  const { id, requestsPerWindow, windowMs, burst, shadow } = limit;
  return { policy: id, tokensPerWindow: requestsPerWindow, windowMs, burst, cost: 1, shadow };
}

async function decideGroup(group: Group, exchange: Exchange): Promise<GroupDecision> {
  const address = await clientAddress(exchange, group.by, group.clients);
  try {
    const message = {
      v: 1,
      configVersion: exchange.configVersion,
      client: address.client,
      items: group.items,
    } as const;
    const reply = await askOwner(exchange.env, address, message, group.deadlineMs);
    return { group, address, verdicts: readReply(group, address, reply), degraded: [], taken: reply.allowed };
  } catch (error) {
    return withoutOwner(group, address, exchange, error);
  }
}

function readReply(group: Group, address: ObjectAddress, reply: TakeReply): readonly Verdict[] {
  return group.limits.map((limit, index) => {
    const item = reply.items[index];
    if (item?.policy !== limit.id)
      throw new Error(`RateLimiter answered about ${item?.policy ?? "nothing"} where ${limit.id} was asked`);
    return {
      limit,
      partitionKey: address.client,
      allowed: item.allowed,
      remaining: item.remaining,
      retryAfterMs: item.retryAfterMs,
    };
  });
}

/** The declared policy of each limit whose owner threw, is overloaded or is too slow. */
function withoutOwner(group: Group, address: ObjectAddress, exchange: Exchange, cause: unknown): GroupDecision {
  const closed = group.limits.find((limit) => limit.onError === "closed" && !limit.shadow);
  if (closed !== undefined) {
    throw new GatewayError("dependency-unavailable", {
      detail: `The owner of the limit ${closed.name} does not answer, and without it this route stays closed.`,
      headers: { "retry-after": "1" },
      cause,
    });
  }
  const verdicts = group.limits.map((limit): Verdict => {
    if (limit.onError !== "local") {
      return { limit, partitionKey: address.client, allowed: true, remaining: 0, retryAfterMs: 0 };
    }
    const { allowed, bucket, retryAfterMs } = takeLocally(limit, address.client, exchange.receivedAt);
    return { limit, partitionKey: address.client, allowed, remaining: bucket.tokens, retryAfterMs };
  });
  const degraded = group.limits.map((limit) => `${limit.id}: ${limit.onError}`);
  return { group, address, verdicts, degraded, taken: false };
}

function isRefused(decision: GroupDecision): boolean {
  return decision.verdicts.some((verdict) => !verdict.allowed && !verdict.limit.shadow);
}

function giveBack(decision: GroupDecision, exchange: Exchange): void {
  isolate ??= crypto.randomUUID();
  refunds += 1;
  const { address, group, verdicts } = decision;
  // A shadow limit that would have refused has given nothing.
  const given = group.items.filter((_, index) => verdicts[index]?.allowed === true);
  const items = given.map(({ policy, cost }) => ({ policy, cost }));
  const refund = refundOwner(exchange.env, address, { v: 1, client: address.client, isolate, seq: refunds, items });
  // A lost refund loses tokens and admits nothing.
  exchange.ctx.waitUntil(refund.catch(() => {}));
}
