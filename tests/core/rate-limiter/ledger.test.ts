import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { remaining } from "../../../objects/rate-limiter/algorithms/allowance.ts";
import type { ClientState } from "../../../objects/rate-limiter/client-state.ts";
import { NEW_CLIENT, lostClient } from "../../../objects/rate-limiter/client-state.ts";
import { report } from "../../../objects/rate-limiter/client-report.ts";
import { forgettableAt, isForgettable, refund, take } from "../../../objects/rate-limiter/ledger.ts";
import type { RefundMessage, TakeItem, TakeMessage } from "../../../objects/rate-limiter/messages.ts";
import { noteRefund, noteRoom, type RefundRoom } from "../../../objects/rate-limiter/refund-room.ts";
import type { BucketLimit } from "../../../objects/rate-limiter/algorithms/token-bucket.ts";
import { RUNS, START, anyCost, anyGap, anyLimit } from "./arbitraries.ts";
import { oracleBucket } from "./oracle.ts";

const perSecond: BucketLimit = { tokensPerWindow: 10, windowMs: 1_000, burst: 10 };
const perHour: BucketLimit = { tokensPerWindow: 100, windowMs: 3_600_000, burst: 100 };

function ask(policy: string, limit: BucketLimit, cost = 1, shadow = false): TakeItem {
  return { policy, ...limit, cost, shadow };
}

function message(items: readonly TakeItem[], configVersion = 1): TakeMessage {
  return { v: 1, configVersion, client: "client", items };
}

function refundOf(seq: number, items: RefundMessage["items"], takenAt = START): RefundMessage {
  return { v: 1, client: "client", isolate: "isolate", seq, takenAt, items };
}

function tokens(state: ClientState): Record<string, number> {
  return Object.fromEntries(state.policies.map((policy) => [policy.policy, remaining(policy)]));
}

describe("several limits of one client", () => {
  const both = (cost: number) => message([ask("second", perSecond, cost), ask("hour", perHour, cost)]);

  it("are all taken from, or none is", () => {
    const first = take(NEW_CLIENT, both(8), START);
    expect(first.reply).toEqual({
      v: 1,
      allowed: true,
      items: [
        { policy: "second", allowed: true, remaining: 2, retryAfterMs: 0 },
        { policy: "hour", allowed: true, remaining: 92, retryAfterMs: 0 },
      ],
      takenAt: START,
    });
    const second = take(first.state, both(3), START);
    expect(second.reply).toEqual({
      v: 1,
      allowed: false,
      items: [
        { policy: "second", allowed: false, remaining: 2, retryAfterMs: 100 },
        { policy: "hour", allowed: true, remaining: 92, retryAfterMs: 0 },
      ],
    });
    expect(second.state).toBe(first.state);
  });

  it("say never for the one that is too small", () => {
    expect(take(NEW_CLIENT, both(11), START)).toEqual({
      state: NEW_CLIENT,
      reply: {
        v: 1,
        allowed: false,
        items: [
          { policy: "second", allowed: false, remaining: 10, retryAfterMs: null },
          { policy: "hour", allowed: true, remaining: 100, retryAfterMs: 0 },
        ],
      },
    });
  });

  it("do not let a shadow stand in the way, nor take from a shadow that would have refused", () => {
    const shadowed = message([ask("second", perSecond, 11, true), ask("hour", perHour, 11)]);
    const { state, reply } = take(NEW_CLIENT, shadowed, START);
    expect(reply).toEqual({
      v: 1,
      allowed: true,
      items: [
        { policy: "second", allowed: false, remaining: 10, retryAfterMs: null },
        { policy: "hour", allowed: true, remaining: 89, retryAfterMs: 0 },
      ],
      takenAt: START,
    });
    expect(tokens(state)).toEqual({ hour: 89 });
  });

  it("take from a shadow what they take from the others, and nothing when the request is refused", () => {
    const passed = take(NEW_CLIENT, message([ask("second", perSecond, 4, true), ask("hour", perHour, 4)]), START);
    expect(tokens(passed.state)).toEqual({ second: 6, hour: 96 });
    const refused = take(passed.state, message([ask("second", perSecond, 1, true), ask("hour", perHour, 97)]), START);
    expect(refused.reply.allowed).toBe(false);
    expect(refused.state).toBe(passed.state);
  });

  it("agree with an oracle for each that is looked at first and taken from after", () => {
    const anyEvent = (limits: readonly BucketLimit[]) =>
      fc.record({
        gap: anyGap,
        asked: fc.tuple(...limits.map((limit) => fc.option(fc.record({ cost: anyCost(limit), shadow: fc.boolean() })))),
      });
    const history = fc
      .tuple(anyLimit, anyLimit, anyLimit)
      .chain((limits) =>
        fc.record({ limits: fc.constant(limits), events: fc.array(anyEvent(limits), { maxLength: 25 }) }),
      );
    fc.assert(
      fc.property(history, ({ limits, events }) => {
        const oracles = limits.map((limit) => oracleBucket(limit, START));
        let state = NEW_CLIENT;
        let now = START;
        for (const { gap, asked } of events) {
          now += gap;
          const items = limits.flatMap((limit, index) => {
            const one = asked[index];
            return one === null || one === undefined ? [] : [ask(String(index), limit, one.cost, one.shadow)];
          });
          const looks = items.map(({ policy, cost }) => oracles[Number(policy)]?.look(cost, now));
          const allowed = items.every(({ shadow }, index) => shadow || looks[index]?.allowed === true);
          const expected = items.map(({ policy, cost }, index) => ({
            policy,
            ...(allowed ? oracles[Number(policy)]?.take(cost, now) : looks[index]),
          }));
          const outcome = take(state, message(items), now);
          const isTaken = allowed && expected.some((one, index) => one.allowed === true && items[index]?.cost !== 0);
          expect(outcome.reply).toEqual({ v: 1, allowed, items: expected, ...(isTaken && { takenAt: now }) });
          state = outcome.state;
        }
      }),
      RUNS,
    );
  });
});

