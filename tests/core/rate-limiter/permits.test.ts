import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  ask,
  end,
  giveUp,
  heard,
  newLease,
  overdue,
  proceed,
  start,
} from "../../../objects/rate-limiter/permits/permit-lease.ts";
import type { PermitAsk, PermitLimit, PermitReply } from "../../../objects/rate-limiter/permits/permits.ts";
import { advance, answer, freeAt, freePermits, lostPermits } from "../../../objects/rate-limiter/permits/permits.ts";
import { START } from "./arbitraries.ts";
import { anySteps, deliverAll, inFlight, newWorld, sendAsk, startSome, wait } from "./permit-world.ts";

const LIMIT: PermitLimit = { permits: 10, leaseMs: 2_000, operationTimeoutMs: 3_000 };
const RECLAIM_MS = 5_100;

function asks(id: string, seq: number, keep: number, want: number): PermitAsk {
  return { id, seq, keep, want };
}

function granted(seq: number, permits: number): PermitReply {
  return { seq, permits, counted: permits, free: 0, idleMs: 100, leaseMs: 2_000, retryAfterMs: 0 };
}

describe("whatever happens to messages, borrowers and clocks", () => {
  it("no more operations are in flight than permits, and no borrower has more than its lease", () => {
    const seen = { most: 0, refused: 0, proceeded: 0 };
    fc.assert(
      fc.property(fc.commands(anySteps, { maxCommands: 80, size: "max" }), (commands) => {
        const world = newWorld();
        fc.modelRun(() => ({ model: {}, real: world }), commands);
        seen.most = Math.max(seen.most, world.seen.most);
        seen.refused += world.seen.refused;
        seen.proceeded += world.seen.proceeded;
      }),
      { numRuns: 2_000 },
    );
    // The runs reached the limit and asked beyond it; else the property would say nothing.
    expect(seen.most).toBe(6);
    expect(seen.refused).toBeGreaterThan(1_000);
    expect(seen.proceeded).toBeGreaterThan(100);
  });

  it("the guard covers a borrower whose clock is 1 % slow and who starts in the last millisecond", () => {
    const world = newWorld();
    sendAsk(world, 2, 0, 6);
    deliverAll(world);
    // Its 2 s last 2.02 s, and its operations 3.03 s from there.
    wait(world, 2_019);
    startSome(world, 2, 6);
    expect(inFlight(world)).toBe(6);
    const seen: number[] = [];
    for (let waited = 2_020; waited <= 5_100; waited += 20) {
      wait(world, 20);
      sendAsk(world, 0, 6, 6);
      deliverAll(world);
      startSome(world, 0, 6);
      seen.push(inFlight(world));
    }
    expect(Math.max(...seen)).toBe(6);
    expect(Math.min(...seen)).toBe(0);
    expect(seen.at(-1)).toBe(6);
  });
});

