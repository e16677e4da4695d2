import type { ObjectAddress } from "../../../objects/address.ts";
import type { ReportMessage, ReportReply } from "../../../objects/rate-limiter/bans/abuse-messages.ts";
import type { Exchange } from "../../exchange.ts";
import { ANSWER_MS, type BanTerms } from "./attempt-counter.ts";
import {
  newTracker,
  nextReports,
  reportsAnswered,
  trackAttempt,
  trackerDueAt,
  type AttemptTracker,
} from "./attempt-tracker.ts";
import { clientTable } from "../client-tables.ts";
import { learnBan } from "./known-bans.ts";
import { isolateName } from "../leased/lease-table.ts";
import { callOwner, ownerOf } from "../owner.ts";

/** Limits of one identity that ban, as every client of theirs has them. */
export interface Watched {
  /** Names the limits and their numbers: a client under other terms is counted anew. */
  readonly signature: string;
  readonly terms: readonly BanTerms[];
}

/** One client's attempts in this isolate, and where they are told. */
interface Tracked {
  readonly key: string;
  readonly address: ObjectAddress;
  readonly configVersion: number;
  readonly tracker: AttemptTracker;
}

/** What a report needs of the request that makes it. */
type Caller = Pick<Exchange, "env" | "ctx" | "configVersion">;

/** After a failed call. */
const PAUSE_MS = 250;

/** One that has to go is counted anew. */
const clients = clientTable<Tracked>();
let made = 0;

/**
 * Notes one attempt of a client, let through or refused alike, and sees to it that its owner hears of it in time, off the
 * request's path.
 *
 * @param attempt.costs in units, in the order of the terms; 0: the attempt does not count under that limit.
 */
export function noteAttempt(
  watched: Watched,
  address: ObjectAddress,
  caller: Caller,
  attempt: { readonly costs: readonly number[]; readonly isRefused: boolean; readonly now: number },
): void {
  const key = watched.signature + address.client;
  const tracked = clients.get(key) ?? track(watched, key, address, caller);
  const { costs, isRefused, now } = attempt;
  const duty = trackAttempt(tracked.tracker, costs, isRefused, now);
  if (duty === "watch") caller.ctx.waitUntil(sendReports(tracked, caller.env));
  if (duty === "one") caller.ctx.waitUntil(sendReport(tracked, caller.env));
}

function track({ terms }: Watched, key: string, address: ObjectAddress, { configVersion }: Caller): Tracked {
  made += 1;
  // A name for each: one that comes back after it had to go begins its numbers anew.
  const tracked = { key, address, configVersion, tracker: newTracker(terms, `${isolateName()}.${made}`) };
  clients.set(key, tracked);
  return tracked;
}

/** Sends what is due, when it is due, until there is nothing more to tell; at the end of its time all that is left. */
async function sendReports(tracked: Tracked, env: Env): Promise<void> {
  const { tracker } = tracked;
  const until = tracker.reportedUntil;
  for (;;) {
    const now = Date.now();
    const due = trackerDueAt(tracker, now);
    if (due === undefined) break;
    if (now < due && now < until) {
      await scheduler.wait(Math.min(due, until) - now);
      continue;
    }
    const isHeard = await sendReport(tracked, env);
    if (now >= until) break;
    if (!isHeard) await scheduler.wait(PAUSE_MS);
  }
  tracker.reportedUntil = -Infinity;
}

/** False: not sent, or not answered. What was sent is sent again as it was. */
async function sendReport({ tracker, address, configVersion, key }: Tracked, env: Env): Promise<boolean> {
  const askedAt = Date.now();
  const items = nextReports(tracker, askedAt);
  if (items.length === 0) return false;
  const message: ReportMessage = { v: 1, configVersion, client: address.client, items };
  const call = (): Promise<ReportReply> => ownerOf(env, address).report(message);
  try {
    const reply = await callOwner(address, call, { deadlineMs: ANSWER_MS });
    reportsAnswered(tracker, items, reply);
    learnBan(address.client, reply.ban, askedAt);
    // A ban forgives what led to it: what this isolate has not told yet is part of that.
    if (reply.ban !== undefined) clients.delete(key);
    return true;
  } catch {
    return false;
  }
}