describe("what is worth a write", () => {
  const spent = take(NEW_CLIENT, message([ask("p", perSecond, 10)]), START).state;

  it.each([
    { title: "a refusal", state: spent, sent: message([ask("p", perSecond)]), at: START + 50 },
    {
      title: "a refusal of a client never seen",
      state: NEW_CLIENT,
      sent: message([ask("p", perSecond, 11)]),
      at: START,
    },
    { title: "a look", state: spent, sent: message([ask("p", perSecond, 0)]), at: START + 300 },
    { title: "a message about nothing", state: spent, sent: message([]), at: START },
    { title: "a clock a little behind", state: spent, sent: message([ask("p", perSecond)]), at: START - 4_000 },
  ])("not $title", ({ state, sent, at }) => {
    expect(take(state, sent, at).state).toBe(state);
  });

  it.each([
    { title: "a refusal under a new limit", sent: message([ask("p", perHour)]), at: START },
    { title: "a refusal under a new version of the same limit", sent: message([ask("p", perSecond)], 2), at: START },
    { title: "a refusal after a clock that was far ahead", sent: message([ask("p", perSecond)]), at: START - 6_000 },
  ])("but $title", ({ sent, at }) => {
    const { state, reply } = take(spent, sent, at);
    expect(reply.allowed).toBe(false);
    expect(state).not.toBe(spent);
    expect(take(state, sent, at).state).toBe(state);
  });

  it("so a client is not locked out until a clock that was an hour ahead comes round again", () => {
    const ahead = take(NEW_CLIENT, message([ask("p", perSecond, 10)]), START + 3_600_000).state;
    const refused = take(ahead, message([ask("p", perSecond)]), START);
    expect(refused.reply.allowed).toBe(false);
    expect(take(refused.state, message([ask("p", perSecond)]), START + 100).reply.allowed).toBe(true);
  });
});

it("never lets a clock that runs up to 2.5 s off add a token to burst + rate * t", () => {
  const event = fc.record({
    gap: anyGap,
    off: fc.integer({ min: -2_500, max: 2_500 }),
    cost: fc.integer({ min: 1, max: 12 }),
  });
  fc.assert(
    fc.property(anyLimit, fc.array(event, { minLength: 1, maxLength: 25 }), (limit, events) => {
      let state = NEW_CLIENT;
      let now = START;
      let passed = 0n;
      const seen: number[] = [];
      for (const { gap, off, cost } of events) {
        now += gap;
        seen.push(now + off);
        const outcome = take(state, message([ask("p", limit, cost)]), now + off);
        state = outcome.state;
        if (outcome.reply.allowed) passed += BigInt(cost);
        const earned = BigInt(limit.tokensPerWindow) * BigInt(Math.max(...seen) - Math.min(...seen));
        expect(passed * BigInt(limit.windowMs) <= BigInt(limit.burst) * BigInt(limit.windowMs) + earned).toBe(true);
      }
    }),
    RUNS,
  );
});

