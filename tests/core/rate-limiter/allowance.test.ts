import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { remaining } from "../../../objects/rate-limiter/algorithms/allowance.ts";
import { report } from "../../../objects/rate-limiter/client-report.ts";
import {
  NEW_CLIENT,
  lostClient,
  packClient,
  unpackClient,
  type ClientState,
} from "../../../objects/rate-limiter/client-state.ts";
import { NO_MEMORY, lease } from "../../../objects/rate-limiter/leases/lease-ledger.ts";
import type { LeaseItem } from "../../../objects/rate-limiter/leases/lease-messages.ts";
import type { LimitItem } from "../../../objects/rate-limiter/limit-item.ts";
import { forgettableAt, refund, take } from "../../../objects/rate-limiter/ledger.ts";
import { noteRoom } from "../../../objects/rate-limiter/refund-room.ts";
import type { TakeItem, TakeMessage } from "../../../objects/rate-limiter/messages.ts";
import { RUNS, START, anyGap, anyNumbers, anyStep } from "./arbitraries.ts";
import { leaseMessage } from "./lease-arbitraries.ts";

type Numbers = Omit<LimitItem, "policy">;

const bucket: Numbers = { tokensPerWindow: 10, windowMs: 1_000, burst: 10 };
const sliding: Numbers = { ...bucket, algorithm: "sliding-window" };
const approximate: Numbers = { ...bucket, algorithm: "approximate-sliding-window" };
const fixed: Numbers = { ...bucket, windowMs: 10_000, algorithm: "fixed-window" };
const daily: Numbers = { ...fixed, calendar: { unit: "day", timeZone: "Europe/Berlin" } };
const ALGORITHMS = [
  ["token bucket", bucket],
  ["sliding window", sliding],
  ["approximate window", approximate],
  ["fixed window", fixed],
  ["calendar", daily],
] as const;

function ask(policy: string, numbers: Numbers, cost = 1): TakeItem {
  return { policy, ...numbers, cost, shadow: false };
}

function message(items: readonly TakeItem[], configVersion = 1): TakeMessage {
  return { v: 1, configVersion, client: "client", items };
}

function lent(item: Partial<LeaseItem>, numbers: Numbers): LeaseItem {
  return { policy: "p", ...numbers, cost: 0, shadow: false, held: 0, spent: [], rate: 0, denied: 0, ...item };
}

function left(state: ClientState): Record<string, number> {
  return Object.fromEntries(state.policies.map((policy) => [policy.policy, remaining(policy)]));
}

