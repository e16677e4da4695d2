import { isCount, isInteger } from "../../numbers.ts";
import { parsePacked, unpackList } from "../../packed.ts";
import type { Abuse, PolicyAttempts } from "./abuse.ts";
import type { Ban } from "./bans.ts";
import type { ReplayWindow } from "../replay-window.ts";
import { packBuckets, unpackBuckets } from "../algorithms/sub-buckets.ts";

/** A client's record as one short text. */
export function packAbuse({ policies, ban, banKeptUntil, since }: Abuse): string {
  const packed: Record<string, unknown> = { p: policies.map(packPolicy), s: since };
  if (ban !== undefined) packed["b"] = [ban.since, ban.until, ban.reason, ban.level, banKeptUntil];
  return JSON.stringify(packed);
}

/** What `packAbuse` packed, or undefined when the text cannot have come from it. Members it does not know are ignored. */
export function unpackAbuse(text: string): Abuse | undefined {
  const packed = parsePacked(text);
  if (typeof packed !== "object" || packed === null || !("p" in packed) || !("s" in packed)) return undefined;
  const policies = unpackList(packed.p, unpackPolicy);
  if (policies === undefined || !isInteger(packed.s)) return undefined;
  const none: Abuse = { policies, ban: undefined, banKeptUntil: 0, since: packed.s };
  if (!("b" in packed)) return none;
  const entry: readonly unknown[] | undefined = Array.isArray(packed.b) ? packed.b : undefined;
  const ban = entry === undefined ? undefined : unpackBan(entry);
  const banKeptUntil = entry?.[4];
  return ban !== undefined && isInteger(banKeptUntil) ? { ...none, ban, banKeptUntil } : undefined;
}

function packPolicy({ policy, configVersion, rule, attempts }: PolicyAttempts): unknown[] {
  const senders = attempts.senders.map(({ sender, top, seen, at }) => [sender, top, seen, at]);
  const limit = [rule.tokensPerWindow, rule.windowMs, rule.factor ?? null];
  return [policy, configVersion, limit, attempts.since, attempts.last, packBuckets(attempts.buckets), senders];
}

function unpackPolicy(entry: readonly unknown[]): PolicyAttempts | undefined {
  const [policy, configVersion, limit, since, last, packedBuckets, packedSenders] = entry;
  if (typeof policy !== "string" || !isCount(configVersion) || !isInteger(since) || !isInteger(last)) return undefined;
  const numbers: readonly unknown[] = Array.isArray(limit) ? limit : [];
  const [tokensPerWindow, windowMs, factor] = numbers;
  if (!isCount(tokensPerWindow) || !isCount(windowMs) || windowMs < 1) return undefined;
  if (factor !== null && !(typeof factor === "number" && factor > 0)) return undefined;
  const rule = factor === null ? { tokensPerWindow, windowMs } : { tokensPerWindow, windowMs, factor };
  const buckets = unpackBuckets(packedBuckets);
  const senders = unpackList(packedSenders, unpackSender);
  if (buckets === undefined || senders === undefined) return undefined;
  return { policy, configVersion, rule, attempts: { buckets, senders, since, last } };
}

function unpackSender([sender, top, seen, at]: readonly unknown[]): ReplayWindow | undefined {
  if (typeof sender !== "string" || !isCount(top) || !isCount(seen) || !isInteger(at)) return undefined;
  return { sender, top, seen, at };
}

function unpackBan([since, until, reason, level]: readonly unknown[]): Ban | undefined {
  if (!isInteger(since) || !isInteger(until) || typeof reason !== "string" || !isCount(level)) return undefined;
  return { since, until, reason, level };
}
