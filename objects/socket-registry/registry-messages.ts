import { isText, wanted, type Unchecked } from "../message-checks.ts";
import { isCount } from "../numbers.ts";
import type { SocketCounts } from "./socket-counts.ts";
import type {
  ControlReply,
  SessionDescription,
  SessionMode,
  SessionState,
} from "../web-socket-relay/session-control.ts";

/** A session as the registry lists it. */
export interface SessionEntry extends SessionDescription {
  /** The id of the `WebSocketRelay` object that holds it. */
  readonly object: string;
}

/**
 * What a relay object tells a shard of the registry: sessions that are there, whole each time, and those that are not any
 * more. Whoever is not told of for 60 s counts as gone, so that what crashed vanishes by itself.
 */
export interface ReportMessage {
  readonly v: 1;
  readonly object: string;
  /** At most 1,000. */
  readonly sessions: readonly SessionDescription[];
  /** At most 1,000 ids. */
  readonly closed: readonly string[];
  /** What was counted since the report before, of whatever sessions. */
  readonly counts?: SocketCounts;
}

/** What a relay object is told in return. */
export interface ReportReply {
  readonly v: 1;
  /** Absent: none is. */
  readonly drained?: DrainedRoutes;
}

/** Routes that take no new sessions, by their ids: which were opened from then on, and until when. */
export type DrainedRoutes = ReadonlyMap<string, { readonly since: number; readonly until: number }>;

/** Which sessions are meant; null: whatever it is. */
export interface SessionFilter {
  readonly route: string | null;
  readonly principal: string | null;
  readonly address: string | null;
  readonly state: SessionState | null;
  readonly mode: SessionMode | null;
}

/** Asks for the sessions of a shard, the newest first. */
export interface ListMessage {
  readonly v: 1;
  readonly filter: SessionFilter;
  /** From 1 to 1,000. */
  readonly limit: number;
  /** Goes on after this place; null: from the newest. */
  readonly after: SessionCursor | null;
}

/** A place in the list. */
export interface SessionCursor {
  readonly openedAt: number;
  readonly id: string;
}

/** A page of a shard. */
export interface SessionPage {
  readonly v: 1;
  readonly sessions: readonly SessionEntry[];
  /** Of all that match, wherever the page begins. */
  readonly matched: number;
  /** Sessions that were told of and found no room in the last minute; 0: the list is whole. */
  readonly unlisted: number;
}

/** What a shard has counted. */
export interface SessionSummary {
  readonly v: 1;
  /** Since when, in ms since the epoch: when this shard began, or began again. */
  readonly since: number;
  readonly counts: SocketCounts;
  /** Absent: none is. */
  readonly drained?: DrainedRoutes;
}

/** Gives all sessions of a shard that match an order. */
export interface OrderMessage {
  readonly v: 1;
  readonly filter: SessionFilter;
  /** Where the order goes on; absent: it begins. */
  readonly rest?: OrderRest;
  readonly order:
    | { readonly kind: "send"; readonly message: string | ArrayBuffer }
    | {
        readonly kind: "close";
        readonly code: number;
        readonly reason: string;
        /** Spread evenly over so many ms; 0: all at once. */
        readonly spreadMs: number;
        /** For so long the route takes no new sessions; the filter names it, and nothing else. Absent: as before; 0: at once again, and nobody is closed. */
        readonly refuseNewMs?: number;
      };
}

/** What is left of an order that a shard has carried out in part. */
export interface OrderRest {
  readonly after: SessionCursor;
  /** So many sessions have got it, of so many that there were when it was given. */
  readonly given: number;
  readonly of: number;
  /** When it was given, by the clock of the shard, in ms since the epoch. */
  readonly since: number;
}

/** What has come of an order, or of this part of it: how many sessions there were for each reply. `next`: null, it has been carried out. */
export type OrderReply = { readonly v: 1; readonly matched: number; readonly next: OrderRest | null } & {
  readonly [Kind in ControlReply | "failed"]: number;
};

