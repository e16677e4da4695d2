import { describe, expect, it } from "vitest";
import {
  againInMs,
  arrive,
  arriveAgain,
  giveBack,
  giveUpAhead,
  hearAhead,
  hearGrant,
  hearTrip,
  newBorrower,
  lookAgain,
  toleranceMs,
  type Arrived,
  type Borrower,
} from "../../../objects/upstream-quota/quota-borrower.ts";
import { startOf, type HeldSlot } from "../../../objects/upstream-quota/held-slots.ts";
import type { AcquireReply } from "../../../objects/upstream-quota/quota-messages.ts";
import { policyOf } from "./quota-world.ts";

const AT_20 = { sentAt: 0, receivedAt: 20, spare: 9 };
/** Lent from 20 a second on. */
const POLICY = policyOf({ requests: 6_000, burst: 100, spacingMs: 0 });
const OWN = { id: 1, inMs: 0, forMs: 250, count: 1 };

type Granted = Extract<AcquireReply, { kind: "granted" }>;

/** A request that comes. */
function come(borrower: Borrower, now: number, deadlineAt = 9_000): Arrived {
  return arrive(borrower, { now, deadlineAt, policy: POLICY });
}

/** What an isolate knows that has heard a grant. */
function holding(slots: Granted["slots"], times = AT_20): Borrower {
  return hearGrant(newBorrower(), granted({ slots }), times).borrower;
}

function granted(changes: Partial<Granted> = {}): Granted {
  const slots = [OWN];
  return { v: 1, kind: "granted", heldMs: 0, slots, epoch: 1, wantsSuccess: false, ...changes };
}

/** An isolate that has seen a round trip of so long. */
function after(tripMs: number): Borrower {
  return hearGrant(newBorrower(), granted(), { sentAt: 0, receivedAt: tripMs, spare: 0 }).borrower;
}

