import { describe, expect, it } from "vitest";
import {
  arriveForPermit,
  endOperation,
  isRefusing,
  keepUp,
  newPermitBorrower,
  permitAnswered,
  permitCallFailed,
  releaseAll,
  releaseAt,
  releaseIdle,
  renew,
  type PermitBorrower,
} from "../../../objects/rate-limiter/permits/permit-borrower.ts";
import type { PermitMessage } from "../../../objects/rate-limiter/permits/permit-messages.ts";
import type { PermitReply } from "../../../objects/rate-limiter/permits/permits.ts";
import { START } from "./arbitraries.ts";

function newBorrower(limit = 10): PermitBorrower {
  return newPermitBorrower("a", { client: "c", policy: "p", configVersion: 1, limit });
}

/** The message of an arrival that has to ask. */
function asked(borrower: PermitBorrower, now: number): PermitMessage {
  const arrival = arriveForPermit(borrower, now);
  if (arrival.kind !== "ask") throw new Error(`the request is ${arrival.kind}, wanted one that asks`);
  return arrival.message;
}

function answer(borrower: PermitBorrower, message: PermitMessage, now: number, reply: Partial<PermitReply> = {}): void {
  const { seq = 0, keep = 0, want = 0 } = message.items[0]?.ask ?? {};
  const granted = { permits: keep + want, counted: keep + want, free: 0, idleMs: 500, leaseMs: 5_000, retryAfterMs: 0 };
  permitAnswered(borrower, { policy: "p", reply: { seq, ...granted, ...reply } }, now);
}

/** A borrower with a lease of so many permits, from `START`. */
function leased(permits: number): PermitBorrower {
  const borrower = newBorrower();
  const message = asked(borrower, START);
  answer(borrower, message, START, { permits, counted: permits });
  return borrower;
}

function kinds(borrower: PermitBorrower, now: number, many: number): readonly string[] {
  return Array.from({ length: many }, () => arriveForPermit(borrower, now).kind);
}

/** What the question of a message says. */
function said(message: PermitMessage | undefined): unknown {
  const { keep, want } = message?.items[0]?.ask ?? {};
  return message === undefined ? undefined : { keep, want };
}

describe("a request", () => {
  it("asks when there is no permit, and those that come meanwhile wait for the answer", () => {
    const borrower = newBorrower();
    expect(asked(borrower, START)).toEqual({
      v: 1,
      configVersion: 1,
      client: "c",
      items: [
        {
          policy: "p",
          permits: 10,
          leaseMs: 5_000,
          operationTimeoutMs: 15_000,
          ask: { id: "a", seq: 1, keep: 0, want: 1 },
        },
      ],
    });
    expect(kinds(borrower, START + 10, 3)).toEqual(["wait", "wait", "wait"]);
    expect(arriveForPermit(borrower, START + 15, false).kind).toBe("wait");
  });

  it("asks for those that waited too, and not for more than the limit", () => {
    const borrower = newBorrower(3);
    const first = asked(borrower, START);
    kinds(borrower, START, 7);
    answer(borrower, first, START + 20);
    expect(arriveForPermit(borrower, START + 20, false).kind).toBe("started");
    expect(said(asked(borrower, START + 20))).toEqual({ keep: 1, want: 3 });
  });

  it("asks by itself when an answer has not come for a second", () => {
    const borrower = newBorrower();
    asked(borrower, START);
    expect(arriveForPermit(borrower, START + 999, false).kind).toBe("wait");
    expect(arriveForPermit(borrower, START + 1_000, false).kind).toBe("ask");
  });

  it("is refused without a call for 250 ms after the owner had too few, but not once another has ended here", () => {
    const borrower = newBorrower();
    answer(borrower, asked(borrower, START), START, { permits: 0, counted: 0, retryAfterMs: 9_000 });
    expect([isRefusing(borrower, START + 249), kinds(borrower, START + 249, 1)]).toEqual([true, ["refused"]]);
    expect([isRefusing(borrower, START + 250), kinds(borrower, START + 250, 1)]).toEqual([false, ["ask"]]);

    const full = leased(1);
    const started = arriveForPermit(full, START);
    answer(full, asked(full, START), START, { permits: 1, counted: 1 });
    expect(isRefusing(full, START)).toBe(true);
    if (started.kind === "started") endOperation(full, started.operation);
    expect([isRefusing(full, START), kinds(full, START, 1)]).toEqual([false, ["started"]]);
  });

  it("renews a lease that is half over, off its path and keeping what was in use at once", () => {
    const borrower = leased(5);
    expect(arriveForPermit(borrower, START + 2_499)).toEqual({ kind: "started", operation: 1, renewal: undefined });
    const arrival = arriveForPermit(borrower, START + 2_500);
    expect(arrival.kind === "started" ? said(arrival.renewal) : arrival).toEqual({ keep: 2, want: 0 });
    expect(arriveForPermit(borrower, START + 2_501).kind).toBe("wait");
  });
});