describe("configuration versions", () => {
  it("of a lower number never change a limit that a higher one set", () => {
    const state = take(NEW_CLIENT, message([ask("p", { ...perSecond, burst: 4 })], 5), START).state;
    const { state: after, reply } = take(state, message([ask("p", { ...perSecond, burst: 90 }, 4)], 4), START);
    expect(reply.items).toEqual([{ policy: "p", allowed: false, remaining: 3, retryAfterMs: 100 }]);
    expect(after).toBe(state);
    const taken = take(state, message([ask("p", { ...perSecond, burst: 90 }, 3)], 4), START).state;
    expect(taken.policies).toMatchObject([{ configVersion: 5, limit: { burst: 4 } }]);
  });

  it("are kept for each policy, so that an old number elsewhere does not hold a newer one back", () => {
    const state = take(NEW_CLIENT, message([ask("p", perSecond)], 5), START).state;
    const later = take(state, message([ask("q", perHour)], 3), START).state;
    expect(take(later, message([ask("q", { ...perHour, burst: 7 })], 4), START).reply.items).toEqual([
      { policy: "q", allowed: true, remaining: 6, retryAfterMs: 0 },
    ]);
  });

  it("of the same number take the limit of the last message: a restart may have edited it", () => {
    const state = take(NEW_CLIENT, message([ask("p", perSecond, 2)]), START).state;
    expect(take(state, message([ask("p", { ...perSecond, burst: 5 })]), START).reply.items).toEqual([
      { policy: "p", allowed: true, remaining: 4, retryAfterMs: 0 },
    ]);
  });

  it("leave nothing of a lower one behind, whatever it asks for", () => {
    const event = fc.record({ gap: anyGap, limit: anyLimit, cost: fc.nat({ max: 12 }), version: fc.nat({ max: 4 }) });
    fc.assert(
      fc.property(anyLimit, fc.array(event, { maxLength: 25 }), (limit, events) => {
        let state = take(NEW_CLIENT, message([ask("p", limit)], 5), START).state;
        let now = START;
        for (const { gap, limit: stale, cost, version } of events) {
          now += gap;
          const told = take(state, message([ask("p", stale, cost)], version), now);
          expect(told).toEqual(take(state, message([ask("p", limit, cost)], 5), now));
          state = told.state;
        }
      }),
      RUNS,
    );
  });

  it("never let more than the new burst + rate * t through after a change, from the change on", () => {
    const event = fc.record({ gap: anyGap, cost: fc.integer({ min: 1, max: 12 }) });
    fc.assert(
      fc.property(
        fc.array(fc.record({ limit: anyLimit, events: fc.array(event, { maxLength: 8 }) }), {
          minLength: 1,
          maxLength: 6,
        }),
        (epochs) => {
          let state = NEW_CLIENT;
          let now = START;
          for (const [version, { limit, events }] of epochs.entries()) {
            state = take(state, message([ask("p", limit, 0)], version), now).state;
            const since = now;
            let passed = 0n;
            for (const { gap, cost } of events) {
              now += gap;
              const outcome = take(state, message([ask("p", limit, cost)], version), now);
              state = outcome.state;
              if (outcome.reply.allowed) passed += BigInt(cost);
              const ceiling = BigInt(limit.burst) * BigInt(limit.windowMs);
              const earned = BigInt(limit.tokensPerWindow) * BigInt(now - since);
              expect(passed * BigInt(limit.windowMs) <= ceiling + earned).toBe(true);
            }
          }
        },
      ),
      RUNS,
    );
  });
});