/** Of the entries in one report. */
export const MAX_REPORTED = 1_000;
/** Of sessions on one page. */
export const MAX_PAGE = 1_000;
/** Routes at once that take no new sessions: all of them are in each reply to a report. */
export const MAX_DRAINED = 1_000;
/** Of any text of a session, in characters. */
export const MAX_TEXT = 512;
const VERSION_WANTED = "1; deploy the Worker and its objects together";
const ID = /^[A-Za-z0-9_-]{1,64}$/;
const OBJECT = /^[0-9a-f]{64}$/;

/** What is wrong with a report, in words for a log, or undefined. */
export function reportProblem({ v, object, sessions, closed, counts }: Unchecked<ReportMessage>): string | undefined {
  if (v !== 1) return wanted("v", v, VERSION_WANTED);
  if (typeof object !== "string" || !OBJECT.test(object)) return wanted("object", object, "the id of an object");
  if (!isListUpTo(sessions, MAX_REPORTED)) return wanted("sessions", sessions, `a list of at most ${MAX_REPORTED}`);
  if (!isListUpTo(closed, MAX_REPORTED)) return wanted("closed", closed, `a list of at most ${MAX_REPORTED}`);
  if (counts !== undefined && !(counts instanceof Map)) return wanted("counts", counts, "a map");
  const [at, session] = [...sessions.entries()].find(([, one]) => !isDescription(one)) ?? [];
  if (at !== undefined)
    return wanted(`sessions[${at}]`, session, "id, route, openedAt and texts of at most 512 characters");
  return closed.every(isSessionId) ? undefined : wanted("closed", "a list", "ids of sessions");
}

/** Whether a value can name a session, so that there is one to ask for. */
export function isSessionId(value: unknown): value is string {
  return typeof value === "string" && ID.test(value);
}

/** What is wrong with a question for a page, in words for a log, or undefined. */
export function listProblem({ v, filter, limit, after }: Unchecked<ListMessage>): string | undefined {
  if (v !== 1) return wanted("v", v, VERSION_WANTED);
  if (typeof filter !== "object" || filter === null) return wanted("filter", filter, "an object");
  if (!isCount(limit) || limit < 1 || limit > MAX_PAGE) return wanted("limit", limit, `1 to ${MAX_PAGE}`);
  return after === null || isCursor(after) ? undefined : wanted("after", after, "openedAt and id, or null");
}

/** What is wrong with an order, in words for a log, or undefined. What it orders is the relays' to check. */
export function orderProblem({ v, filter, order, rest }: Unchecked<OrderMessage>): string | undefined {
  if (v !== 1) return wanted("v", v, VERSION_WANTED);
  if (rest !== undefined && !isRest(rest)) return wanted("rest", rest, "the next of the reply before");
  if (typeof filter !== "object" || filter === null) return wanted("filter", filter, "an object");
  return typeof order === "object" && order !== null ? undefined : wanted("order", order, "an object");
}

function isRest(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { after, given, of, since }: Unchecked<OrderRest> = value;
  return isCursor(after) && isCount(given) && isCount(of) && isCount(since);
}

function isCursor(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return "openedAt" in value && isCount(value.openedAt) && "id" in value && isSessionId(value.id);
}

/** Only what the registry itself relies on: the sender is an object of this Worker. */
function isDescription(value: unknown): value is SessionDescription {
  if (typeof value !== "object" || value === null) return false;
  const { id, route, openedAt, ...rest }: Unchecked<SessionDescription> = value;
  if (!isSessionId(id) || !isText(route, MAX_TEXT) || !isCount(openedAt)) return false;
  return Object.values(rest).every((member) => typeof member !== "string" || member.length <= MAX_TEXT);
}

function isListUpTo(value: unknown, most: number): value is readonly unknown[] {
  return Array.isArray(value) && value.length <= most;
}