describe("permits that are not used", () => {
  it("go back after as long as the owner said, but those in use at once since do not", () => {
    const borrower = leased(5);
    expect(releaseAt(borrower)).toBe(START + 500);
    const first = arriveForPermit(borrower, START + 100);
    arriveForPermit(borrower, START + 100);
    if (first.kind === "started") endOperation(borrower, first.operation);
    expect(releaseIdle(borrower, START + 499)).toBeUndefined();
    const message = releaseIdle(borrower, START + 500);
    expect(said(message)).toEqual({ keep: 2, want: 0 });
    if (message !== undefined) answer(borrower, message, START + 520, { permits: 2, counted: 2 });
    expect(said(releaseIdle(borrower, START + 1_000))).toEqual({ keep: 1, want: 0 });
  });

  it("do not go back in the moment in which they come, before the request that asked has started", () => {
    const borrower = newBorrower();
    answer(borrower, asked(borrower, START + 40), START + 60);
    expect(releaseIdle(borrower, START + 60)).toBeUndefined();
    expect(releaseAt(borrower)).toBe(START + 560);
  });

  it("go back when an answer was lost that may have brought them", () => {
    const borrower = newBorrower();
    const message = asked(borrower, START);
    permitCallFailed(borrower, message);
    expect(said(releaseIdle(borrower, START + 1_000))).toEqual({ keep: 0, want: 0 });
  });

  it("go back at once when nobody here will use them, and no others", () => {
    const borrower = leased(3);
    arriveForPermit(borrower, START);
    expect(said(releaseAll(borrower, START))).toEqual({ keep: 1, want: 0 });
    const busy = leased(1);
    arriveForPermit(busy, START);
    expect(releaseAll(busy, START)).toBeUndefined();
  });
});

describe("a request that lasts", () => {
  it("is kept up while the lease runs, and after it by a renewal", () => {
    const borrower = leased(1);
    arriveForPermit(borrower, START);
    expect(keepUp(borrower, 1, START + 4_999)).toBe(true);
    expect(keepUp(borrower, 1, START + 9_999)).toBe(false);
    const message = renew(borrower, START + 9_999);
    expect(said(message)).toEqual({ keep: 1, want: 0 });
    expect(renew(borrower, START + 10_000)).toBeUndefined();
    if (message !== undefined) answer(borrower, message, START + 10_020);
    expect(keepUp(borrower, 1, START + 10_020)).toBe(true);
  });

  it("is not kept up while the owner counts it not, and asks to be counted anew", () => {
    const borrower = leased(1);
    arriveForPermit(borrower, START);
    const message = renew(borrower, START + 1_000);
    if (message !== undefined) answer(borrower, message, START + 1_020, { permits: 0, counted: 0 });
    expect(keepUp(borrower, 1, START + 1_020)).toBe(false);
    expect(said(renew(borrower, START + 1_500))).toEqual({ keep: 1, want: 1 });
  });

  it("makes room 16 s after it was last heard of", () => {
    const borrower = leased(1);
    arriveForPermit(borrower, START);
    const message = renew(borrower, START + 14_000);
    if (message !== undefined) answer(borrower, message, START + 14_000);
    expect(kinds(borrower, START + 15_999, 1)).toEqual(["ask"]);
    const again = renew(borrower, START + 17_000);
    if (again !== undefined) answer(borrower, again, START + 17_000, { permits: 1, counted: 1 });
    expect(kinds(borrower, START + 17_000, 1)).toEqual(["started"]);
  });
});