describe("the owner", () => {
  it("grants what is wanted while there is enough, then what is left, then nothing", () => {
    const first = answer(freePermits(START), LIMIT, asks("a", 1, 0, 7), START);
    expect(first).toEqual({
      permits: {
        leases: [{ id: "a", permits: 7, seq: 1, startsUntil: START + 2_000, reclaimAt: START + RECLAIM_MS }],
        last: START,
      },
      reply: { seq: 1, permits: 7, counted: 7, free: 3, idleMs: 500, leaseMs: 2_000, retryAfterMs: 0 },
    });
    const second = answer(first.permits, LIMIT, asks("b", 1, 0, 7), START + 100);
    expect(second.reply).toMatchObject({ permits: 3, counted: 3, free: 0, retryAfterMs: RECLAIM_MS - 100 });
    const third = answer(second.permits, LIMIT, asks("c", 1, 0, 1), START + 200);
    expect(third).toEqual({
      permits: { ...second.permits, last: START + 200 },
      reply: {
        seq: 1,
        permits: 0,
        counted: 0,
        free: 0,
        idleMs: 200,
        leaseMs: 2_000,
        retryAfterMs: RECLAIM_MS - 200,
      },
    });
  });

  it("tells a borrower that has all there is to wait for itself alone", () => {
    const { permits } = answer(freePermits(START), LIMIT, asks("a", 1, 0, 10), START);
    expect(answer(permits, LIMIT, asks("a", 2, 10, 1), START).reply).toMatchObject({ permits: 10, retryAfterMs: 0 });
  });

  it("hands on at once what a borrower gives back", () => {
    const all = answer(freePermits(START), LIMIT, asks("a", 1, 0, 10), START).permits;
    const fewer = answer(all, LIMIT, asks("a", 2, 4, 0), START);
    expect(fewer.reply).toMatchObject({ permits: 4, counted: 4, free: 6, idleMs: 500, retryAfterMs: 0 });
    expect(answer(fewer.permits, LIMIT, asks("b", 1, 0, 10), START).reply?.permits).toBe(6);
    expect(answer(all, LIMIT, asks("a", 2, 0, 0), START).permits.leases).toEqual([]);
  });

  it("counts a question once, and none that comes after a later one", () => {
    const asked = answer(freePermits(START), LIMIT, asks("a", 2, 0, 4), START);
    expect(answer(asked.permits, LIMIT, asks("a", 2, 0, 4), START)).toEqual({
      permits: asked.permits,
      reply: undefined,
    });
    expect(answer(asked.permits, LIMIT, asks("a", 1, 0, 0), START)).toEqual({
      permits: asked.permits,
      reply: undefined,
    });
  });

  it("takes a dead borrower's permits back when its last operation must have ended, and not a millisecond earlier", () => {
    const { permits } = answer(freePermits(START), LIMIT, asks("a", 1, 0, 10), START);
    expect(freeAt(permits)).toBe(START + RECLAIM_MS);
    expect(answer(permits, LIMIT, asks("b", 1, 0, 1), START + RECLAIM_MS - 1).reply?.permits).toBe(0);
    expect(answer(permits, LIMIT, asks("b", 1, 0, 1), START + RECLAIM_MS).reply?.permits).toBe(1);
  });

  it("says under a lowered limit what to come down to, and counts what is kept until then", () => {
    const { permits } = answer(freePermits(START), LIMIT, asks("a", 1, 0, 10), START);
    const lowered = { ...LIMIT, permits: 4 };
    const renewed = answer(permits, lowered, asks("a", 2, 10, 0), START);
    expect(renewed.reply).toMatchObject({ permits: 4, counted: 10, free: 0 });
    expect(answer(renewed.permits, lowered, asks("b", 1, 0, 1), START).reply?.permits).toBe(0);
    const drained = answer(renewed.permits, lowered, asks("a", 3, 3, 0), START);
    expect(answer(drained.permits, lowered, asks("b", 1, 0, 9), START).reply?.permits).toBe(1);
  });

  it("waits under a shortened timeout for what was promised the longer one", () => {
    const { permits } = answer(freePermits(START), LIMIT, asks("a", 1, 0, 10), START);
    const shorter = { ...LIMIT, operationTimeoutMs: 10 };
    expect(freeAt(answer(permits, shorter, asks("a", 2, 10, 0), START).permits)).toBe(START + RECLAIM_MS);
  });

  it("waits out a step back of 5 s and shifts its leases after a longer one", () => {
    const { permits } = answer(freePermits(START), LIMIT, asks("a", 1, 0, 10), START);
    expect(advance(permits, START - 5_000)).toBe(permits);
    expect(freeAt(advance(permits, START - 5_001))).toBe(START - 5_001 + RECLAIM_MS);
  });

  it("takes all permits as in use after its record was lost, until all operations have ended", () => {
    const lost = lostPermits(LIMIT, START);
    expect(answer(lost, LIMIT, asks("a", 9, 3, 1), START).reply).toMatchObject({
      permits: 0,
      retryAfterMs: RECLAIM_MS,
    });
    expect(answer(lost, LIMIT, asks("a", 9, 3, 0), START).permits).toEqual(lost);
    expect(answer(lost, LIMIT, asks("a", 9, 0, 10), START + RECLAIM_MS).reply?.permits).toBe(10);
  });

  it("leases to 256 borrowers at once and lets one more wait", () => {
    const roomy = { ...LIMIT, permits: 1_000 };
    let permits = freePermits(START);
    for (let index = 0; index < 256; index += 1) {
      permits = answer(permits, roomy, asks(`borrower ${index}`, 1, 0, 1), START).permits;
    }
    expect(answer(permits, roomy, asks("one more", 1, 0, 1), START).reply).toMatchObject({
      permits: 0,
      retryAfterMs: RECLAIM_MS,
    });
    expect(answer(permits, roomy, asks("borrower 0", 2, 1, 1), START).reply?.permits).toBe(2);
  });
});