describe("a refund", () => {
  const taken = take(NEW_CLIENT, message([ask("p", perSecond, 6), ask("q", perHour, 6)]), START).state;
  const room = noteRoom(undefined, NEW_CLIENT, START);

  it("puts the tokens back, once", () => {
    const both = [
      { policy: "p", cost: 6 },
      { policy: "q", cost: 2 },
    ];
    const first = refund(taken, refundOf(1, both), START, room);
    expect([first.reply, tokens(first.state)]).toEqual([
      { v: 1, refunded: true },
      { p: 10, q: 96 },
    ]);
    const again = refund(first.state, refundOf(1, [{ policy: "q", cost: 2 }]), START + 9_999, room);
    expect(again).toEqual({ state: first.state, reply: { v: 1, refunded: false } });
    expect(again.state).toBe(first.state);
    const next = refund(first.state, refundOf(2, [{ policy: "q", cost: 2 }]), START, room);
    expect(tokens(next.state)).toEqual({ p: 10, q: 98 });
  });

  it("never lifts a bucket above its burst", () => {
    expect(tokens(refund(taken, refundOf(1, [{ policy: "p", cost: 99 }]), START, room).state)).toEqual({
      p: 10,
      q: 94,
    });
  });

  it("of what nothing is known about makes no record", () => {
    const unknown = refund(NEW_CLIENT, refundOf(1, [{ policy: "p", cost: 1 }]), START, room);
    expect(unknown).toEqual({ state: NEW_CLIENT, reply: { v: 1, refunded: false } });
    expect(refund(taken, refundOf(1, [{ policy: "other", cost: 1 }]), START, room).state).toBe(taken);
  });

  it("gives nothing to a bucket of whose past nothing is known", () => {
    const later = noteRoom(undefined, taken, START + 1);
    expect(tokens(refund(taken, refundOf(1, [{ policy: "q", cost: 2 }]), START + 1, later).state)).toEqual({
      p: 4,
      q: 94,
    });
  });

  it("gives all back of many takes that were refused together, from a full bucket too", () => {
    const many = Array.from({ length: 50 }, (_, seq) => seq);
    let state = NEW_CLIENT;
    let memory: RefundRoom | undefined;
    for (const seq of many) {
      memory = noteRoom(memory, state, START + seq);
      ({ state } = take(state, message([ask("q", perHour)]), START + seq));
    }
    for (const seq of many) {
      const items = [{ policy: "q", cost: 1 }];
      memory = noteRoom(memory, state, START + 60);
      ({ state } = refund(state, refundOf(seq, items, START + seq), START + 60, memory));
      memory = noteRefund(memory, items, START + seq);
    }
    expect(tokens(state)).toEqual({ q: 100 });
  });

  it.each([
    { title: "all of it", costs: [10], waitMs: 1_000, left: 0 },
    { title: "a part of it", costs: [10], waitMs: 400, left: 6 },
    { title: "as much of it as was taken in all", costs: [5, 5], waitMs: 500, left: 5 },
  ])("gives nothing back that has come back as refill, when that is $title", ({ costs, waitMs, left }) => {
    const now = START + waitMs;
    let state = NEW_CLIENT;
    for (const cost of costs) ({ state } = take(state, message([ask("p", perSecond, cost)]), START));
    let memory = noteRoom(room, state, now);
    // Whoever spends the refill has it.
    ({ state } = take(state, message([ask("p", perSecond, waitMs / 100)]), now));
    for (const [seq, cost] of costs.entries()) {
      const items = [{ policy: "p", cost }];
      ({ state } = refund(state, refundOf(seq, items), now, memory));
      memory = noteRefund(memory, items, START);
    }
    expect(tokens(state)).toEqual({ p: left });
  });

  it("leaves the envelope whole, however late: takes that were not refunded stay within burst + rate * t", () => {
    const event = fc.record({
      gap: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 1_500 })),
      cost: fc.integer({ min: 1, max: 12 }),
      refundAfter: fc.option(fc.nat({ max: 6 })),
    });
    fc.assert(
      fc.property(anyLimit, fc.array(event, { maxLength: 40 }), (limit, events) => {
        let state = NEW_CLIENT;
        let memory: RefundRoom | undefined;
        let now = START;
        const passed: { at: number; cost: number }[] = [];
        const due: { index: number; seq: number; cost: number; takenAt: number }[] = [];
        for (const [index, { gap, cost, refundAfter }] of events.entries()) {
          now += gap;
          for (const one of due.filter((late) => late.index <= index)) {
            due.splice(due.indexOf(one), 1);
            const items = [{ policy: "p", cost: one.cost }];
            // Delivered twice, as a runtime that retries may.
            for (const sent of [refundOf(one.seq, items, one.takenAt), refundOf(one.seq, items, one.takenAt)]) {
              memory = noteRoom(memory, state, now);
              const outcome = refund(state, sent, now, memory);
              ({ state } = outcome);
              if (outcome.reply.refunded) memory = noteRefund(memory, items, one.takenAt);
            }
          }
          const before = state;
          const outcome = take(state, message([ask("p", limit, cost)]), now);
          ({ state } = outcome);
          memory = noteRoom(memory, before, now);
          if (!outcome.reply.allowed) continue;
          if (refundAfter === null) passed.push({ at: now, cost });
          else due.push({ index: index + refundAfter, seq: index, cost, takenAt: outcome.reply.takenAt ?? -1 });
        }
        for (const [first, { at: from }] of passed.entries()) {
          let sum = 0n;
          for (const { at, cost } of passed.slice(first)) {
            sum += BigInt(cost);
            const refill = BigInt(limit.tokensPerWindow) * BigInt(at - from);
            expect(sum * BigInt(limit.windowMs) <= BigInt(limit.burst) * BigInt(limit.windowMs) + refill).toBe(true);
          }
        }
      }),
      RUNS,
    );
  });
});

