import type { Abuse } from "../../../objects/rate-limiter/bans/abuse.ts";
import { NO_ABUSE, judge } from "../../../objects/rate-limiter/bans/abuse.ts";
import type { ReportItem, ReportReply } from "../../../objects/rate-limiter/bans/abuse-messages.ts";
import { packAbuse, unpackAbuse } from "../../../objects/rate-limiter/bans/abuse-record.ts";
import { abuseThreshold, attemptsReply } from "../../../objects/rate-limiter/bans/attempts.ts";
import { isBanned } from "../../../objects/rate-limiter/bans/bans.ts";
import { fullBucket, take } from "../../../objects/rate-limiter/algorithms/token-bucket.ts";
import type { BanTerms } from "../../../worker/limits/bans/attempt-counter.ts";
import {
  newTracker,
  nextReports,
  reportsAnswered,
  trackAttempt,
  trackerDueAt,
  type AttemptTracker,
} from "../../../worker/limits/bans/attempt-tracker.ts";
import { createRandom } from "../random.ts";
import { OWNER_EPOCH, VirtualClock } from "../virtual-clock.ts";

/** How messages fare. */
export interface Network {
  readonly oneWayMs: number;
  /** Of each message and answer. */
  readonly loss: number;
  readonly doubled: number;
  /** The longest that a repetition comes after its first. */
  readonly lateMs: number;
}

/** A defect, to show that a check notices. */
export type BanMutation = "counts-repeats" | "reports-late";

/** What became of one client. Times in ms of the run. */
export interface BanRun {
  readonly threshold: number;
  /** Undefined: it was not banned. */
  readonly bannedAt: number | undefined;
  /** When a window held as many attempts as ban; undefined: none did. */
  readonly reachedAt: number | undefined;
  /** When isolates that had refused the client had seen as many within 57/60 of a window: the ban is due. */
  readonly seenAt: number | undefined;
  /** The most attempts that any window held, as a share of the threshold. */
  readonly most: number;
  /** Reports of isolates that never refused the client. */
  readonly reportsUnrefused: number;
}

interface Attempt {
  readonly at: number;
  readonly isolate: number;
  readonly weight: number;
}

const RUN_MS = 240_000;
const PAUSE_MS = 250;

/**
 * Plays one client at several isolates on a virtual clock, with the code that ships: a bucket that admits or refuses,
 * trackers, their reports over a network, and the owner's judgement on a record that is packed and read back each time.
 */
