import type {
  ListMessage,
  ReportMessage,
  SessionCursor,
  SessionEntry,
  SessionFilter,
  SessionPage,
  SessionSummary,
} from "./registry-messages.ts";
import { addCounts, count, countPassed, type SocketCounts } from "./socket-counts.ts";

/** One shard's list of live sessions. In memory only: after a restart all tell of theirs again within 10 s. */
export interface Registry {
  /** Takes in what a relay object tells. */
  report(message: ReportMessage, now: number): void;
  list(message: ListMessage, now: number): SessionPage;
  /** All that match, in the order of the list. */
  matching(filter: SessionFilter, now: number): readonly SessionEntry[];
  /** Undefined: it is not known here. */
  find(id: string, now: number): SessionEntry | undefined;
  /** Of the sessions that are listed, and of those that were. */
  summary(now: number): SessionSummary;
  /** Forgets whoever was not told of for a lease. */
  sweep(now: number): void;
  readonly size: number;
}

/** Whoever is not told of for so long is gone; a relay tells of each at least every 30 s. */
export const LEASE_MS = 60_000;
/** The object of such a session sleeps, and is woken every four minutes. */
const SLEEPERS_LEASE_MS = 600_000;
/** At half a kilobyte each. */
export const MAX_ENTRIES = 20_000;

/** Makes an empty list. */
export function createRegistry(maxEntries = MAX_ENTRIES, since = 0): Registry {
  const leases = new Map<string, { readonly entry: SessionEntry; readonly until: number }>();
  /** Those that found no room, until their leases would be over. */
  const turnedAway = new Map<string, number>();
  const counts: SocketCounts = new Map();

  /** No lease ends before. */
  let firstEnd = Infinity;

  function sweep(now: number): void {
    if (now >= firstEnd) {
      firstEnd = Infinity;
      for (const [id, { entry, until }] of leases) {
        if (until <= now) {
          leases.delete(id);
          // Its object is gone, and with it what it would have told.
          count(counts, entry.route, "closes.unseen.none");
          countPassed(counts, entry);
        } else firstEnd = Math.min(firstEnd, until);
      }
    }
    for (const [id, until] of turnedAway) {
      if (until > now) break;
      turnedAway.delete(id);
    }
  }

  function matching(filter: SessionFilter, now: number): readonly SessionEntry[] {
    sweep(now);
    const found = [...leases.values()].map(({ entry }) => entry).filter((entry) => isMeant(entry, filter));
    return found.sort(inOrder);
  }

  return {
    report({ object, sessions, closed, counts: more }, now) {
      sweep(now);
      if (more !== undefined) addCounts(counts, more);
      for (const session of sessions) {
        const until = now + (session.mode === "callback" ? SLEEPERS_LEASE_MS : LEASE_MS);
        leases.delete(session.id);
        turnedAway.delete(session.id);
        if (leases.size < maxEntries) {
          leases.set(session.id, { entry: { ...session, object }, until });
          firstEnd = Math.min(firstEnd, until);
        } else if (turnedAway.size < maxEntries) turnedAway.set(session.id, now + LEASE_MS);
      }
      for (const id of closed) {
        // Another object may have it by now: a name is not proof of whose it is.
        if (leases.get(id)?.entry.object === object) leases.delete(id);
        turnedAway.delete(id);
      }
    },
    list({ filter, limit, after }, now) {
      const all = matching(filter, now);
      const rest = after === null ? all : all.filter((entry) => inOrder(after, entry) < 0);
      return { v: 1, sessions: rest.slice(0, limit), matched: all.length, unlisted: turnedAway.size };
    },
    matching,
    find(id, now) {
      sweep(now);
      return leases.get(id)?.entry;
    },
    summary(now) {
      sweep(now);
      const all: SocketCounts = new Map();
      addCounts(all, counts);
      for (const { entry } of leases.values()) {
        count(all, entry.route, `sessions.${entry.mode}.${entry.state}`);
        countPassed(all, entry);
      }
      return { v: 1, since, counts: all };
    },
    sweep,
    get size() {
      return leases.size;
    },
  };
}

/** The newest first; at the same time, by id. */
export function inOrder(one: SessionCursor, other: SessionCursor): number {
  if (one.openedAt !== other.openedAt) return other.openedAt - one.openedAt;
  if (one.id === other.id) return 0;
  return one.id < other.id ? -1 : 1;
}

function isMeant(entry: SessionEntry, filter: SessionFilter): boolean {
  return FIELDS.every((field) => filter[field] === null || filter[field] === entry[field]);
}

const FIELDS = ["route", "principal", "address", "state", "mode"] as const;
