import { describe, expect, it } from "vitest";
import {
  againInMs,
  arrive,
  arriveAgain,
  giveUpAhead,
  hearGrant,
  hearTrip,
  newBorrower,
  startOf,
  toleranceMs,
  type Borrower,
  type HeldSlot,
} from "../../../objects/upstream-quota/quota-borrower.ts";
import type { AcquireReply } from "../../../objects/upstream-quota/quota-messages.ts";

type Granted = Extract<AcquireReply, { kind: "granted" }>;

function granted(changes: Partial<Granted> = {}): Granted {
  const slots = [{ id: 1, inMs: 0, forMs: 250 }];
  return { v: 1, kind: "granted", heldMs: 0, slots, epoch: 1, wantsSuccess: false, ...changes };
}

/** An isolate that has seen a round trip of so long. */
function after(tripMs: number): Borrower {
  return hearGrant(newBorrower(), granted(), { sentAt: 0, receivedAt: tripMs }).borrower;
}

function slotOf(reply: Granted, times: { sentAt: number; receivedAt: number }): HeldSlot {
  const { slot } = hearGrant(newBorrower(), reply, times);
  if (slot === undefined) throw new Error("a grant without a slot");
  return slot;
}

describe("a request", () => {
  it("starts at once when its slot is now, and up to its end as seen from the question", () => {
    const slot = slotOf(granted({ heldMs: 10_000 }), { sentAt: 1_000, receivedAt: 11_050 });
    expect(startOf(slot, 11_050)).toEqual({ kind: "start" });
    // 1,000 + 10,000 + 250, less 0.2 % of 10,250 and 20.
    expect(slot.latestAt).toBe(11_209.5);
    expect(startOf(slot, 11_209)).toEqual({ kind: "start" });
    expect(startOf(slot, 11_210)).toEqual({ kind: "late" });
  });

  it("does not start by a slot that may be over since its answer was long under way", () => {
    const slot = slotOf(granted(), { sentAt: 1_000, receivedAt: 1_400 });
    expect(startOf(slot, 1_400)).toEqual({ kind: "late" });
  });

  it("does not start when its clock has stepped back while it waited", () => {
    const slot = slotOf(granted({ heldMs: 10_000 }), { sentAt: 1_000, receivedAt: 9_000 });
    expect(startOf(slot, 9_000)).toEqual({ kind: "late" });
  });

  it("waits for a slot that lies ahead until it has surely begun", () => {
    const slot = slotOf(granted({ slots: [{ id: 1, inMs: 500, forMs: 250 }] }), { sentAt: 1_000, receivedAt: 1_050 });
    expect(startOf(slot, 1_050)).toEqual({ kind: "wait", ms: 521 });
    expect(startOf(slot, 1_571)).toEqual({ kind: "start" });
  });

  it("takes a slot ahead, each once", () => {
    const slots = [1, 2, 3].map((id) => ({ id, inMs: 0, forMs: 500 }));
    const { borrower, slot } = hearGrant(newBorrower(), granted({ slots, epoch: 4 }), { sentAt: 0, receivedAt: 20 });
    expect(slot?.id).toBe(1);
    const first = arrive(borrower, { now: 30, deadlineAt: 1_000 });
    const second = arrive(first.borrower, { now: 30, deadlineAt: 1_000 });
    const third = arrive(second.borrower, { now: 30, deadlineAt: 1_000 });
    expect([first.step, second.step]).toMatchObject([
      { kind: "start", slot: { id: 2, epoch: 4 } },
      { kind: "start", slot: { id: 3 } },
    ]);
    expect(third.step.kind).toBe("ask");
  });

  it("gives slots ahead back whose time is over, and leaves those that begin too late for it", () => {
    const slots = [
      { id: 1, inMs: 0, forMs: 250 },
      { id: 2, inMs: 0, forMs: 250 },
      { id: 3, inMs: 480, forMs: 500 },
    ];
    const { borrower } = hearGrant(newBorrower(), granted({ slots }), { sentAt: 0, receivedAt: 20 });
    const { step } = arrive(borrower, { now: 400, deadlineAt: 500 });
    expect(step).toEqual({ kind: "ask", ask: { waitMs: 80, toleranceMs: 100, spare: 0, unused: [2] } });
  });

  it("asks for as long a wait as leaves the answer time to come", () => {
    expect(arrive(after(30), { now: 0, deadlineAt: 1_000 }).step).toMatchObject({ ask: { waitMs: 970 } });
  });

  it("is refused at its deadline", () => {
    expect(arrive(after(30), { now: 1, deadlineAt: 0 }).step).toEqual({ kind: "refuse" });
    expect(arriveAgain(after(30), { now: 1_001, deadlineAt: 1_000 }, [7]).kind).toBe("refuse");
  });

  it("asks though the last answers took longer than it can wait: else nobody would see that the way is short again", () => {
    expect(arrive(after(3_000), { now: 0, deadlineAt: 400 }).step).toMatchObject({ kind: "ask", ask: { waitMs: 300 } });
  });

  it("asks for no longer a wait than an owner grants", () => {
    expect(arrive(after(0), { now: 0, deadlineAt: 1e9 }).step).toMatchObject({ ask: { waitMs: 300_000 } });
  });

  it("asks again with what is left of its time, and gives back what it could not use", () => {
    const step = arriveAgain(after(30), { now: 400, deadlineAt: 1_000 }, [7]);
    expect(step).toEqual({ kind: "ask", ask: { waitMs: 570, toleranceMs: 130, spare: 0, unused: [7] } });
    expect([againInMs(0), againInMs(0.999)]).toEqual([0, 99]);
  });
});

