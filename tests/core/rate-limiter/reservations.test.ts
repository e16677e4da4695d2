import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { remaining } from "../../../objects/rate-limiter/algorithms/allowance.ts";
import { report } from "../../../objects/rate-limiter/client-report.ts";
import { NEW_CLIENT, packClient, unpackClient, type ClientState } from "../../../objects/rate-limiter/client-state.ts";
import type { LimitItem } from "../../../objects/rate-limiter/limit-item.ts";
import { forgettableAt, take } from "../../../objects/rate-limiter/ledger.ts";
import { settle } from "../../../objects/rate-limiter/reservations.ts";
import type { SettleItem } from "../../../objects/rate-limiter/settle-messages.ts";
import { START } from "./arbitraries.ts";
import { admissions } from "./window-oracle.ts";

type Numbers = Omit<LimitItem, "policy">;

const bucket: Numbers = { tokensPerWindow: 10, windowMs: 1_000, burst: 10 };
const sliding: Numbers = { ...bucket, algorithm: "sliding-window" };
const approximate: Numbers = { ...bucket, algorithm: "approximate-sliding-window" };
const fixed: Numbers = { ...bucket, windowMs: 10_000, algorithm: "fixed-window" };
const ALGORITHMS = [
  ["token bucket", bucket],
  ["sliding window", sliding],
  ["approximate window", approximate],
  ["fixed window", fixed],
] as const;

function reserve(state: ClientState, numbers: Numbers, cost: number, now: number, reserveMs = 30_000) {
  const items = [{ policy: "p", ...numbers, cost, shadow: false, reserveMs }];
  return take(state, { v: 1, configVersion: 1, client: "client", items }, now);
}

function took(state: ClientState, numbers: Numbers, cost: number, now: number) {
  const items = [{ policy: "p", ...numbers, cost, shadow: false }];
  return take(state, { v: 1, configVersion: 1, client: "client", items }, now);
}

function settled(state: ClientState, reservation: number, items: readonly SettleItem[], now: number) {
  return settle(state, { v: 1, client: "client", reservation, items }, now);
}

function left(state: ClientState): readonly number[] {
  return state.policies.map(remaining);
}

