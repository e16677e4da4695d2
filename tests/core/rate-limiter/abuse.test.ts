import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Abuse } from "../../../objects/rate-limiter/bans/abuse.ts";
import { NO_ABUSE, judge, startBan, unban } from "../../../objects/rate-limiter/bans/abuse.ts";
import type { AttemptReport } from "../../../objects/rate-limiter/bans/attempts.ts";
import {
  abuseThreshold,
  attemptsReply,
  forgettableAt,
  isAbuse,
  noAttempts,
  countReport,
} from "../../../objects/rate-limiter/bans/attempts.ts";
import { DEFAULT_BAN_RULE, banByOrder, isBanned } from "../../../objects/rate-limiter/bans/bans.ts";
import type { Fate, Seen } from "./abuse-world.ts";
import { anyPlan, play } from "./abuse-world.ts";
import { START } from "./arbitraries.ts";

const RUNS = { numRuns: 1_500 };
const RULE = { tokensPerWindow: 10, windowMs: 60_000 };
const JUDGEMENT = { policy: "limit", configVersion: 1, rule: RULE, ban: DEFAULT_BAN_RULE };

function reported(seq: number, count: number, sentAt: number, ageMs = 0): AttemptReport {
  return { isolate: "a", seq, sentAt, counts: [{ ageMs, count }] };
}

/** When a window of `length` (open at its beginning) first held `threshold` attempts; undefined: it never did. */
function reachedAt({ log }: Seen, threshold: number, length: number): number | undefined {
  for (const { at: end } of log) {
    let sum = 0;
    for (const { at, count } of log) if (at <= end && at > end - length) sum += count;
    if (sum >= threshold) return end;
  }
  return undefined;
}

describe("in a fleet", () => {
  it("bans nobody for what was lost, repeated, reordered or late: only for attempts that were made in one window", () => {
    const anyFate: fc.Arbitrary<Fate> = fc.record({
      latencyMs: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 15_000 })),
      isLost: fc.nat({ max: 9 }).map((dice) => dice === 0),
      again: fc.option(fc.oneof(fc.nat({ max: 500 }), fc.nat({ max: 60_000 })), { nil: undefined }),
    });
    let [bans, near] = [0, 0];
    fc.assert(
      fc.property(anyPlan(anyFate), (plan) => {
        const seen = play(plan);
        const threshold = abuseThreshold(plan.rule);
        const due = reachedAt(seen, threshold, plan.rule.windowMs);
        if (seen.bannedAt !== undefined) {
          bans += 1;
          expect(due).toBeDefined();
          expect(due).toBeLessThanOrEqual(seen.bannedAt);
        }
        if (due === undefined && reachedAt(seen, Math.ceil(threshold * 0.8), plan.rule.windowMs) !== undefined)
          near += 1;
      }),
      RUNS,
    );
    // The runs came close from both sides; else the property would say nothing.
    expect(bans).toBeGreaterThan(100);
    expect(near).toBeGreaterThan(50);
  });

  it("bans at the latest 1 s and one round trip after the factor is exceeded, whatever the isolates", () => {
    const oneWayMs = 120;
    const anyFate: fc.Arbitrary<Fate> = fc.record({
      latencyMs: fc.integer({ min: 1, max: oneWayMs }),
      isLost: fc.constant(false),
      again: fc.option(fc.nat({ max: 5_000 }), { nil: undefined }),
    });
    let bans = 0;
    fc.assert(
      fc.property(anyPlan(anyFate), (plan) => {
        const seen = play(plan);
        const due = reachedAt(seen, abuseThreshold(plan.rule), Math.floor((plan.rule.windowMs * 57) / 60));
        if (due === undefined) return;
        bans += 1;
        expect(seen.bannedAt).toBeDefined();
        expect((seen.bannedAt ?? Infinity) - due).toBeLessThanOrEqual(1_000 + 2 * oneWayMs);
      }),
      RUNS,
    );
    expect(bans).toBeGreaterThan(100);
  });
});