describe("an isolate", () => {
  it.each([
    ["has seen nothing yet", [], 250],
    ["is near", [5, 8], 100],
    ["is far", [150, 90], 490],
    ["is too far", [5_000], 2_000],
    ["was far nine questions ago", [500, 10, 10, 10, 10, 10, 10, 10, 30], 130],
  ])("that %s asks for slots of the right length", (_title, trips, wanted) => {
    let borrower = newBorrower();
    for (const tripMs of trips) {
      ({ borrower } = hearGrant(borrower, granted({ heldMs: 1_000 }), { sentAt: 0, receivedAt: 1_000 + tripMs }));
    }
    expect(toleranceMs(borrower)).toBe(wanted);
  });

  it.each([
    [200, 640],
    [-5_000, 100],
  ])("that has only asked how far it is, %i ms, knows it by that", (ms, wanted) => {
    expect(toleranceMs(hearTrip(newBorrower(), ms))).toBe(wanted);
  });

  it("asks ahead for what it expects to use in half a second, by its last whole second", () => {
    let borrower = newBorrower();
    for (let now = 1_000; now < 2_000; now += 50) ({ borrower } = arrive(borrower, { now, deadlineAt: 9_000 }));
    expect(arrive(borrower, { now: 2_100, deadlineAt: 9_000 }).step).toMatchObject({ ask: { spare: 10 } });
    expect(arrive(borrower, { now: 3_100, deadlineAt: 9_000 }).step).toMatchObject({ ask: { spare: 0 } });
  });

  it("asks ahead once until some come, for a second at most, and not for what it has", () => {
    let borrower = newBorrower();
    const spareAt = (now: number) => {
      const next = arrive(borrower, { now, deadlineAt: 9_000 });
      borrower = next.borrower;
      return next.step.kind === "ask" ? next.step.ask.spare : "a slot";
    };
    const all = (from: number, to: number) => {
      const asked: (number | string)[] = [];
      for (let now = from; now < to; now += 100) asked.push(spareAt(now));
      return asked;
    };
    expect(all(1_000, 2_000)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect(all(2_000, 3_100)).toEqual([5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]);
    const slots = [1, 2, 3].map((id) => ({ id, inMs: id === 3 ? 300 : 0, forMs: 500 }));
    ({ borrower } = hearGrant(borrower, granted({ slots }), { sentAt: 3_000, receivedAt: 3_100 }));
    expect([spareAt(3_100), arrive(borrower, { now: 3_110, deadlineAt: 3_300 }).step]).toMatchObject([
      "a slot",
      { kind: "ask", ask: { spare: 4 } },
    ]);
  });

  it("gives back what it could not use, also when later slots were used meanwhile", () => {
    const slots = [
      { id: 1, inMs: 0, forMs: 250 },
      { id: 2, inMs: 0, forMs: 250 },
      { id: 3, inMs: 200, forMs: 500 },
    ];
    const { borrower } = hearGrant(newBorrower(), granted({ slots }), { sentAt: 0, receivedAt: 20 });
    const used = arrive(borrower, { now: 400, deadlineAt: 1_000 });
    expect(used.step).toMatchObject({ kind: "start", slot: { id: 3 } });
    expect(arrive(used.borrower, { now: 410, deadlineAt: 1_000 }).step).toMatchObject({ ask: { unused: [2] } });
  });

  it("gives no more back at once than a message holds", () => {
    const slots = Array.from({ length: 258 }, (_, index) => ({ id: index, inMs: 0, forMs: 500 }));
    const { borrower } = hearGrant(newBorrower(), granted({ slots }), { sentAt: 0, receivedAt: 20 });
    expect(giveUpAhead(borrower).unused).toHaveLength(256);
  });

  it("gives up what it has ahead when the upstream wants a pause", () => {
    const slots = [1, 2, 3].map((id) => ({ id, inMs: 0, forMs: 500 }));
    const { borrower } = hearGrant(newBorrower(), granted({ slots }), { sentAt: 0, receivedAt: 20 });
    const left = giveUpAhead(borrower);
    expect(left.unused).toEqual([2, 3]);
    expect(arrive(left.borrower, { now: 30, deadlineAt: 1_000 }).step.kind).toBe("ask");
  });
});