describe("a record with nothing left to remember", () => {
  const anyEvents = fc.array(fc.record({ gap: anyGap, policy: fc.constantFrom(0, 1), cost: fc.nat({ max: 12 }) }), {
    minLength: 1,
    maxLength: 12,
  });

  it("can be dropped a minute after the last bucket is full", () => {
    const state = take(NEW_CLIENT, message([ask("p", perSecond, 5), ask("q", perHour, 2)]), START).state;
    expect(forgettableAt(state)).toBe(START + 72_000 + 60_000);
    expect(isForgettable(state, START + 131_999)).toBe(false);
    expect(isForgettable(state, START + 132_000)).toBe(true);
    expect(isForgettable(NEW_CLIENT, START)).toBe(true);
  });

  it("is decided alike when it is dropped, ever after", () => {
    fc.assert(
      fc.property(anyLimit, anyLimit, anyEvents, anyEvents, fc.nat(), (first, second, before, after, late) => {
        const limits = [first, second];
        const sent = ({ policy, cost }: { policy: number; cost: number }) =>
          message(limits.slice(policy).map((limit, index) => ask(String(policy + index), limit, cost)));
        let kept = NEW_CLIENT;
        let now = START;
        for (const event of before) {
          now += event.gap;
          kept = take(kept, sent(event), now).state;
        }
        now = Math.max(now, forgettableAt(kept)) + late;
        let dropped = NEW_CLIENT;
        for (const event of after) {
          now += event.gap;
          const [one, other] = [take(kept, sent(event), now), take(dropped, sent(event), now)];
          expect(other.reply).toEqual(one.reply);
          [kept, dropped] = [one.state, other.state];
        }
      }),
      RUNS,
    );
  });

  it("stays while tokens are on lease", () => {
    const bucket = { tokens: 4, rem: 0, last: START, outstanding: 6 };
    const policies = [{ policy: "p", configVersion: 1, algorithm: "token-bucket", limit: perSecond, bucket }] as const;
    expect(isForgettable({ ...NEW_CLIENT, policies }, START + 3_600_000)).toBe(false);
  });

  it("goes policy by policy where a client has others: renamed ones do not pile up", () => {
    const old = take(NEW_CLIENT, message([ask("old", perSecond), ask("slow", perHour, 50)]), START).state;
    const state = take(old, message([ask("new", perSecond)]), START + 120_000).state;
    expect(tokens(state)).toEqual({ new: 9, slow: 50 });
  });
});

describe("a client whose record was lost", () => {
  it("starts with empty buckets, in every policy, and earns from then on", () => {
    const lost = lostClient(START);
    const refused = take(lost, message([ask("p", perSecond)]), START);
    expect(refused.reply.items).toEqual([{ policy: "p", allowed: false, remaining: 0, retryAfterMs: 100 }]);
    const later = take(lost, message([ask("p", perSecond)]), START + 200).state;
    expect(tokens(later)).toEqual({ p: 1 });
    expect(take(later, message([ask("q", perHour)]), START + 36_000).reply.items).toEqual([
      { policy: "q", allowed: true, remaining: 0, retryAfterMs: 0 },
    ]);
  });

  it("is remembered for a month, since any of its limits may be a quota of a month", () => {
    expect(forgettableAt(lostClient(START))).toBe(START + 31 * 24 * 3_600_000);
  });
});

it("reports the counters as they stand, without changing them", () => {
  const state = take(NEW_CLIENT, message([ask("p", perSecond, 5)], 3), START).state;
  expect(report(state, "client", { at: START, allowed: true }, START + 250)).toEqual({
    v: 1,
    client: "client",
    lastDecision: { at: START, allowed: true },
    policies: [
      {
        policy: "p",
        configVersion: 3,
        algorithm: "token-bucket",
        tokensPerWindow: 10,
        windowMs: 1_000,
        burst: 10,
        remaining: 7,
        outstanding: 0,
        leases: { count: 0, tokens: 0, nextEndAt: null },
        reservations: { count: 0, tokens: 0, nextEndAt: null },
        fullInMs: 250,
        lastChangeAt: START,
      },
    ],
  });
});
