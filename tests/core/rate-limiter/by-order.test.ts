import { describe, expect, it } from "vitest";
import { grantByOrder, refill } from "../../../objects/rate-limiter/by-order.ts";
import { NEW_CLIENT, type ClientState } from "../../../objects/rate-limiter/client-state.ts";
import { NO_MEMORY, lease } from "../../../objects/rate-limiter/leases/lease-ledger.ts";
import type { LeaseMessage } from "../../../objects/rate-limiter/leases/lease-messages.ts";
import { take } from "../../../objects/rate-limiter/ledger.ts";
import type { LimitItem } from "../../../objects/rate-limiter/limit-item.ts";
import type { TakeItem } from "../../../objects/rate-limiter/messages.ts";
import { START } from "./arbitraries.ts";

const LIMIT: LimitItem = { policy: "p", tokensPerWindow: 100, windowMs: 60_000, burst: 100 };
const ALGORITHMS: readonly LimitItem[] = [
  { ...LIMIT, algorithm: "token-bucket" },
  { ...LIMIT, algorithm: "sliding-window" },
  { ...LIMIT, algorithm: "fixed-window" },
  { ...LIMIT, algorithm: "approximate-sliding-window" },
];

function item(limit: LimitItem, cost: number): TakeItem {
  return { ...limit, cost, shadow: false };
}

function takeFrom(state: ClientState, limit: LimitItem, cost: number, now = START) {
  return take(state, { v: 1, configVersion: 1, client: "c", items: [item(limit, cost)] }, now);
}

/** What a client could take at once. */
function room(state: ClientState, limit: LimitItem, now = START): number {
  return takeFrom(state, limit, 0, now).reply.items[0]?.remaining ?? -1;
}

/** A lease of so many tokens, with the client's state after it. */
function lend(state: ClientState, limit: LimitItem, want: number) {
  const told = { held: 0, spent: [], rate: 50, denied: 0 };
  const numbers = { seq: 1, leaseId: null, keep: false, want, spanMs: 0, binMs: 1 };
  const items = [{ ...item(limit, 0), ...told }];
  const message: LeaseMessage = { v: 1, configVersion: 1, client: "c", isolate: "a", ...numbers, items };
  const outcome = lease(state, NO_MEMORY, message, START);
  return { state: outcome.state, tokens: outcome.reply.items[0]?.granted ?? 0, id: outcome.reply.leaseId };
}

describe.each(ALGORITHMS)("a reset under $algorithm", (limit) => {
  it("leaves nothing to remember when nothing is out", () => {
    expect(refill(takeFrom(NEW_CLIENT, limit, 80).state, START)).toBeUndefined();
  });
});

describe.each(ALGORITHMS.filter(({ algorithm }) => algorithm !== "approximate-sliding-window"))(
  "a reset under $algorithm while tokens are on lease",
  (limit) => {
    it("gives all that is not out, so that no more than the limit is there in all", () => {
      const lent = lend(takeFrom(NEW_CLIENT, limit, 50).state, limit, 20);
      expect(lent.tokens).toBeGreaterThan(0);
      const after = refill(lent.state, START);
      expect(after && room(after, limit)).toBe(100 - lent.tokens);
    });

    it("takes the lease back once, as before", () => {
      const lent = lend(takeFrom(NEW_CLIENT, limit, 50).state, limit, 20);
      const after = refill(lent.state, START) ?? NEW_CLIENT;
      const told = { held: lent.tokens, spent: [], rate: 0, denied: 0 };
      const numbers = { seq: 2, leaseId: lent.id, keep: false, want: 0, spanMs: 0, binMs: 1 };
      const items = [{ ...item(limit, 0), ...told }];
      const message: LeaseMessage = { v: 1, configVersion: 1, client: "c", isolate: "a", ...numbers, items };
      const returned = lease(after, NO_MEMORY, message, START);
      expect(room(returned.state, limit)).toBe(100);
    });
  },
);

it("a reset gives no more than what a reserved cost leaves", () => {
  const message = { v: 1, configVersion: 1, client: "c", items: [{ ...item(LIMIT, 30), reserveMs: 60_000 }] } as const;
  const after = refill(take(NEW_CLIENT, message, START).state, START);
  expect(after && room(after, LIMIT)).toBe(70);
});

describe.each(ALGORITHMS)("a grant under $algorithm", (limit) => {
  it("adds what was asked for, and no more than the limit holds", () => {
    const used = takeFrom(NEW_CLIENT, limit, 80).state;
    const first = grantByOrder(used, { policy: "p", tokens: 30 }, START);
    expect(first?.reply).toEqual({ v: 1, granted: 30, remaining: 50 });
    const second = grantByOrder(first?.state ?? NEW_CLIENT, { policy: "p", tokens: 1_000 }, START);
    expect(second?.reply).toEqual({ v: 1, granted: 50, remaining: 100 });
    expect(room(second?.state ?? NEW_CLIENT, limit)).toBe(100);
  });

  it("has nothing to add to under a limit that was not used", () => {
    expect(grantByOrder(NEW_CLIENT, { policy: "p", tokens: 1 }, START)).toBeUndefined();
  });
});

it("a grant stops below what is on lease", () => {
  const lent = lend(takeFrom(NEW_CLIENT, LIMIT, 50).state, LIMIT, 20);
  const reply = grantByOrder(lent.state, { policy: "p", tokens: 1_000 }, START)?.reply;
  expect(reply?.remaining).toBe(100 - lent.tokens);
});
