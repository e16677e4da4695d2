import { describe, expect, it } from "vitest";
import { newBorrower, type BorrowedLimit, type Borrower } from "../../../objects/rate-limiter/leases/borrower.ts";
import { NEW_CLIENT, type ClientState } from "../../../objects/rate-limiter/client-state.ts";
import { holdFor } from "../../../objects/rate-limiter/leases/demand.ts";
import { answer, arrive, close, closeAt } from "../../../objects/rate-limiter/leases/lease.ts";
import { NO_MEMORY, lease, type LeaseMemory } from "../../../objects/rate-limiter/leases/lease-ledger.ts";
import type { LeaseMessage, LeaseReply } from "../../../objects/rate-limiter/leases/lease-messages.ts";
import { LEASE_RULES } from "../../../objects/rate-limiter/leases/lease-rules.ts";
import { START } from "./arbitraries.ts";

const hour: BorrowedLimit = { policy: "p", tokensPerWindow: 100, windowMs: 3_600_000, burst: 100, shadow: false };
const day: BorrowedLimit = { ...hour, tokensPerWindow: 1_000, windowMs: 86_400_000, burst: 1_000 };
const window: BorrowedLimit = { ...hour, algorithm: "sliding-window" };

/** One isolate and its owner, 2 ms from each other. */
class Pair {
  now = START;
  readonly #borrower: Borrower;
  #state: ClientState = NEW_CLIENT;
  #memory: LeaseMemory = NO_MEMORY;

  constructor(limit: BorrowedLimit) {
    this.#borrower = newBorrower("client", 1, [limit], { isolate: "a", seq: 0 });
  }

  /** Whether a request passes that waits for what it needs. */
  passes(cost: number): boolean {
    this.now += 1;
    const arrival = arrive(this.#borrower, [cost], this.now);
    switch (arrival.kind) {
      case "ask":
        return this.#call(arrival.message).allowed;
      case "admitted":
        if (arrival.renewal !== undefined) this.#call(arrival.renewal);
        return true;
      case "refused":
      case "wait":
        return false;
    }
  }

  rest(ms: number): void {
    this.now += ms;
    const dueAt = closeAt(this.#borrower);
    const back = dueAt === undefined ? undefined : close(this.#borrower, this.now);
    if (back !== undefined) this.#call(back);
  }

  #call(message: LeaseMessage): LeaseReply {
    this.now += 2;
    const { state, memory, reply } = lease(this.#state, this.#memory, message, this.now);
    this.#state = state;
    this.#memory = memory;
    this.now += 2;
    answer(this.#borrower, message.seq, reply, this.now);
    return reply;
  }
}

function times(count: number, act: () => boolean): number {
  return Array.from({ length: count }, act).filter(Boolean).length;
}

describe("a client that has tokens left", () => {
  it.each([
    ["a hundred an hour", hour],
    ["a thousand a day", day],
    ["a hundred in any hour", window],
  ])("is let through ten times at once after it has used 60 %% of %s", (_words, limit) => {
    const pair = new Pair(limit);
    expect(times(limit.tokensPerWindow * 0.6, () => pair.passes(1))).toBe(limit.tokensPerWindow * 0.6);
    pair.rest(7_000);
    expect(times(10, () => pair.passes(1))).toBe(10);
  });

  it("is let through for little right after something dear", () => {
    const pair = new Pair(hour);
    expect([1, 50, 1, 1].map((cost) => pair.passes(cost))).toEqual([true, true, true, true]);
  });
});

describe("the pause that an owner asks for", () => {
  const perSecond = { tokensPerWindow: 100, windowMs: 1_000, burst: 100 };
  const terms = { ttlMs: 1_000, seq: 0 };

  it.each([
    ["nothing is left", 0, 85],
    ["what is left is asked for within the pause", 30, 85],
    ["what is left lasts longer", 31, 0],
    ["half is left", 50, 0],
  ])("at three times the limit, when %s: %i tokens, %i ms", (_words, tokens, ms) => {
    expect(holdFor(perSecond, tokens, { rate: 300, isolates: 1 }, terms, LEASE_RULES)).toBe(ms);
  });

  it("is longer the more isolates ask, and covers more tokens", () => {
    expect(holdFor(perSecond, 49, { rate: 300, isolates: 5 }, terms, LEASE_RULES)).toBe(425);
  });

  it("is none below the limit", () => {
    expect(holdFor(perSecond, 0, { rate: 90, isolates: 5 }, terms, LEASE_RULES)).toBe(0);
  });
});
