import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { knownWait, newBorrower, remainingOf, type Borrower } from "../../../objects/rate-limiter/leases/borrower.ts";
import { answer, arrive, close, closeAt, failed, giveUp } from "../../../objects/rate-limiter/leases/lease.ts";
import type { LeaseMessage, LeaseReply } from "../../../objects/rate-limiter/leases/lease-messages.ts";
import { START } from "./arbitraries.ts";
import { oracleBucket } from "./oracle.ts";

const limit = { policy: "p", tokensPerWindow: 100, windowMs: 1_000, burst: 100, shadow: false };

function borrower(): Borrower {
  return newBorrower("client", 1, [limit], { isolate: "a", seq: 0 });
}

function asked(one: Borrower, now: number, cost = 1): LeaseMessage {
  const arrival = arrive(one, [cost], now);
  if (arrival.kind !== "ask") throw new Error(`wanted to ask, got ${arrival.kind}`);
  return arrival.message;
}

function reply(changes: Partial<LeaseReply>, item: Partial<LeaseReply["items"][number]> = {}): LeaseReply {
  const rest = { allowed: true, remaining: 50, retryAfterMs: 0, kept: 0, granted: 0, rem: 0, room: 100, roomMs: null };
  const items = [{ policy: "p", ...rest, ...item }];
  return { v: 1, allowed: true, leaseId: null, ttlMs: 1_000, holdMs: 0, closeIdleMs: null, ...changes, items };
}

/** An isolate that asked at START and heard 30 ms later that it has ten tokens for a second. */
function lent(changes: Partial<LeaseReply> = {}): Borrower {
  const one = borrower();
  answer(one, asked(one, START).seq, reply({ leaseId: 7, ...changes }, { granted: 10 }), START + 30);
  return one;
}

function kinds(one: Borrower, costs: readonly number[], now: number): readonly string[] {
  return costs.map((cost) => arrive(one, [cost], now).kind);
}

describe("what an isolate holds", () => {
  it("is spent without asking until it is gone or the time from its request on is over", () => {
    expect(kinds(lent(), [4, 4, 2], START + 999)).toEqual(["admitted", "admitted", "admitted"]);
    expect(remainingOf(lent(), 0, START + 999)).toBe(60);
    expect(kinds(lent(), [1], START + 1_000)).toEqual(["ask"]);
    expect(kinds(lent(), [1], START - 1)).toEqual(["ask"]);
  });

  it("is let go of before it is returned", () => {
    const one = lent();
    arrive(one, [4], START + 100);
    expect(giveUp(one, START + 150)).toMatchObject({ leaseId: 7, keep: false, want: 0, items: [{ held: 6 }] });
    expect(remainingOf(one, 0, START + 150)).toBe(50);
    expect(giveUp(one, START + 150)).toBeUndefined();
  });

  it("goes back after the time without a request that the owner said, not before", () => {
    const one = lent({ closeIdleMs: 270 });
    arrive(one, [1], START + 100);
    expect(closeAt(one)).toBe(START + 370);
    expect(close(one, START + 369)).toBeUndefined();
    expect(close(one, START + 370)).toMatchObject({ leaseId: 7, keep: false, items: [{ held: 9 }] });
    expect(closeAt(one)).toBeUndefined();
  });

  it("is renewed in time, once, while what is left goes on being spent", () => {
    const one = lent();
    const arrivals = Array.from({ length: 9 }, (_, index) => arrive(one, [1], START + 100 + index));
    const renewals = arrivals.flatMap((arrival) => (arrival.kind === "admitted" && arrival.renewal) || []);
    expect(renewals).toHaveLength(1);
    expect(renewals[0]).toMatchObject({ leaseId: 7, keep: true });
    const held = renewals[0]?.items[0]?.held ?? 0;
    answer(one, 2, reply({ leaseId: 8 }, { kept: held, granted: 5 }), START + 140);
    expect(remainingOf(one, 0, START + 140)).toBe(1 + 5 + 50);
  });

  it("does not change by a reply that is no longer awaited", () => {
    const one = borrower();
    const first = asked(one, START);
    const second = asked(one, START + 1_000);
    answer(one, first.seq, reply({ leaseId: 7 }, { granted: 10 }), START + 1_010);
    expect(kinds(one, [1], START + 1_020)).toEqual(["wait"]);
    answer(one, second.seq, reply({ leaseId: 8 }, { granted: 3 }), START + 1_030);
    expect(remainingOf(one, 0, START + 1_030)).toBe(53);
  });

  it("is said to have been spent when it was", () => {
    const one = lent({ ttlMs: 1_000 });
    arrive(one, [2], START + 600);
    arrive(one, [3], START + 900);
    const sent = giveUp(one, START + 950);
    // The lease's first message knew no time to live yet, and counted in bins for the longest.
    expect(sent).toMatchObject({ spanMs: 950, binMs: 500, items: [{ spent: [0, 5, 0, 0, 0, 0, 0, 0, 0, 0] }] });
  });
});