describe.each(ALGORITHMS)("a cost reserved under a %s", (_name, numbers) => {
  const { state, reply } = reserve(NEW_CLIENT, numbers, 6, START);
  const id = reply.reservation ?? -1;

  it("is taken at once, and its settlement named", () => {
    expect(reply).toMatchObject({ allowed: true, reservation: START, items: [{ remaining: 4 }] });
    expect(state.leases).toMatchObject({ live: [], reserved: [{ id: START, policy: "p", tokens: 6 }] });
    expect(unpackClient(packClient(state))).toEqual(state);
  });

  it("gives back what was too much", () => {
    const { state: after, reply: told } = settled(state, id, [{ policy: "p", actual: 2 }], START);
    expect(told).toEqual({
      v: 1,
      settled: true,
      items: [{ policy: "p", charged: 2, forgiven: 0, remaining: 8 }],
    });
    expect(after.leases).toEqual({ lastId: START, live: [] });
    expect(left(after)).toEqual([8]);
  });

  it("charges what was too little, up to the largest debt, and lets nobody pass meanwhile", () => {
    const owing = settled(state, id, [{ policy: "p", actual: 100, debtMax: 5 }], START);
    expect(owing.reply.items).toEqual([{ policy: "p", charged: 15, forgiven: 85, remaining: 0 }]);
    expect(unpackClient(packClient(owing.state))).toEqual(owing.state);
    expect(took(owing.state, numbers, 1, START).reply.allowed).toBe(false);
    expect(reserve(owing.state, numbers, 0, START).reply).toMatchObject({ allowed: false });
    const { retryAfterMs } = took(owing.state, numbers, 1, START).reply.items[0] ?? {};
    expect(took(owing.state, numbers, 1, START + (retryAfterMs ?? 0)).reply.allowed).toBe(true);
    expect(took(owing.state, numbers, 1, START + (retryAfterMs ?? 0) - 1).reply.allowed).toBe(false);
  });

  it("owes as much again as the limit when nothing else is said", () => {
    const { reply: told } = settled(state, id, [{ policy: "p", actual: 100 }], START);
    expect(told.items).toEqual([{ policy: "p", charged: 20, forgiven: 80, remaining: 0 }]);
  });

  it("is never counted further than can be counted exactly", () => {
    const most = { policy: "p", actual: Number.MAX_SAFE_INTEGER, debtMax: Number.MAX_SAFE_INTEGER };
    const owing = settled(state, id, [most], START);
    expect(unpackClient(packClient(owing.state))).toEqual(owing.state);
    const [first] = owing.reply.items;
    expect((first?.charged ?? 0) + (first?.forgiven ?? 0)).toBe(Number.MAX_SAFE_INTEGER);
  });

  it("is settled once, and has cost what was reserved where nobody says otherwise", () => {
    const once = settled(state, id, [], START);
    expect(once.reply.items).toEqual([{ policy: "p", charged: 6, forgiven: 0, remaining: 4 }]);
    const again = settled(once.state, id, [{ policy: "p", actual: 0 }], START);
    expect(again).toEqual({ state: once.state, reply: { v: 1, settled: false, items: [] } });
    expect(again.state).toBe(once.state);
  });

  it("has cost what was reserved once its time is over", () => {
    const late = settled(state, id, [{ policy: "p", actual: 0 }], START + 30_000);
    expect([late.state, late.reply.settled]).toEqual([state, false]);
    expect(report(state, "client", null, START + 30_000).policies[0]).toMatchObject({
      outstanding: 0,
      reservations: { count: 0 },
    });
    expect(took(state, numbers, 10, START + 45_000).reply.allowed).toBe(true);
  });

  it("keeps the row until it has ended", () => {
    const short = reserve(NEW_CLIENT, numbers, 0, START, 3_600_000).state;
    expect(forgettableAt(short)).toBe(START + 3_600_000 + 60_000);
  });
});

describe("a settlement that comes in another window", () => {
  it("gives nothing back, and charges the rest to the new one", () => {
    const begin = Math.ceil(START / 10_000) * 10_000;
    const { state, reply } = reserve(NEW_CLIENT, fixed, 6, begin);
    const id = reply.reservation ?? -1;
    const less = settled(state, id, [{ policy: "p", actual: 1 }], begin + 10_001);
    expect(left(less.state)).toEqual([10]);
    const more = settled(state, id, [{ policy: "p", actual: 9 }], begin + 10_001);
    expect(more.reply.items).toEqual([{ policy: "p", charged: 9, forgiven: 0, remaining: 7 }]);
  });

  it("gives back to the part where it was counted", () => {
    const { state, reply } = reserve(NEW_CLIENT, sliding, 6, START);
    const later = took(state, sliding, 4, START + 500).state;
    const back = settled(later, reply.reservation ?? -1, [{ policy: "p", actual: 5 }], START + 600);
    expect(left(back.state)).toEqual([1]);
    // The part of the reservation leaves first, and with it only what is left of it.
    expect(took(back.state, sliding, 6, START + 1_017).reply.allowed).toBe(true);
    expect(took(back.state, sliding, 7, START + 1_017).reply.allowed).toBe(false);
  });
});

it("covers several policies under one number, shadows that lacked it left out", () => {
  const items = [
    { policy: "p", ...bucket, cost: 4, shadow: false, reserveMs: 1_000 },
    { policy: "q", ...sliding, cost: 4, shadow: false, reserveMs: 1_000 },
    { policy: "r", ...fixed, cost: 11, shadow: true, reserveMs: 1_000 },
    { policy: "s", ...bucket, cost: 1, shadow: false },
  ];
  const { state, reply } = take(NEW_CLIENT, { v: 1, configVersion: 1, client: "client", items }, START);
  const told = settled(
    state,
    reply.reservation ?? -1,
    [
      { policy: "p", actual: 1 },
      { policy: "s", actual: 0 },
    ],
    START,
  );
  expect(told.reply.items).toEqual([
    { policy: "p", charged: 1, forgiven: 0, remaining: 9 },
    { policy: "q", charged: 4, forgiven: 0, remaining: 6 },
  ]);
});