export function playBans(seed: number, net: Network, mutation?: BanMutation): BanRun {
  const random = createRandom(seed);
  const clock = new VirtualClock();
  const windowMs = random.pick([1_000, 5_000, 20_000, 60_000]);
  const tokensPerWindow = random.pick([10, 13, 40, 100]);
  const factor = random.pick([2, 3, 5]);
  const terms: BanTerms = {
    policy: "p",
    tokensPerWindow,
    windowMs,
    ban: { factor, durationsMs: [1e9], rememberMs: 1 },
  };
  const rule = { tokensPerWindow, windowMs, factor };
  const threshold = abuseThreshold(rule);
  const limit = { tokensPerWindow, windowMs, burst: random.pick([tokensPerWindow, Math.ceil(tokensPerWindow / 5)]) };
  const isolates = random.integer(1, 8);
  const trackers = Array.from({ length: isolates }, (_, index) => newTracker([terms], `isolate ${index}`));
  const refusedEver = new Set<AttemptTracker>();
  const attempts: Attempt[] = [];
  let bucket = fullBucket(limit, clockNow());
  let record = packAbuse(NO_ABUSE);
  let bannedAt: number | undefined;
  let seenAt: number | undefined;
  let reportsUnrefused = 0;
  let repeats = 0;

  schedule();
  clock.runUntil(RUN_MS);
  const windows = windowsOf(attempts, windowMs);
  return {
    threshold,
    bannedAt,
    reachedAt: windows.find(({ sum }) => sum >= threshold)?.at,
    seenAt,
    most: Math.max(0, ...windows.map(({ sum }) => sum)) / threshold,
    reportsUnrefused,
  };

  function clockNow(): number {
    return OWNER_EPOCH + Math.floor(clock.now);
  }

  /** Bursts and pauses about the rate that bans, on few or many of the isolates. */
  function schedule(): void {
    const costs = [1, 1, 1, 2, tokensPerWindow * 3];
    const weight = costs.reduce((sum, cost) => sum + weigh(cost), 0) / costs.length;
    const about = (random.between(0.3, 1.3) * (threshold / windowMs)) / weight;
    let at = 0;
    let [rate, spread, until] = [about, isolates, 0];
    for (let count = 0; count < 6 * threshold && at < RUN_MS - 20_000; count++) {
      if (at >= until) {
        rate = random.pick([about, about, about, about, about / 4, about * 2]);
        spread = random.integer(1, isolates);
        until = at + random.between(0.1, 1.5) * windowMs;
      }
      at += random.exponential(1 / rate);
      const isolate = random.integer(0, spread - 1);
      const cost = costs[random.integer(0, costs.length - 1)] ?? 1;
      clock.after(at, () => attempt(isolate, cost));
    }
  }

  function weigh(cost: number): number {
    return Math.min(cost, Math.max(1, Math.floor(tokensPerWindow / 10)));
  }

  function attempt(isolate: number, cost: number): void {
    const tracker = trackers[isolate];
    // The ban is known: nothing more is counted.
    if (tracker === undefined || bannedAt !== undefined) return;
    const now = clockNow();
    const decision = take(bucket, limit, cost, now);
    bucket = decision.bucket;
    if (!decision.allowed) refusedEver.add(tracker);
    attempts.push({ at: now, isolate, weight: weigh(cost) });
    const duty = trackAttempt(tracker, [cost], !decision.allowed, now);
    if (seenAt === undefined && seen(now) >= threshold) seenAt = now;
    if (duty === "watch") see(tracker, tracker.reportedUntil);
    if (duty === "one") send(tracker, nextReports(tracker, now), () => {});
  }

  /** Attempts of the last 57/60 of a window at isolates that refused the client within the last one. */
  function seen(now: number): number {
    let sum = 0;
    for (let index = attempts.length - 1; index >= 0; index--) {
      const one = attempts[index];
      if (one === undefined || one.at <= now - Math.floor((windowMs * 57) / 60)) break;
      const tracker = trackers[one.isolate];
      if (tracker !== undefined && now - tracker.refusedAt < windowMs) sum += one.weight;
    }
    return sum;
  }

  /** As `sendReports` of the Worker does it, call by call. */
  function see(tracker: AttemptTracker, until: number): void {
    const now = clockNow();
    const due = trackerDueAt(tracker, now);
    if (due === undefined) {
      tracker.reportedUntil = -Infinity;
      return;
    }
    if (now < due && now < until) {
      const slowMs = mutation === "reports-late" ? 3_000 : 0;
      clock.after(Math.min(due, until) - now + slowMs, () => see(tracker, until));
      return;
    }
    const items = nextReports(tracker, now);
    if (items.length === 0) {
      clock.after(PAUSE_MS, () => see(tracker, until));
      return;
    }
    send(tracker, items, (isHeard) => {
      if (isHeard) see(tracker, until);
      else clock.after(PAUSE_MS, () => see(tracker, until));
    });
  }

  function send(tracker: AttemptTracker, items: readonly ReportItem[], then: (isHeard: boolean) => void): void {
    if (!refusedEver.has(tracker)) reportsUnrefused += 1;
    let isOver = false;
    const over = (isHeard: boolean) => {
      if (!isOver) then(isHeard);
      isOver = true;
    };
    const answered = (reply: ReportReply) => {
      reportsAnswered(tracker, items, reply);
      over(true);
    };
    travel(() => receive(items, answered));
    clock.after(1_000, () => over(false));
  }

  function receive(items: readonly ReportItem[], answered: (reply: ReportReply) => void): void {
    const now = clockNow();
    let abuse: Abuse = unpackAbuse(record) ?? NO_ABUSE;
    for (const { policy, report, ban } of items) {
      if (mutation === "counts-repeats") repeats += 1;
      const heard = mutation === "counts-repeats" ? { ...report, seq: repeats } : report;
      abuse = judge(abuse, { policy, configVersion: 1, rule, ban }, heard, now);
    }
    record = packAbuse(abuse);
    if (isBanned(abuse.ban, now)) bannedAt ??= now;
    const told = abuse.policies.map(({ policy, attempts }) => {
      const { attempts: count, isolates } = attemptsReply(attempts, rule);
      return { policy, attempts: count, isolates };
    });
    travel(() => answered({ v: 1, items: told }));
  }

  function travel(arrive: () => void): void {
    if (random.next() < net.loss) return;
    const takesMs = random.between(1, net.oneWayMs);
    clock.after(takesMs, arrive);
    if (random.next() < net.doubled) clock.after(takesMs + random.between(0, net.lateMs), arrive);
  }
}

/** The attempts of each window that ends with one. */
function windowsOf(attempts: readonly Attempt[], windowMs: number): { readonly at: number; readonly sum: number }[] {
  let [first, sum] = [0, 0];
  return attempts.map(({ at, weight }) => {
    sum += weight;
    for (let old = attempts[first]; old !== undefined && old.at <= at - windowMs; old = attempts[first]) {
      sum -= old.weight;
      first += 1;
    }
    return { at, sum };
  });
}