describe("the owner's judgement", () => {
  it("bans for 24 hours at five times the limit, and not one attempt earlier", () => {
    const before = judge(NO_ABUSE, JUDGEMENT, reported(1, 49, START), START);
    expect(before.ban).toBeUndefined();
    expect(judge(before, JUDGEMENT, reported(2, 1, START), START).ban).toEqual({
      since: START,
      until: START + 86_400_000,
      reason: "limit: 50 attempts or more within 60000 ms",
      level: 0,
    });
  });

  it("counts a report once, and its repetition after a minute not at all", () => {
    let abuse = judge(NO_ABUSE, JUDGEMENT, reported(1, 30, START), START);
    for (const late of [0, 5, 9_999, 60_000]) abuse = judge(abuse, JUDGEMENT, reported(1, 30, START), START + late);
    expect(abuse.ban).toBeUndefined();
    expect(judge(abuse, JUDGEMENT, reported(2, 30, START + 30_000), START + 30_000).ban).toBeUndefined();
  });

  it("is not tempted by limits below 10", () => {
    const small = { ...JUDGEMENT, rule: { ...RULE, tokensPerWindow: 9 } };
    expect(judge(NO_ABUSE, small, reported(1, 1_000_000, START), START).ban).toBeUndefined();
    expect(abuseThreshold({ ...RULE, factor: 2.55 })).toBe(26);
  });

  it("is not extended by attempts during the ban, nor are they held against the client after it", () => {
    const banned = judge(NO_ABUSE, JUDGEMENT, reported(1, 50, START), START);
    const end = START + 86_400_000;
    const during = judge(banned, JUDGEMENT, reported(2, 500, end - 10), end - 10);
    expect(during.ban).toEqual(banned.ban);
    const other = judge(during, { ...JUDGEMENT, policy: "other" }, reported(3, 500, end - 1), end + 100);
    expect(other.ban).toEqual(banned.ban);
    const late = judge(during, JUDGEMENT, reported(3, 500, end - 1), end + 100);
    expect([isBanned(late.ban, end - 1), isBanned(late.ban, end + 100)]).toEqual([true, false]);
    expect(isBanned(judge(late, JUDGEMENT, reported(4, 49, end + 200), end + 200).ban, end + 200)).toBe(false);
    expect(isBanned(judge(late, JUDGEMENT, reported(4, 50, end + 200), end + 200).ban, end + 200)).toBe(true);
  });

  it("does not renew a ban that an operator ended, from reports still on their way, under any limit", () => {
    const banned = judge(NO_ABUSE, JUDGEMENT, reported(1, 50, START), START);
    const free = unban(banned, START + 5_000);
    expect(free.ban).toBeUndefined();
    const after = judge(free, JUDGEMENT, reported(2, 90, START + 4_999), START + 5_100);
    expect(after.ban).toBeUndefined();
    const other = judge(after, { ...JUDGEMENT, policy: "other" }, reported(3, 90, START + 4_999), START + 5_100);
    expect(other.ban).toBeUndefined();
    expect(judge(other, JUDGEMENT, reported(4, 50, START + 5_100), START + 5_100).ban).toBeDefined();
    const third = judge(other, { ...JUDGEMENT, policy: "third" }, reported(4, 50, START + 5_100), START + 5_100);
    expect(third.ban).toBeDefined();
  });

  it("leaves an operator's ban as it is", () => {
    const ordered = startBan(NO_ABUSE, banByOrder(undefined, 60_000, "scraping", START));
    expect(judge(ordered, JUDGEMENT, reported(1, 500, START), START).ban).toEqual({
      since: START,
      until: START + 60_000,
      reason: "scraping",
      level: 0,
    });
  });

  it("counts each limit by itself", () => {
    const first = judge(NO_ABUSE, JUDGEMENT, reported(1, 30, START), START);
    const both: Abuse = judge(first, { ...JUDGEMENT, policy: "other" }, reported(1, 30, START), START);
    expect(both.ban).toBeUndefined();
    expect(both.policies.map(({ policy }) => policy)).toEqual(["limit", "other"]);
  });
});

describe("attempts", () => {
  it.each([
    { title: "from 10 s ago", sentAt: START - 10_000, counted: 7 },
    { title: "from longer ago", sentAt: START - 10_001, counted: 0 },
    { title: "from 5 s ahead", sentAt: START + 5_000, counted: 7 },
    { title: "from further ahead", sentAt: START + 5_001, counted: 0 },
  ])("of a report $title count as $counted", ({ sentAt, counted }) => {
    expect(attemptsReply(countReport(noAttempts(0, START), RULE, reported(1, 7, sentAt), START), RULE).attempts).toBe(
      counted,
    );
  });

  it("leave with the window", () => {
    const attempts = countReport(noAttempts(0, START), RULE, reported(1, 50, START, 500), START);
    expect(isAbuse(attempts, RULE)).toBe(true);
    const later = countReport(attempts, RULE, reported(2, 1, START + 70_000), START + 70_000);
    expect(attemptsReply(later, RULE)).toEqual({ attempts: 1, isolates: 1 });
    expect(isAbuse(later, RULE)).toBe(false);
  });

  it("counted as one do not stretch a window", () => {
    // 25 at 0, and 25 that were counted as from 59.998 s, which may have been made as late as 60.990 s.
    const first = countReport(noAttempts(0, START), RULE, reported(1, 25, START), START);
    const end = START + 60_990;
    expect(isAbuse(countReport(first, RULE, reported(2, 25, end, 992), end), RULE)).toBe(false);
  });

  it("are forgotten when the owner's clock steps back, and what comes from before it with them", () => {
    const attempts = countReport(noAttempts(0, START), RULE, reported(1, 49, START), START);
    const back = countReport(attempts, RULE, reported(2, 49, START - 2), START - 1);
    expect(back.buckets).toEqual([]);
    expect(attemptsReply(countReport(back, RULE, reported(3, 3, START), START), RULE)).toEqual({
      attempts: 3,
      isolates: 1,
    });
  });

  it("tell how many isolates reported in the last 2 s, and when they no longer matter", () => {
    const first = countReport(noAttempts(0, START), RULE, reported(1, 1, START), START);
    const second = countReport(first, RULE, { ...reported(1, 1, START), isolate: "b" }, START + 2_000);
    expect(attemptsReply(second, RULE)).toEqual({ attempts: 2, isolates: 2 });
    expect(attemptsReply(noAttempts(0, START), RULE)).toEqual({ attempts: 0, isolates: 1 });
    expect(forgettableAt(second, RULE)).toBe(START + 2_000 + 120_000);
    expect(forgettableAt(noAttempts(0, START), RULE)).toBe(START);
  });
});