it("refuses the 1,025th that waits to be settled, and says when the first ends", () => {
  const wide = { ...bucket, burst: 5_000 };
  let state = NEW_CLIENT;
  for (let index = 0; index < 1_024; index++) ({ state } = reserve(state, wide, 1, START + index));
  const now = START + 1_024;
  expect(reserve(state, wide, 1, now).reply).toMatchObject({ allowed: false, items: [{ retryAfterMs: 28_976 }] });
  expect(took(state, wide, 1, now).reply.allowed).toBe(true);
  const one = settled(state, START, [], now).state;
  expect(reserve(one, wide, 1, now).reply.allowed).toBe(true);
});

describe("whatever requests turn out to have cost", () => {
  const anyStep = fc.record({
    gap: fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 12_000 })),
    kind: fc.constantFrom("reserve", "settle", "take" as const),
    cost: fc.nat({ max: 8 }),
    reserveMs: fc.integer({ min: 1, max: 4_000 }),
  });

  it.each(ALGORITHMS)("at most the limit and the largest debt are charged: %s", (_name, numbers) => {
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 60 }), fc.nat({ max: 20 }), (steps, debtMax) => {
        const { tokensPerWindow, burst } = numbers;
        const isBucket = numbers.algorithm === undefined;
        const charges: { at: number; tokens: number }[] = [];
        const open: { id: number; cost: number; at: number; until: number }[] = [];
        let state = NEW_CLIENT;
        let now = START;
        for (const { gap, kind, cost, reserveMs } of steps) {
          now += gap;
          if (kind === "reserve") {
            const outcome = reserve(state, numbers, cost, now, reserveMs);
            ({ state } = outcome);
            const id = outcome.reply.reservation ?? -1;
            if (outcome.reply.allowed) open.push({ id, cost, at: now, until: now + reserveMs });
          }
          if (kind === "take") {
            const outcome = took(state, numbers, cost, now);
            ({ state } = outcome);
            if (outcome.reply.allowed) charges.push({ at: now, tokens: cost });
          }
          const one = kind === "settle" ? open.shift() : undefined;
          if (one !== undefined) {
            const outcome = settled(state, one.id, [{ policy: "p", actual: cost * 4, debtMax }], now);
            expect(outcome.reply.settled).toBe(now < one.until);
            ({ state } = outcome);
            charges.push(...chargesOf(one, outcome.reply.items[0]?.charged ?? one.cost, now));
          }
          expect(unpackClient(packClient(state))).toEqual(state);
        }
        for (const one of open) charges.push(...chargesOf(one, one.cost, now));
        const more = { ...numbers, policy: "p", burst: burst + debtMax };
        const watched = admissions(isBucket ? more : { ...more, tokensPerWindow: tokensPerWindow + debtMax });
        for (const { at, tokens } of charges.sort((one, two) => one.at - two.at)) watched.admit(tokens, at);
        expect(watched.worst()).toBeLessThanOrEqual(0);

        /** A bucket charges when it is settled; windows charge the estimate when it is reserved, and then the rest. */
        function chargesOf(
          { cost, at, until }: { cost: number; at: number; until: number },
          charged: number,
          by: number,
        ) {
          if (isBucket) return [{ at: Math.min(by, until), tokens: charged }];
          return [
            { at, tokens: Math.min(cost, charged) },
            { at: by, tokens: Math.max(0, charged - cost) },
          ];
        }
      }),
      { numRuns: 500 },
    );
  });
});
