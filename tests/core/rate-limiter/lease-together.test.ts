import { describe, expect, it } from "vitest";
import { newBorrower, type BorrowedLimit, type Borrower } from "../../../objects/rate-limiter/leases/borrower.ts";
import { answer, arrive, askToHold, isHeld, spend, turnAway } from "../../../objects/rate-limiter/leases/lease.ts";
import type { LeaseReply, LeaseReplyItem } from "../../../objects/rate-limiter/leases/lease-messages.ts";
import { START } from "./arbitraries.ts";

const bucket: BorrowedLimit = { policy: "p", tokensPerWindow: 100, windowMs: 1_000, burst: 100, shadow: false };

function borrower(...limits: readonly BorrowedLimit[]): Borrower {
  return newBorrower("client", 1, limits, { isolate: "a", seq: 0 });
}

/** The owner's answer to a message about one policy. */
function hear(one: Borrower, seq: number, changes: Partial<LeaseReplyItem>, now: number, leaseId: number | null): void {
  const rest = { allowed: true, remaining: 0, retryAfterMs: 0, kept: 0, granted: 0, rem: 0, room: 100, roomMs: null };
  const reply = { v: 1, allowed: true, leaseId, ttlMs: 1_000, holdMs: 0, closeIdleMs: null } as const;
  const full: LeaseReply = { ...reply, items: [{ policy: "p", ...rest, ...changes }] };
  answer(one, seq, full, now);
}

describe("a request that other owners decide about too", () => {
  it("asks for its cost to be lent, and spends it only when they agree", () => {
    const one = borrower(bucket);
    expect([turnAway(one, [3], START), isHeld(one, [3], START)]).toEqual([undefined, false]);
    const message = askToHold(one, [3], START);
    expect(message).toMatchObject({ hold: true, keep: false, items: [{ cost: 3 }] });
    hear(one, 1, { granted: 3 }, START + 30, 7);
    expect(one.holdings[0]?.tokens).toBe(3);
    expect(isHeld(one, [3], START + 40)).toBe(true);
    expect(spend(one, [3], START + 40)).toMatchObject({ kind: "admitted", shadowed: false });
    expect(one.holdings[0]?.tokens).toBe(0);
  });

  it("leaves what was lent to the next one when another owner refused", () => {
    const one = borrower(bucket);
    askToHold(one, [1], START);
    hear(one, 1, { granted: 1 }, START + 30, 7);
    expect(arrive(one, [1], START + 50)).toMatchObject({ kind: "admitted" });
  });

  it("waits while a call is under way", () => {
    const one = borrower(bucket);
    arrive(one, [1], START);
    expect(askToHold(one, [1], START + 10)).toBeUndefined();
    expect(askToHold(one, [1], START + 1_000)).toMatchObject({ hold: true });
  });

  it("is turned away without a call by what is known", () => {
    const one = borrower(bucket);
    askToHold(one, [1], START);
    hear(one, 1, { allowed: false, remaining: 0 }, START + 30, null);
    expect(turnAway(one, [2], START + 35)).toEqual({ kind: "refused", retryAfterMs: [15] });
    expect(one.holdings[0]?.denied).toBe(2);
  });
});

describe("a window, which does not refill little by little", () => {
  const day: BorrowedLimit = { ...bucket, algorithm: "fixed-window", tokensPerWindow: 20, windowMs: 86_400_000 };

  it("is refused until something is released", () => {
    const one = borrower(day);
    arrive(one, [1], START);
    hear(one, 1, { allowed: false, remaining: 2, room: 2, roomMs: 700 }, START, null);
    expect(arrive(one, [3], START + 100)).toEqual({ kind: "refused", retryAfterMs: [600] });
    expect(arrive(one, [2], START + 100).kind).toBe("ask");
    expect(arrive(borrower(day), [21], START)).toEqual({ kind: "refused", retryAfterMs: [null] });
  });

  it("asks again once something has been released", () => {
    const one = borrower(day);
    arrive(one, [1], START);
    hear(one, 1, { allowed: false, remaining: 0, room: 0, roomMs: 700 }, START, null);
    expect(arrive(one, [1], START + 700).kind).toBe("ask");
  });

  it("says in every message how it counts", () => {
    const zone = { unit: "day", timeZone: "Europe/Berlin" } as const;
    const arrival = arrive(borrower({ ...day, calendar: zone }), [1], START);
    expect(arrival).toMatchObject({ message: { items: [{ algorithm: "fixed-window", calendar: zone }] } });
  });
});

it("lays a pause to the policy that lacks tokens", () => {
  const one = borrower(bucket, { ...bucket, policy: "q" });
  const arrival = arrive(one, [1, 1], START);
  if (arrival.kind !== "ask") throw new Error("wanted to ask");
  const item = { allowed: true, remaining: 50, retryAfterMs: 0, kept: 0, granted: 0, rem: 0, room: 100, roomMs: null };
  const items = [
    { ...item, policy: "p" },
    { ...item, policy: "q", remaining: 0 },
  ];
  const rest = { allowed: true, leaseId: null, ttlMs: 1_000, closeIdleMs: null };
  answer(one, arrival.message.seq, { v: 1, ...rest, holdMs: 80, items }, START);
  expect(arrive(one, [1, 1], START)).toEqual({ kind: "refused", retryAfterMs: [0, 80] });
  expect(arrive(one, [1, 1], START + 20)).toEqual({ kind: "refused", retryAfterMs: [60, 60] });
});

it("says which shadow policy would have refused", () => {
  const one = borrower({ ...bucket, shadow: true }, { ...bucket, policy: "q", burst: 5, shadow: true });
  expect(arrive(one, [101, 1], START).kind).toBe("ask");
  const two = borrower({ ...bucket, shadow: true }, { ...bucket, policy: "q", burst: 5, shadow: true });
  expect(arrive(two, [101, 6], START)).toMatchObject({ kind: "admitted", shadowed: true });
  expect(two.holdings.map(({ shadowed }) => shadowed)).toEqual([true, true]);
});
