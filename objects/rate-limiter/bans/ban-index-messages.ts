import { isCount } from "../../numbers.ts";
import { MAX_ID_LENGTH, isText, wanted, type Unchecked } from "../../message-checks.ts";

/** What the owner of a client tells the index of bans: the last change, and nothing of what was before. */
export interface BanNews {
  /** The client's handle. */
  readonly client: string;
  /** When it changed, in ms since the epoch by the owner's clock: older news never replaces newer. */
  readonly at: number;
  /** When the ban ends, or would have ended. */
  readonly until: number;
  /** Null: it was ended before its time. */
  readonly ban: { readonly since: number; readonly reason: string } | null;
}

/** Tells several changes at once. The same again changes nothing. */
export interface BanNewsMessage {
  readonly v: 1;
  /** At most 1,000. */
  readonly items: readonly BanNews[];
}

/** Asks the index for the bans in force, the newest first. */
export interface BanQuery {
  readonly v: 1;
  /** From 1 to 1,000. */
  readonly limit: number;
  /** Goes on after this one, the `next` of the page before; null: from the newest. */
  readonly after: BanCursor | null;
  /** Only bans with this text in their reason, upper and lower case alike, or of this client; null: all. */
  readonly filter: string | null;
}

/** A place in the list. */
export interface BanCursor {
  readonly since: number;
  readonly client: string;
}

/** A page of the list. */
export interface BanList {
  readonly v: 1;
  readonly bans: readonly ListedBan[];
  /** Null: this was the last page. */
  readonly next: BanCursor | null;
  /** Bans in force that the index lists, whatever the filter. */
  readonly listed: number;
  /** Older bans that may still be in force and are not listed, because the index keeps the newest 10,000; 0: none. */
  readonly more: number;
}

/** One ban in force. */
export interface ListedBan {
  readonly client: string;
  readonly since: number;
  readonly until: number;
  readonly reason: string;
}

const MAX_ITEMS = 1_000;

/** What is wrong with a message of news, in words for a log, or undefined. */
export function banNewsProblem(message: Unchecked<BanNewsMessage>): string | undefined {
  if (message.v !== 1) return wanted("v", message.v, "1; deploy the Worker and its objects together");
  const { items } = message;
  if (!Array.isArray(items) || items.length > MAX_ITEMS)
    return wanted("items", items, `a list of at most ${MAX_ITEMS}`);
  const index = items.findIndex((item) => !isBanNews(item));
  return index === -1 ? undefined : wanted(`items[${index}]`, items[index], "client, at, until and ban");
}

/** What is wrong with a query, in words for a log, or undefined. */
export function banQueryProblem(query: Unchecked<BanQuery>): string | undefined {
  if (query.v !== 1) return wanted("v", query.v, "1; deploy the Worker and its objects together");
  const { limit, after, filter } = query;
  if (!isCount(limit) || limit < 1 || limit > MAX_ITEMS) return wanted("limit", limit, `1 to ${MAX_ITEMS}`);
  if (filter !== null && typeof filter !== "string") return wanted("filter", filter, "a text or null");
  return after === null || isCursor(after) ? undefined : wanted("after", after, "since and client, or null");
}

/** Whether a value is news as an owner tells it. */
export function isBanNews(value: unknown): value is BanNews {
  if (typeof value !== "object" || value === null) return false;
  const { client, at, until, ban }: Unchecked<BanNews> = value;
  if (!isText(client, MAX_ID_LENGTH) || !isCount(at) || !isCount(until)) return false;
  if (ban === null) return true;
  return typeof ban === "object" && "since" in ban && isCount(ban.since) && "reason" in ban && isString(ban.reason);
}

function isCursor(value: unknown): value is BanCursor {
  if (typeof value !== "object" || value === null) return false;
  return "since" in value && isCount(value.since) && "client" in value && isText(value.client, MAX_ID_LENGTH);
}

function isString(value: unknown): value is string {
  return typeof value === "string";
}
