import { describe, expect, it } from "vitest";
import type { Ban } from "../../../objects/rate-limiter/bans/bans.ts";
import {
  DEFAULT_BAN_RULE,
  banByOrder,
  banFor,
  banForgettableAt,
  cacheableMs,
  isBanned,
} from "../../../objects/rate-limiter/bans/bans.ts";
import { START } from "./arbitraries.ts";

const HOUR_MS = 3_600_000;
const LADDER = { durationsMs: [300_000, HOUR_MS, 12 * HOUR_MS], rememberMs: 7 * 24 * HOUR_MS };

describe("a ban", () => {
  const ban = banFor(undefined, DEFAULT_BAN_RULE, "too much", START);

  it("lasts 24 hours by default, to the millisecond", () => {
    expect(ban).toEqual({ since: START, until: START + 24 * HOUR_MS, reason: "too much", level: 0 });
    expect([
      isBanned(undefined, START),
      isBanned(ban, START),
      isBanned(ban, ban.until - 1),
      isBanned(ban, ban.until),
    ]).toEqual([false, true, true, false]);
  });

  it("is not made longer by another while it lasts", () => {
    expect(banFor(ban, DEFAULT_BAN_RULE, "more", ban.until - 1)).toBe(ban);
  });

  it("is known by heart for 2 s at most, and never beyond its end", () => {
    expect(cacheableMs(ban, START)).toBe(2_000);
    expect(cacheableMs(ban, ban.until - 700)).toBe(700);
    expect(cacheableMs(ban, ban.until)).toBe(0);
    expect(cacheableMs(undefined, START)).toBe(0);
  });

  it("tells its reason in 200 characters", () => {
    expect(banFor(undefined, DEFAULT_BAN_RULE, "x".repeat(300), START).reason).toBe("x".repeat(200));
  });

  it("by order replaces what there was and stays on its rung", () => {
    const second: Ban = { ...ban, level: 1 };
    expect(banByOrder(second, 60_000, "by hand", START + 5)).toEqual({
      since: START + 5,
      until: START + 60_005,
      reason: "by hand",
      level: 1,
    });
    expect(banByOrder(undefined, 60_000, "by hand", START).level).toBe(0);
  });

  it("survives JSON", () => {
    expect(JSON.parse(JSON.stringify(ban))).toEqual(ban);
  });
});

describe("a ladder", () => {
  it("climbs while bans follow each other, stays on its last rung, and begins anew after quiet", () => {
    let ban: Ban | undefined;
    const lengths: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      const now: number = ban === undefined ? START : ban.until + LADDER.rememberMs - 1;
      ban = banFor(ban, LADDER, "again", now);
      lengths.push(ban.until - ban.since);
    }
    expect(lengths).toEqual([300_000, HOUR_MS, 12 * HOUR_MS, 12 * HOUR_MS, 12 * HOUR_MS]);
    const quiet = banFor(ban, LADDER, "again", (ban?.until ?? 0) + LADDER.rememberMs);
    expect(quiet.until - quiet.since).toBe(300_000);
  });

  it("is kept for as long as it matters", () => {
    const ban = banFor(undefined, LADDER, "again", START);
    expect(banForgettableAt(ban, LADDER)).toBe(ban.until + LADDER.rememberMs);
    expect(banForgettableAt(ban, DEFAULT_BAN_RULE)).toBe(ban.until);
  });
});
