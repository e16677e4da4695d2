import type { BanList, BanNews, BanQuery, ListedBan } from "./ban-index-messages.ts";
import type { Swept } from "../housekeeping.ts";

/** All bans of the deployment in one place, for operators. What counts is in the client's owner. */
export interface BanIndex extends Swept {
  /** Takes in what owners tell. */
  note(items: readonly BanNews[], now: number): void;
  list(query: BanQuery, now: number): BanList;
}

/** A flood of bans must not fill the object; an operator reads the newest. */
export const MAX_LISTED = 10_000;
/** News may arrive out of order by as much as a call takes: an end is remembered for so long. */
const ENDED_MS = 60_000;

// An ended ban has no reason. `dropped` has one row: how many were pushed out, and when the last of them is over.
const FIND_TABLE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'bans'";
const CREATE = `
  CREATE TABLE bans (client TEXT PRIMARY KEY, at INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL, reason TEXT) STRICT, WITHOUT ROWID;
  CREATE INDEX bans_by_since ON bans (since, client);
  CREATE TABLE bans_dropped (id INTEGER PRIMARY KEY, count INTEGER NOT NULL, until INTEGER NOT NULL) STRICT`;
const READ_AT = "SELECT at, until FROM bans WHERE client = ?";
const WRITE = `INSERT INTO bans VALUES (?, ?, ?, ?, ?) ON CONFLICT (client)
  DO UPDATE SET at = excluded.at, since = excluded.since, until = excluded.until, reason = excluded.reason`;
const COUNT = "SELECT count(*) AS count FROM bans WHERE reason IS NOT NULL AND until > ?";
const READ_OLDEST = "SELECT client, until FROM bans WHERE reason IS NOT NULL ORDER BY since, client DESC LIMIT ?";
const DELETE = "DELETE FROM bans WHERE client = ?";
const DELETE_OVER = "DELETE FROM bans WHERE until <= ?";
const READ_LATEST = "SELECT max(until) AS latest FROM bans";
const READ_DROPPED = "SELECT count, until FROM bans_dropped";
const ADD_DROPPED = `INSERT INTO bans_dropped VALUES (1, ?1, ?2) ON CONFLICT (id)
  DO UPDATE SET count = iif(until > ?3, count, 0) + excluded.count, until = max(until, excluded.until)`;
const LIST = `SELECT client, since, until, reason FROM bans
  WHERE reason IS NOT NULL AND until > ?1 AND (since < ?2 OR (since = ?2 AND client > ?3))
    AND (?4 IS NULL OR client = ?4 OR instr(lower(reason), lower(?4)) > 0)
  ORDER BY since DESC, client LIMIT ?5`;

/** An alias, since an interface is no record. */
type ListedRow = { [Field in keyof ListedBan]: ListedBan[Field] };

/**
 * Opens the index of an object; the one at `Addresses.banIndex` has entries, any other none and no table.
 *
 * @param onStored told of each write with the time when it is over, so that the object sets its alarm.
 */
export function openBanIndex(
  storage: DurableObjectStorage,
  onStored: (forgettableAt: number, now: number) => void,
): BanIndex {
  const { sql } = storage;
  let exists = sql.exec(FIND_TABLE).toArray().length > 0;
  /** Bans listed, those over but not yet swept included; undefined: to be counted. */
  let listed: number | undefined;

  function noteOne({ client, at, until, ban }: BanNews, now: number): void {
    const [known] = sql.exec<{ at: number; until: number }>(READ_AT, client).toArray();
    if (known !== undefined && known.at > at) return;
    const keptUntil = ban === null ? now + ENDED_MS : until;
    if (keptUntil <= now) return;
    sql.exec(WRITE, client, at, ban?.since ?? at, keptUntil, ban?.reason ?? null);
    onStored(keptUntil, now);
  }

  /** Keeps the newest. */
  function drop(now: number): void {
    sql.exec(DELETE_OVER, now);
    listed = countListed(now);
    if (listed <= MAX_LISTED) return;
    const oldest = sql.exec<{ client: string; until: number }>(READ_OLDEST, listed - MAX_LISTED).toArray();
    let last = 0;
    for (const { client, until } of oldest) {
      sql.exec(DELETE, client);
      last = Math.max(last, until);
    }
    sql.exec(ADD_DROPPED, oldest.length, last, now);
    listed = MAX_LISTED;
  }

  function countListed(now: number): number {
    return sql.exec<{ count: number }>(COUNT, now).one().count;
  }

  return {
    note(items, now) {
      if (items.length === 0) return;
      if (!exists) sql.exec(CREATE);
      exists = true;
      for (const item of items) noteOne(item, now);
      listed = listed === undefined ? undefined : listed + items.length;
      if (listed === undefined || listed > MAX_LISTED) drop(now);
    },
    list({ limit, after, filter }, now) {
      if (!exists) return { v: 1, bans: [], next: null, listed: 0, more: 0 };
      const from = after ?? { since: Number.MAX_SAFE_INTEGER, client: "" };
      const found = sql.exec<ListedRow>(LIST, now, from.since, from.client, filter, limit + 1).toArray();
      const bans = found.slice(0, limit).map(({ client, since, until, reason }) => ({ client, since, until, reason }));
      const last = bans.at(-1);
      const [dropped] = sql.exec<{ count: number; until: number }>(READ_DROPPED).toArray();
      return {
        v: 1,
        bans,
        next: found.length > limit && last !== undefined ? { since: last.since, client: last.client } : null,
        listed: countListed(now),
        more: dropped !== undefined && dropped.until > now ? dropped.count : 0,
      };
    },
    async sweep() {
      if (!exists) return 0;
      sql.exec(DELETE_OVER, Date.now());
      listed = undefined;
      return sql.exec<{ latest: number | null }>(READ_LATEST).one().latest ?? 0;
    },
    isEmpty() {
      return !exists || sql.exec("SELECT 1 FROM bans LIMIT 1").toArray().length === 0;
    },
    wasDropped() {
      exists = false;
      listed = undefined;
    },
  };
}