describe("a request that meets a call under way", () => {
  it("looks again every 5 ms and makes its own call after 100 ms, which asks for no lease", () => {
    const one = borrower();
    asked(one, START);
    expect(arrive(one, [1], START + 1)).toEqual({ kind: "wait", pollMs: 5 });
    expect(arrive(one, [1], START + 96, 95).kind).toBe("wait");
    expect(arrive(one, [1], START + 101, 100)).toMatchObject({ kind: "ask", message: { leaseId: null, want: 0 } });
  });

  it("asks itself when that call has failed, or was not heard of for a second", () => {
    const one = borrower();
    failed(one, asked(one, START).seq, START + 40);
    expect(kinds(one, [1], START + 41)).toEqual(["ask"]);
    expect(kinds(one, [1], START + 1_040)).toEqual(["wait"]);
    expect(kinds(one, [1], START + 1_041)).toEqual(["ask"]);
  });
});

describe("a refusal without a call", () => {
  function told(item: Partial<LeaseReply["items"][number]>, changes: Partial<LeaseReply> = {}): Borrower {
    const one = borrower();
    answer(one, asked(one, START).seq, reply({ allowed: false, ...changes }, { allowed: false, ...item }), START);
    return one;
  }

  it("gives each cost its own wait, the shortest that helps", () => {
    fc.assert(
      fc.property(fc.nat({ max: 99 }), fc.nat({ max: 999 }), fc.integer({ min: 1, max: 100 }), (level, rem, cost) => {
        const one = told({ remaining: level, rem });
        const arrival = arrive(one, [cost], START);
        const oracle = oracleBucket(limit, START);
        oracle.take(100 - level, START);
        const waitMs = Math.max(0, Math.ceil(((cost - level) * 1_000 - rem) / 100));
        expect(arrival).toEqual(
          waitMs === 0 ? expect.objectContaining({ kind: "ask" }) : { kind: "refused", retryAfterMs: [waitMs] },
        );
        if (rem === 0 && waitMs > 0) expect(oracle.look(cost, START).retryAfterMs).toBe(waitMs);
        const [holding] = one.holdings;
        if (waitMs === 0 || holding === undefined) return;
        expect(knownWait(one, holding, cost, START + Math.min(999, waitMs - 1))).toBeGreaterThan(0);
        expect(knownWait(one, holding, cost, START + waitMs)).toBe(0);
      }),
    );
  });

  it("says never for what exceeds the burst", () => {
    expect(arrive(borrower(), [101], START)).toEqual({ kind: "refused", retryAfterMs: [null] });
  });

  it("of what could never pass is no demand, which would have others paused", () => {
    const [one, other] = [borrower(), borrower()];
    expect(kinds(one, [101, 999_999_999_000], START)).toEqual(["refused", "refused"]);
    expect(asked(one, START + 10)).toEqual(asked(other, START + 10));
  });

  it("waits for a lease to end where others leave no room", () => {
    const one = told({ remaining: 10, room: 40, roomMs: 700 });
    expect(arrive(one, [41], START)).toEqual({ kind: "refused", retryAfterMs: [700] });
    expect(arrive(one, [40], START)).toEqual({ kind: "refused", retryAfterMs: [300] });
  });

  it("is good for a second: after that the owner is asked", () => {
    const one = told({ remaining: 0, rem: 0, room: 1, roomMs: 4_000 });
    expect(kinds(one, [2], START + 999)).toEqual(["refused"]);
    expect(kinds(one, [2], START + 1_000)).toEqual(["ask"]);
  });

  it("lasts as long as the owner asked for a pause", () => {
    const one = told({ remaining: 60 }, { holdMs: 1_500 });
    expect(arrive(one, [1], START + 1_400)).toEqual({ kind: "refused", retryAfterMs: [100] });
    expect(kinds(one, [1], START + 1_500)).toEqual(["ask"]);
  });
});

describe("several policies in an isolate", () => {
  const slow = { policy: "q", tokensPerWindow: 60, windowMs: 60_000, burst: 60, shadow: false };

  function both(shadow: boolean): Borrower {
    const one = newBorrower("client", 1, [limit, { ...slow, shadow }], { isolate: "a", seq: 0 });
    const sent = asked(one, START);
    const [item] = reply({}, { granted: 10, remaining: 0 }).items;
    if (item === undefined) throw new Error("no item");
    const items = [item, { ...item, policy: "q", granted: 3 }];
    answer(one, sent.seq, { ...reply({ leaseId: 7 }), items }, START + 30);
    return one;
  }

  it("give all or none", () => {
    const one = both(false);
    expect(arrive(one, [4, 4], START + 50)).toEqual({ kind: "refused", retryAfterMs: [0, 980] });
    expect(one.holdings.map(({ tokens }) => tokens)).toEqual([10, 3]);
    expect(arrive(one, [3, 3], START + 50).kind).toBe("admitted");
    expect(one.holdings.map(({ tokens }) => tokens)).toEqual([7, 0]);
  });

  it("that only watch are not in the way and not taken from", () => {
    const one = both(true);
    expect(arrive(one, [4, 4], START + 50)).toMatchObject({ kind: "admitted", shadowed: true });
    expect(one.holdings.map(({ tokens }) => tokens)).toEqual([6, 3]);
  });
});

it("reports the demand before the request that asks, so that one request a second looks like one", () => {
  const one = borrower();
  expect(asked(one, START).items[0]?.rate).toBe(0);
  failed(one, 1, START + 10);
  expect(asked(one, START + 1_000).items[0]?.rate).toBeCloseTo(Math.exp(-1));
});