describe("the borrower", () => {
  const asked = ask(newLease("a"), 0, 2, START);
  const leased = heard(asked.lease, granted(1, 2));

  it("uses a permit again and again without asking", () => {
    let lease = leased;
    for (let round = 0; round < 5; round += 1) {
      const first = start(lease, START + round);
      const second = start(first.lease, START + round);
      expect(start(second.lease, START + round).operation).toBeUndefined();
      lease = end(end(second.lease, first.operation ?? 0), second.operation ?? 0);
    }
    expect(lease).toEqual({ ...leased, next: 11 });
  });

  it("starts nothing once the lease has ended, counted from its question", () => {
    expect(start(leased, START + 1_999).operation).toBe(1);
    expect(start(leased, START + 2_000)).toEqual({ lease: leased, operation: undefined });
  });

  it("names the operations that must be aborted", () => {
    const { lease } = start(start(leased, START).lease, START + 10);
    expect(overdue(lease, 3_000, START + 3_009)).toEqual([{ number: 1, startedAt: START }]);
    expect(overdue(lease, 3_000, START + 3_010)).toHaveLength(2);
  });

  it("lets an operation last another timeout while the lease runs and the owner counts it", () => {
    const { lease } = start(leased, START);
    const proceeded = proceed(lease, 1, START + 1_999);
    expect(proceeded?.operations).toEqual([{ number: 1, startedAt: START + 1_999 }]);
    expect(proceed(lease, 1, START + 2_000)).toBeUndefined();
  });

  it("asks the owner to count anew what it has forgotten, and lets nothing proceed until it does", () => {
    const forgotten = { ...start(leased, START).lease, permits: 0, counted: 0 };
    expect(proceed(forgotten, 1, START)).toBeUndefined();
    const again = ask(forgotten, 1, 0, START);
    expect(again.message).toEqual({ id: "a", seq: 2, keep: 1, want: 1 });
    expect(proceed(heard(again.lease, granted(2, 1)), 1, START)).toBeDefined();
  });

  it("keeps what is in flight whatever it gives back, and no permit of a lease that has ended", () => {
    const { lease } = start(leased, START);
    expect(ask(lease, 0, 0, START).message).toEqual({ id: "a", seq: 2, keep: 1, want: 0 });
    expect(ask(lease, 2, 5, START + 2_000).message).toEqual({ id: "a", seq: 2, keep: 1, want: 5 });
    expect(ask(lease, 9, 0, START).message.keep).toBe(2);
    expect(ask(leased, 0, 0, START).lease.permits).toBe(0);
  });

  it("ignores the answer to any question but its last, and to one given up", () => {
    const again = ask(leased, 2, 3, START + 500);
    expect(heard(again.lease, granted(1, 9))).toBe(again.lease);
    expect(heard(giveUp(again.lease), granted(2, 9)).permits).toBe(2);
    expect(heard(again.lease, granted(2, 5))).toMatchObject({
      permits: 5,
      startsUntil: START + 2_500,
      askedAt: undefined,
    });
  });
});