function slotOf(reply: Granted, times: { sentAt: number; receivedAt: number }): HeldSlot {
  const { slot } = hearGrant(newBorrower(), reply, { ...times, spare: 0 });
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
    const slot = slotOf(granted({ slots: [{ ...OWN, inMs: 500 }] }), { sentAt: 1_000, receivedAt: 1_050 });
    expect(startOf(slot, 1_050)).toEqual({ kind: "wait", ms: 521 });
    expect(startOf(slot, 1_571)).toEqual({ kind: "start" });
  });

  it("takes a slot ahead, as often as it was granted for", () => {
    const slots = [OWN, { id: 2, inMs: 0, forMs: 500, count: 2 }, { id: 3, inMs: 0, forMs: 500, count: 1 }];
    const { borrower, slot } = hearGrant(newBorrower(), granted({ slots, epoch: 4 }), AT_20);
    expect(slot?.id).toBe(1);
    const steps: unknown[] = [];
    let arrived: Arrived = { borrower, step: { kind: "refuse" }, renewal: undefined };
    for (let count = 0; count < 4; count += 1) {
      arrived = come(arrived.borrower, 30);
      steps.push(arrived.step);
    }
    expect(steps).toMatchObject([
      { kind: "start", slot: { id: 2, epoch: 4 } },
      { kind: "start", slot: { id: 2 } },
      { kind: "start", slot: { id: 3 } },
      { kind: "ask" },
    ]);
  });

  it("gives slots ahead back whose time is over, and leaves those that begin too late for it", () => {
    const borrower = holding([OWN, { ...OWN, id: 2, count: 7 }, { id: 3, inMs: 480, forMs: 500, count: 1 }]);
    const { step } = come(borrower, 400, 500);
    const unused = [{ id: 2, count: 7 }];
    expect(step).toEqual({ kind: "ask", ask: { waitMs: 80, toleranceMs: 250, spare: 0, unused } });
  });

  it("asks for as long a wait as leaves the answer time to come", () => {
    expect(come(after(30), 0, 1_000).step).toMatchObject({ ask: { waitMs: 970 } });
  });

  it("is refused at its deadline", () => {
    expect(come(after(30), 1, 0).step).toEqual({ kind: "refuse" });
    expect(arriveAgain(after(30), { now: 1_001, deadlineAt: 1_000 }, []).kind).toBe("refuse");
  });

  it("asks though the last answers took longer than it can wait: else nobody would see that the way is short again", () => {
    expect(come(after(3_000), 0, 400).step).toMatchObject({ kind: "ask", ask: { waitMs: 300 } });
  });

  it("asks for no longer a wait than an owner grants", () => {
    expect(come(after(0), 0, 1e9).step).toMatchObject({ ask: { waitMs: 300_000 } });
  });

  it("asks again with what is left of its time, and gives back what it could not use", () => {
    const unused = [{ id: 7, count: 1 }];
    const step = arriveAgain(after(30), { now: 400, deadlineAt: 1_000 }, unused);
    expect(step).toEqual({ kind: "ask", ask: { waitMs: 570, toleranceMs: 250, spare: 0, unused } });
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
      ({ borrower } = hearGrant(borrower, granted({ heldMs: 1_000 }), {
        sentAt: 0,
        receivedAt: 1_000 + tripMs,
        spare: 0,
      }));
    }
    expect(toleranceMs(borrower)).toBe(wanted);
  });

  it.each([
    [200, 640],
    [-5_000, 250],
  ])("that has only asked how far it is, %i ms, asks for slots of that length, and no short ones", (ms, wanted) => {
    expect(toleranceMs(hearTrip(newBorrower(), ms))).toBe(wanted);
  });

  it("asks ahead for what it expects to use in half a second, by the last few hundred milliseconds", () => {
    let borrower = newBorrower();
    for (let now = 1_000; now < 3_000; now += 20) ({ borrower } = come({ ...borrower, askAheadAt: Infinity }, now));
    const again = { ...borrower, askAheadAt: -Infinity };
    expect(come(again, 3_000).step).toMatchObject({ ask: { spare: 24 } });
    expect(come(again, 9_000).step).toMatchObject({ ask: { spare: 0 } });
  });

  it("asks ahead at once for a crowd, and not for a few", () => {
    const crowd = (count: number) => {
      let borrower = newBorrower();
      for (let one = 1; one < count; one += 1) ({ borrower } = come({ ...borrower, askAheadAt: Infinity }, 5_000));
      return come({ ...borrower, askAheadAt: -Infinity }, 5_020).step;
    };
    expect(crowd(4)).toMatchObject({ ask: { spare: 0 } });
    expect(crowd(20)).toMatchObject({ ask: { spare: 80 } });
  });

  it("asks nothing ahead of a quota that lends nothing", () => {
    const policy = policyOf({ requests: 20, windowMs: 60_000 });
    const { step } = arrive(expecting(20), { now: 1_000, deadlineAt: 9_000, policy });
    expect(step).toMatchObject({ kind: "ask", ask: { spare: 0 } });
  });

  it("asks ahead once, and whoever comes meanwhile waits for the answer, but not for long", () => {
    const first = come(expecting(100), 1_000);
    expect(first.step).toMatchObject({ kind: "ask", ask: { spare: 50 } });
    const second = come(first.borrower, 1_001);
    expect(second.step).toEqual({ kind: "look-again", inMs: 5, until: 1_120 });
    const third = lookAgain(second.borrower, { now: 1_120, deadlineAt: 9_000, policy: POLICY }, 1_120);
    expect(third.step).toMatchObject({ kind: "ask", ask: { spare: 0 } });
    const grant = granted({ slots: [OWN, { ...OWN, id: 2, count: 50 }] });
    const { borrower } = hearGrant(second.borrower, grant, { sentAt: 1_000, receivedAt: 1_010, spare: 50 });
    const { step } = lookAgain(borrower, { now: 1_011, deadlineAt: 9_000, policy: POLICY }, 1_120);
    expect(step).toMatchObject({ kind: "start", slot: { id: 2 } });
  });

  it("does not wait for another's answer that is of use to nobody else, nor beyond its deadline", () => {
    const { borrower } = come(expecting(100), 1_000);
    expect(come(borrower, 1_001, 1_004).step.kind).toBe("ask");
    const spaced = { ...POLICY, spacingMs: 1 };
    const first = arrive(expecting(100), { now: 1_000, deadlineAt: 9_000, policy: spaced });
    expect(arrive(first.borrower, { now: 1_001, deadlineAt: 9_000, policy: spaced }).step.kind).toBe("ask");
  });

  it("asks for more before it has used what it has, off the path of a request that starts", () => {
    const borrower = { ...holding([OWN, { ...OWN, id: 2, forMs: 500, count: 6 }]), arrivals: expecting(100).arrivals };
    const first = come(borrower, 30);
    expect([first.step.kind, first.renewal]).toEqual(["start", undefined]);
    const second = come(first.borrower, 31);
    const third = come(second.borrower, 32);
    expect([second.renewal, third.step.kind, third.renewal]).toMatchObject([
      undefined,
      "start",
      { waitMs: 0, spare: 46 },
    ]);
    expect(come(third.borrower, 33).renewal).toBeUndefined();
    const reply = granted({
      slots: [
        { ...OWN, id: 8 },
        { id: 9, inMs: 0, forMs: 500, count: 40 },
      ],
    });
    const renewed = hearAhead(third.borrower, reply, { sentAt: 32, receivedAt: 40, spare: 46 });
    expect(renewed.ahead.map(({ id, count, isAhead }) => [id, count, isAhead])).toEqual([
      [2, 3, true],
      [8, 1, true],
      [9, 40, true],
    ]);
  });

  it("that was lent nothing asks ahead again 20 ms later", () => {
    const { borrower } = come(expecting(100), 1_000);
    const poor = hearAhead(borrower, { v: 1, kind: "refused", why: "deadline", retryAfterMs: 5 }, REFUSED);
    const spareAt = (now: number) => come({ ...poor, arrivals: expecting(100, now).arrivals }, now).step;
    expect([spareAt(1_029), spareAt(1_030)]).toMatchObject([{ ask: { spare: 0 } }, { ask: { spare: 50 } }]);
  });

  it("keeps a slot ahead for the next request that its request has not used, and returns any other", () => {
    const { borrower, slot } = hearGrant(newBorrower(), granted({ slots: [OWN, { ...OWN, id: 2, count: 1 }] }), AT_20);
    if (slot === undefined) throw new Error("a grant without a slot");
    expect(giveBack(borrower, slot)).toEqual({ borrower, unused: [{ id: 1, count: 1 }] });
    const taken = come(borrower, 30);
    if (taken.step.kind !== "start") throw new Error("no slot ahead");
    expect(taken.borrower.ahead).toEqual([]);
    const given = giveBack(taken.borrower, taken.step.slot);
    expect(given.unused).toEqual([]);
    expect(come(given.borrower, 31).step).toMatchObject({ kind: "start", slot: { id: 2 } });
  });

  it("gives back what it could not use, also when later slots were used meanwhile", () => {
    const used = come(holding([OWN, { ...OWN, id: 2, count: 3 }, { id: 3, inMs: 200, forMs: 500, count: 1 }]), 400);
    expect(used.step).toMatchObject({ kind: "start", slot: { id: 3 } });
    expect(come(used.borrower, 410).step).toMatchObject({ ask: { unused: [{ id: 2, count: 3 }] } });
  });

  it("gives no more back at once than a message holds", () => {
    const slots = Array.from({ length: 258 }, (_, index) => ({ id: index, inMs: 0, forMs: 500, count: 1 }));
    expect(giveUpAhead(holding(slots)).unused).toHaveLength(256);
  });

  it("gives up what it has ahead when the upstream wants a pause", () => {
    const left = giveUpAhead(holding([OWN, { ...OWN, id: 2, count: 5 }, { ...OWN, id: 3 }]));
    expect(left.unused).toEqual([
      { id: 2, count: 5 },
      { id: 3, count: 1 },
    ]);
    expect(come(left.borrower, 30).step.kind).toBe("ask");
  });
});

const REFUSED = { sentAt: 1_000, receivedAt: 1_010, spare: 49 };

/** An isolate that has nothing and expects so many requests a second. */
function expecting(perSecond: number, now = 1_000): Borrower {
  return { ...newBorrower(), arrivals: { since: now - 10, count: 0, before: perSecond / 1_000 } };
}
