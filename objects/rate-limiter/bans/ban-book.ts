import { createLru } from "../../lru.ts";
import { NO_ABUSE, abuseForgettableAt, judge, lostAbuse, startBan, unban, type Abuse } from "./abuse.ts";
import type { BanOrder, BanView, ReportMessage, ReportReply } from "./abuse-messages.ts";
import { packAbuse, unpackAbuse } from "./abuse-record.ts";
import { attemptsReply, noAttempts } from "./attempts.ts";
import { banByOrder, isBanned, type Ban } from "./bans.ts";
import type { BanNotice } from "../messages.ts";
import type { Row, Rows, Table } from "../rows.ts";

/** The attempts and bans of an object's clients. */
export interface BanBook {
  /** The ban in force; undefined: none. Read once, then known by heart: every request that reaches the object asks. */
  banOf(client: string, now: number): Ban | undefined;
  /** The same as isolates are told of it. */
  noticeOf(client: string, now: number): BanNotice | undefined;
  /** Counts a report, and bans the client when it shows abuse. */
  report(message: ReportMessage, now: number): ReportReply;
  /** Bans by an operator's order, whatever ban there was. */
  ban(client: string, order: BanOrder, now: number): BanView;
  /** Ends a ban and forgives what led to it; false: there was none in force. */
  unban(client: string, now: number): boolean;
}

/** Of each client one row: attempts, and the last ban. */
export const ABUSE: Table<Abuse, undefined> = {
  name: "abuse",
  pack: packAbuse,
  unpack: unpackAbuse,
  lost: lostAbuse,
  forgettableAt: abuseForgettableAt,
  newMemory: () => undefined,
};

/** Clients of which it is known by heart whether they are banned. */
const MAX_KNOWN = 1_000;
const FREE = "free";

/**
 * Opens the book over the object's table of abuse.
 *
 * @param rows opened with `ABUSE`.
 * @param onChange told of each ban that began, or was ended before its time, once that is stored.
 */
export function openBanBook(
  rows: Rows<Abuse, undefined>,
  onChange: (client: string, ban: Ban, kind: "began" | "ended", now: number) => void,
): BanBook {
  const known = createLru<string, Ban | typeof FREE>(MAX_KNOWN);

  function banOf(client: string, now: number): Ban | undefined {
    let ban = known.get(client);
    if (ban === undefined) {
      // No table: nobody in this object was ever reported, so nothing is worth remembering.
      if (!rows.exists()) return undefined;
      ban = rows.load(client, now)?.state.ban ?? FREE;
      known.set(client, ban);
    }
    return ban !== FREE && isBanned(ban, now) ? ban : undefined;
  }

  function noticeOf(client: string, now: number): BanNotice | undefined {
    const ban = banOf(client, now);
    return ban === undefined ? undefined : { remainingMs: Math.max(1, ban.until - now), reason: ban.reason };
  }

  function store(client: string, row: Row<Abuse, undefined>, abuse: Abuse, now: number): void {
    const before = row.state.ban;
    rows.store(client, row, abuse, now);
    known.set(client, abuse.ban ?? FREE);
    if (abuse.ban === before) return;
    if (abuse.ban !== undefined) onChange(client, abuse.ban, "began", now);
    else if (before !== undefined) onChange(client, before, "ended", now);
  }

  return {
    banOf,
    noticeOf,
    report({ client, configVersion, items }, now) {
      const row = rows.load(client, now) ?? newRow();
      let abuse = row.state;
      for (const { policy, tokensPerWindow, windowMs, ban, report } of items) {
        const rule = { tokensPerWindow, windowMs, factor: ban.factor };
        abuse = judge(abuse, { policy, configVersion, rule, ban }, report, now);
      }
      if (abuse !== row.state) store(client, row, abuse, now);
      const ban = noticeOf(client, now);
      return {
        v: 1,
        items: items.map(({ policy, tokensPerWindow, windowMs }) => {
          const attempts = abuse.policies.find((one) => one.policy === policy)?.attempts ?? noAttempts(0, now);
          return { policy, ...attemptsReply(attempts, { tokensPerWindow, windowMs }) };
        }),
        ...(ban === undefined ? {} : { ban }),
      };
    },
    ban(client, { durationMs, reason }, now) {
      const row = rows.load(client, now) ?? newRow();
      const ban = banByOrder(row.state.ban, durationMs, reason, now);
      store(client, row, startBan(row.state, ban), now);
      return banView(ban, now);
    },
    unban(client, now) {
      const row = rows.load(client, now);
      if (row === undefined || !isBanned(row.state.ban, now)) return false;
      store(client, row, unban(row.state, now), now);
      return true;
    },
  };
}

/** A ban as operators see it. */
export function banView({ since, until, reason }: Ban, now: number): BanView {
  return { since, until, remainingMs: Math.max(0, until - now), reason };
}

function newRow(): Row<Abuse, undefined> {
  return { state: NO_ABUSE, memory: undefined };
}