describe("one message over every algorithm", () => {
  const all = (cost: number) => message(ALGORITHMS.map(([name, numbers]) => ask(name, numbers, cost)));

  it("takes from all, and says when each is there again", () => {
    const first = take(NEW_CLIENT, all(8), START);
    expect(first.reply).toMatchObject({ v: 1, allowed: true, takenAt: START });
    expect(Object.values(left(first.state))).toEqual([2, 2, 2, 2, 2]);
    const second = take(first.state, all(3), START);
    expect(second.state).toBe(first.state);
    expect(second.reply.takenAt).toBeUndefined();
    expect(second.reply.items.map(({ retryAfterMs, resetMs }) => [retryAfterMs, resetMs])).toEqual([
      [100, undefined],
      [1_017, undefined],
      [1_125, undefined],
      [10_000, 10_000],
      [28_000_000, 28_000_000],
    ]);
  });

  it("takes from none when one lacks its tokens", () => {
    fc.assert(
      fc.property(
        fc.array(anyNumbers, { minLength: 2, maxLength: 4 }),
        fc.array(fc.record({ gap: anyGap, costs: fc.array(fc.nat({ max: 9 }), { minLength: 4, maxLength: 4 }) }), {
          maxLength: 20,
        }),
        (limits, events) => {
          let state = NEW_CLIENT;
          let now = START;
          for (const { gap, costs } of events) {
            now += gap;
            const items = limits.map((numbers, index) => ask(String(index), numbers, costs[index]));
            // Alone, each would be decided like this.
            const alone = items.map((item) => take(state, message([item]), now).reply.allowed);
            const looks = take(state, message(items.map((item) => ({ ...item, cost: 0 }))), now).reply.items;
            const { state: next, reply } = take(state, message(items), now);
            expect(reply.items.map(({ allowed }) => allowed)).toEqual(alone);
            expect(reply.allowed).toBe(alone.every((allowed) => allowed));
            if (!reply.allowed) expect(next).toBe(state);
            for (const [index, item] of reply.items.entries()) {
              const before = looks[index]?.remaining ?? 0;
              expect(before - item.remaining).toBe(reply.allowed ? (costs[index] ?? 0) : 0);
            }
            state = next;
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe.each(ALGORITHMS)("a record of a %s", (_name, numbers) => {
  const other = numbers === bucket ? sliding : bucket;

  it("is started used up when it is lost", () => {
    const lost = lostClient(START);
    expect(take(lost, message([ask("p", numbers)]), START).reply).toMatchObject({
      allowed: false,
      items: [{ remaining: 0 }],
    });
    const day = 2 * 86_400_000;
    expect(take(lost, message([ask("p", numbers, 10)]), START + day).reply.allowed).toBe(true);
  });

  it("gives nothing when the algorithm changes, and is whole after a while", () => {
    const state = take(NEW_CLIENT, message([ask("p", other, 1)]), START).state;
    const changed = take(state, message([ask("p", numbers, 0)], 2), START);
    expect(changed.reply.items[0]?.remaining).toBe(0);
    expect(take(changed.state, message([ask("p", numbers, 10)], 2), START + 2 * 86_400_000).reply.allowed).toBe(true);
  });

  it("is not changed by a lower configuration version, whatever the algorithm (I9)", () => {
    const state = take(NEW_CLIENT, message([ask("p", numbers, 9)], 5), START).state;
    const older = take(state, message([ask("p", { ...other, burst: 99, tokensPerWindow: 99 }, 3)], 4), START);
    expect(older.state).toBe(state);
    expect(older.reply.items).toMatchObject([{ policy: "p", allowed: false, remaining: 1 }]);
  });

  it("is given back what was taken, where it was taken, once", () => {
    const { state, reply } = take(NEW_CLIENT, message([ask("p", numbers, 6)]), START + 1);
    const back = { v: 1, client: "client", isolate: "i", seq: 1, items: [{ policy: "p", cost: 6 }] } as const;
    const when = reply.takenAt === undefined ? {} : { takenAt: reply.takenAt };
    const room = noteRoom(undefined, NEW_CLIENT, START + 1);
    const refunded = refund(state, { ...back, ...when }, START + 60, room);
    expect(left(refunded.state)).toEqual({ p: 10 });
    expect(refund(refunded.state, { ...back, ...when }, START + 60, room).reply.refunded).toBe(false);
    expect(left(refund(state, back, START + 1, room).state)).toEqual({ p: 4 });
  });

  it("is reported with its limit", () => {
    const state = take(NEW_CLIENT, message([ask("p", numbers, 4)], 3), START).state;
    const { algorithm = "token-bucket", calendar } = numbers;
    expect(report(state, "client", null, START).policies[0]).toMatchObject({
      policy: "p",
      configVersion: 3,
      algorithm,
      tokensPerWindow: 10,
      remaining: 6,
      ...(calendar === undefined ? {} : { calendar }),
    });
  });
});

it("reports what is lent and what is reserved, and when the first of it ends", () => {
  const first = lease(NEW_CLIENT, NO_MEMORY, leaseMessage(fixedBucket(), {}, { rate: 2 }), START);
  const items = [{ ...ask("p", fixedBucket(), 2), reserveMs: 30_000 }];
  const { state } = take(first.state, message(items), START);
  expect(report(state, "client", null, START).policies[0]).toMatchObject({
    outstanding: 7,
    leases: { count: 1, tokens: 5, nextEndAt: START + 5_100 },
    reservations: { count: 1, tokens: 2, nextEndAt: START + 30_000 },
  });
});

function fixedBucket() {
  return { tokensPerWindow: 10, windowMs: 1_000, burst: 10 };
}

describe("a lease of a window", () => {
  const wide: Numbers = { ...sliding, windowMs: 60_000, tokensPerWindow: 100 };

  it("counts until its end and a window on, and when it is spent is told, from then", () => {
    const asked = leaseMessage(fixedBucket(), { items: [lent({ rate: 20 }, wide)] });
    const { state, reply } = lease(NEW_CLIENT, NO_MEMORY, asked, START);
    expect(reply).toMatchObject({ ttlMs: 5_000, items: [{ granted: 50, remaining: 50, rem: 0, room: 50 }] });
    const gone = (after: ClientState) => report(after, "client", null, START).policies[0]?.fullInMs;
    expect(gone(state)).toBe(66_000);
    const items = [lent({ spent: [0, 0, 0, 0, 0, 0, 0, 0, 0, 50] }, wide)];
    const told = leaseMessage(fixedBucket(), { seq: 2, leaseId: reply.leaseId, want: 0, items });
    expect(gone(lease(state, NO_MEMORY, told, START + 100).state)).toBe(61_000);
  });

  it("comes back into its own part", () => {
    const asked = leaseMessage(fixedBucket(), { items: [lent({ rate: 20 }, wide)] });
    const { state, reply } = lease(NEW_CLIENT, NO_MEMORY, asked, START);
    const back = { seq: 2, leaseId: reply.leaseId, want: 0, items: [lent({ held: 50 }, wide)] };
    expect(left(lease(state, NO_MEMORY, leaseMessage(fixedBucket(), back), START + 900).state)).toEqual({ p: 100 });
  });

  it("does not come back after the clock stepped back far, since the parts have moved", () => {
    const asked = leaseMessage(fixedBucket(), { items: [lent({ rate: 20 }, wide)] });
    const { state, reply } = lease(NEW_CLIENT, NO_MEMORY, asked, START);
    const back = { seq: 2, leaseId: reply.leaseId, want: 0, items: [lent({ held: 50 }, wide)] };
    const returned = lease(state, NO_MEMORY, leaseMessage(fixedBucket(), back), START - 6_000);
    expect(left(returned.state)).toEqual({ p: 50 });
  });

  it("ends with its quota's window, guard included, and is not given for less than 300 ms", () => {
    const begin = Math.ceil(START / 10_000) * 10_000;
    const asked = leaseMessage(fixedBucket(), { items: [lent({ rate: 20 }, { ...fixed, tokensPerWindow: 100 })] });
    const at = (ms: number) => lease(NEW_CLIENT, NO_MEMORY, asked, begin + ms).reply;
    expect(at(8_000)).toMatchObject({ ttlMs: 1_900, items: [{ granted: 23, roomMs: 2_000 }] });
    expect(at(9_601)).toMatchObject({ ttlMs: 299, leaseId: null, items: [{ granted: 0 }] });
  });

  it("is not given where the window is approximate", () => {
    const asked = leaseMessage(fixedBucket(), { items: [lent({ rate: 100, cost: 3 }, approximate)] });
    expect(lease(NEW_CLIENT, NO_MEMORY, asked, START).reply).toMatchObject({
      allowed: true,
      leaseId: null,
      items: [{ granted: 0, remaining: 7, room: 7 }],
    });
  });

  it("of an algorithm that is no more can neither be returned nor spent beside the new limit", () => {
    const asked = leaseMessage(fixedBucket(), {}, { rate: 2 });
    const { state, reply } = lease(NEW_CLIENT, NO_MEMORY, asked, START);
    const changed = take(state, message([ask("p", sliding, 1)], 2), START + 100);
    expect(changed.reply).toMatchObject({ allowed: false, items: [{ remaining: 0 }] });
    expect(changed.state.leases?.live).toEqual([]);
    // All it has counts as used when the old lease ends, so the window opens a window later.
    const at = (ms: number) => take(changed.state, message([ask("p", sliding, 10)], 2), START + ms).reply.allowed;
    expect([at(6_099), at(6_200)]).toEqual([false, true]);
    const back = leaseMessage(fixedBucket(), {
      configVersion: 2,
      seq: 2,
      leaseId: reply.leaseId,
      want: 0,
      items: [lent({ held: 5 }, sliding)],
    });
    expect(left(lease(changed.state, NO_MEMORY, back, START + 200).state)).toEqual({ p: 0 });
  });
});

describe("a request that several owners decide about", () => {
  it.each(ALGORITHMS.filter(([, { algorithm }]) => algorithm !== "approximate-sliding-window"))(
    "is lent its cost and not charged: %s",
    (_name, numbers) => {
      const hold = leaseMessage(fixedBucket(), { hold: true, want: 0, items: [lent({ cost: 7 }, numbers)] });
      const { state, reply } = lease(NEW_CLIENT, NO_MEMORY, hold, START + 1_000);
      expect(reply).toMatchObject({ allowed: true, items: [{ allowed: true, granted: 7, remaining: 3 }] });
      const back = { seq: 2, leaseId: reply.leaseId, want: 0, items: [lent({ held: 7 }, numbers)] };
      const returned = lease(state, NO_MEMORY, leaseMessage(fixedBucket(), back), START + 1_050);
      expect(left(returned.state)).toEqual({ p: 10 });
      const second = { hold: true, seq: 3, isolate: "b", items: [lent({ cost: 4 }, numbers)] };
      const refused = lease(state, NO_MEMORY, leaseMessage(fixedBucket(), second), START + 1_050);
      expect(refused.reply).toMatchObject({ allowed: false, items: [{ granted: 0 }] });
    },
  );

  it("gets no more than what is asked for beside, and nothing where a shadow lacks it", () => {
    const items = [lent({ cost: 3 }, bucket), { ...lent({ cost: 11 }, sliding), policy: "q", shadow: true }];
    const { reply } = lease(NEW_CLIENT, NO_MEMORY, leaseMessage(fixedBucket(), { hold: true, items }), START);
    expect(reply).toMatchObject({ allowed: true, items: [{ granted: 3 }, { allowed: false, granted: 0 }] });
  });

  it("is to ask again where a quota is about to end", () => {
    const end = Math.ceil(START / 10_000) * 10_000;
    const hold = leaseMessage(fixedBucket(), { hold: true, items: [lent({ cost: 1 }, fixed)] });
    const { reply } = lease(NEW_CLIENT, NO_MEMORY, hold, end - 90);
    expect(reply).toMatchObject({ allowed: false, leaseId: null, items: [{ retryAfterMs: 300, granted: 0 }] });
  });
});

describe("over any history", () => {
  const anyEvent = fc.record({
    step: anyStep,
    what: fc.constantFrom("take", "reserve", "lease", "renew", "refund" as const),
    cost: fc.nat({ max: 6 }),
    isOlder: fc.boolean(),
  });

  it("a clock that steps back grants nothing, and a row reads back as it was", () => {
    fc.assert(
      fc.property(
        fc.array(anyNumbers, { minLength: 1, maxLength: 3 }),
        fc.array(anyEvent, { maxLength: 30 }),
        (limits, events) => {
          let state = NEW_CLIENT;
          let memory = NO_MEMORY;
          let leaseId: number | null = null;
          let now = START;
          for (const [seq, { step, what, cost, isOlder }] of events.entries()) {
            const looks = limits.map((numbers, index) => ask(String(index), numbers, 0));
            const before = take(state, message(looks), now).reply.items;
            now = Math.max(0, now + step);
            const after = take(state, message(looks), now).reply.items;
            for (const [index, { remaining: tokens }] of after.entries()) {
              const isKnown = state.policies.some(({ policy }) => policy === String(index));
              if (step <= 0 && isKnown) expect(tokens).toBeLessThanOrEqual(before[index]?.remaining ?? 0);
            }
            const configVersion = isOlder ? 0 : 1;
            if (what === "take" || what === "reserve") {
              const reserve = what === "reserve" ? { reserveMs: 5_000 } : {};
              const items = limits.map((numbers, index) => ({ ...ask(String(index), numbers, cost), ...reserve }));
              ({ state } = take(state, message(items, configVersion), now));
            }
            if (what === "refund") {
              const items = limits.map((_, index) => ({ policy: String(index), cost }));
              const back = { v: 1, client: "client", isolate: "i", seq, takenAt: now, items } as const;
              ({ state } = refund(state, back, now, noteRoom(undefined, state, now)));
            }
            if (what === "lease" || what === "renew") {
              const keep = what === "renew";
              const items = limits.map((numbers, index) => {
                return { ...lent({ cost: keep ? 0 : cost, held: 2, rate: 1_000 }, numbers), policy: String(index) };
              });
              const sent = leaseMessage(fixedBucket(), { configVersion, seq, leaseId, keep, items });
              const outcome = lease(state, memory, sent, now);
              ({ state, memory } = outcome);
              ({ leaseId } = outcome.reply);
            }
            expect(unpackClient(packClient(state))).toEqual(state);
          }
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it("a record with nothing left to remember is decided alike when it is dropped, ever after", () => {
    const anyTakes = fc.array(fc.record({ gap: anyGap, policy: fc.nat({ max: 2 }), cost: fc.nat({ max: 12 }) }), {
      minLength: 1,
      maxLength: 10,
    });
    fc.assert(
      fc.property(
        fc.tuple(anyNumbers, anyNumbers, anyNumbers),
        anyTakes,
        anyTakes,
        fc.nat(),
        (limits, some, more, late) => {
          const sent = ({ policy, cost }: { policy: number; cost: number }) =>
            message(limits.slice(policy).map((numbers, index) => ask(String(policy + index), numbers, cost)));
          let kept = NEW_CLIENT;
          let now = START;
          for (const event of some) {
            now += event.gap;
            kept = take(kept, sent(event), now).state;
          }
          now = Math.max(now, forgettableAt(kept)) + late;
          let dropped = NEW_CLIENT;
          for (const event of more) {
            now += event.gap;
            const [one, other] = [take(kept, sent(event), now), take(dropped, sent(event), now)];
            expect(other.reply).toEqual(one.reply);
            [kept, dropped] = [one.state, other.state];
          }
        },
      ),
      RUNS,
    );
  });
});
