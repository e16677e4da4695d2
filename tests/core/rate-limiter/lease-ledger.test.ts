import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NEW_CLIENT, packClient, unpackClient, type ClientState } from "../../../objects/rate-limiter/client-state.ts";
import { NO_MEMORY, lease, type LeaseMemory } from "../../../objects/rate-limiter/leases/lease-ledger.ts";
import { leaseProblem } from "../../../objects/rate-limiter/leases/lease-messages.ts";
import { report } from "../../../objects/rate-limiter/client-report.ts";
import { forgettableAt, take } from "../../../objects/rate-limiter/ledger.ts";
import type { BucketLimit } from "../../../objects/rate-limiter/algorithms/token-bucket.ts";
import { START } from "./arbitraries.ts";
import { leaseMessage } from "./lease-arbitraries.ts";

const tenPerSecond: BucketLimit = { tokensPerWindow: 10, windowMs: 1_000, burst: 10 };
const hundred: BucketLimit = { tokensPerWindow: 100, windowMs: 1_000, burst: 100 };

/** A client of whose burst of ten isolate `a` took 5 on lease at START; `more`: and isolate `b` another 2. */
function onLease() {
  const half = lease(NEW_CLIENT, NO_MEMORY, leaseMessage(tenPerSecond, { seq: 1 }, { rate: 2 }), START);
  const all = leaseMessage(tenPerSecond, { seq: 2, isolate: "b" }, { rate: 0.8 });
  return { half, more: lease(half.state, half.memory, all, START) };
}

function bucketOf(state: ClientState) {
  const [policy] = state.policies;
  if (policy?.algorithm !== "token-bucket") throw new Error("no bucket is recorded");
  return policy.bucket;
}

function took(state: ClientState, cost: number, now: number) {
  const item = { policy: "p", ...tenPerSecond, cost, shadow: false };
  return take(state, { v: 1, configVersion: 1, client: "client", items: [item] }, now);
}

describe("a lease", () => {
  it("counts against the ceiling: with 6 of 10 out a bucket holds 4 until the lease ends (V6)", () => {
    const state: ClientState = {
      ...NEW_CLIENT,
      policies: [
        {
          policy: "p",
          configVersion: 1,
          algorithm: "token-bucket",
          limit: tenPerSecond,
          bucket: { tokens: 4, rem: 0, last: START, outstanding: 6 },
        },
      ],
      leases: { lastId: 1, live: [{ id: 1, policy: "p", tokens: 6, expiresAt: START + 5_100 }] },
    };
    const at = (ms: number) => report(state, "client", null, START + ms).policies[0];
    expect(at(600)).toMatchObject({ remaining: 4, outstanding: 6 });
    expect(at(5_099)).toMatchObject({ remaining: 4, outstanding: 6 });
    expect(at(5_100)).toMatchObject({ remaining: 4, outstanding: 0 });
    expect(at(5_700)).toMatchObject({ remaining: 10, outstanding: 0 });
    expect(took(state, 5, START + 600).reply.items).toEqual([
      { policy: "p", allowed: false, remaining: 4, retryAfterMs: 100 },
    ]);
  });

  it("is recorded with id, tokens and end: time to live and 100 ms", () => {
    const { state, reply } = onLease().half;
    expect(state.leases).toEqual({
      lastId: START,
      live: [{ id: START, policy: "p", tokens: 5, expiresAt: START + 5_100 }],
    });
    expect(reply).toEqual({
      v: 1,
      allowed: true,
      leaseId: START,
      ttlMs: 5_000,
      holdMs: 0,
      closeIdleMs: null,
      isolates: 1,
      items: [
        {
          policy: "p",
          allowed: true,
          remaining: 5,
          retryAfterMs: 0,
          kept: 0,
          granted: 5,
          rem: 0,
          room: 5,
          roomMs: 5_100,
        },
      ],
    });
  });

  it("is not given to an isolate that would not use two tokens of it", () => {
    const { state, reply } = lease(
      NEW_CLIENT,
      NO_MEMORY,
      leaseMessage(tenPerSecond, {}, { rate: 0.7, cost: 1 }),
      START,
    );
    expect(reply).toMatchObject({ allowed: true, leaseId: null, items: [{ granted: 0, remaining: 9 }] });
    expect(state.leases).toBeUndefined();
  });

  it("gets the same reply for the same message, once more after 10 s", () => {
    const first = lease(NEW_CLIENT, NO_MEMORY, leaseMessage(tenPerSecond, { seq: 7 }, { rate: 2, cost: 1 }), START);
    const again = (now: number) =>
      lease(first.state, first.memory, leaseMessage(tenPerSecond, { seq: 7 }, { rate: 2, cost: 1 }), now);
    expect(again(START + 9_999)).toEqual(first);
    expect(again(START + 9_999).state).toBe(first.state);
    expect(again(START + 10_000).reply.leaseId).not.toBe(first.reply.leaseId);
  });

  it("that is renewed for a shorter time counts until the one before would have ended: the reply may be lost", () => {
    const { half } = onLease();
    const busy = leaseMessage(tenPerSecond, { seq: 2, leaseId: half.reply.leaseId, keep: true }, { rate: 9, held: 4 });
    const { state, reply } = lease(half.state, half.memory, busy, START + 100);
    expect(reply).toMatchObject({ ttlMs: 1_000, items: [{ kept: 4 }] });
    expect(state.leases?.live).toMatchObject([{ id: START + 100, expiresAt: START + 5_100 }]);
  });

  it("of a shard lives on without a further token, unless its burst was cut", () => {
    const shard = { count: 2, calls: 1 };
    const first = lease(NEW_CLIENT, NO_MEMORY, leaseMessage(tenPerSecond, { shard }, { rate: 2 }), START);
    const renewed = (limit: BucketLimit, configVersion: number) => {
      const message = { seq: 2, shard, leaseId: first.reply.leaseId, keep: true, configVersion };
      return lease(first.state, first.memory, leaseMessage(limit, message, { held: 3 }), START + 3_000);
    };
    expect(first.reply.items[0]?.granted).toBe(4);
    expect(renewed(tenPerSecond, 1).state.leases?.live).toMatchObject([{ tokens: 3, expiresAt: START + 8_100 }]);
    expect(renewed({ ...tenPerSecond, burst: 2 }, 2).state.leases?.live).toMatchObject([{ expiresAt: START + 5_100 }]);
  });

  it("comes back once", () => {
    const { half } = onLease();
    const back = leaseMessage(tenPerSecond, { seq: 3, leaseId: half.reply.leaseId, want: 0 }, { held: 5 });
    const returned = lease(half.state, half.memory, back, START);
    expect(bucketOf(returned.state)).toEqual({ tokens: 10, rem: 0, last: START, outstanding: 0 });
    const spent = took(returned.state, 10, START).state;
    const afterRestart = lease(spent, NO_MEMORY, back, START);
    expect(afterRestart.state).toBe(spent);
  });

  it("is credited nothing after its end", () => {
    const { half } = onLease();
    const back = leaseMessage(tenPerSecond, { seq: 3, leaseId: half.reply.leaseId, want: 0 }, { held: 5 });
    const empty = took(half.state, 5, START + 5_050).state;
    expect(lease(empty, NO_MEMORY, back, START + 5_100).state).toBe(empty);
  });

  it("is renewed under a new id with what is kept, and what was spent leaves the ceiling", () => {
    const { half } = onLease();
    const renewal = leaseMessage(
      tenPerSecond,
      { seq: 3, leaseId: half.reply.leaseId, keep: true },
      { held: 2, spent: [3], rate: 2 },
    );
    const { state, reply } = lease(half.state, half.memory, renewal, START + 100);
    expect(reply.items[0]).toMatchObject({ kept: 2, granted: 2 });
    expect(state.leases?.live).toEqual([{ id: START + 100, policy: "p", tokens: 4, expiresAt: START + 5_200 }]);
  });

  it("keeps its row until it has ended and the bucket was full for a minute", () => {
    expect(forgettableAt(onLease().half.state)).toBe(START + 5_100 + 1_000 + 60_000);
  });

  it("reads back from a stored row, and a row that does not count it against the ceiling is refused", () => {
    const { state } = onLease().more;
    expect(unpackClient(packClient(state))).toEqual(state);
    const bucket = { ...bucketOf(state), outstanding: 1 };
    const limit = tenPerSecond;
    const uncounted = [{ policy: "p", configVersion: 1, algorithm: "token-bucket", limit, bucket }] as const;
    expect(unpackClient(packClient({ ...state, policies: uncounted }))).toBeUndefined();
  });
});

describe("credit for what was spent while refill was turned away (T6)", () => {
  /** Half of the burst on lease from START; the bucket, full below its ceiling, turns all refill away. */
  const { state, memory, reply } = lease(
    NEW_CLIENT,
    NO_MEMORY,
    leaseMessage(hundred, { want: 50 }, { rate: 20 }),
    START,
  );
  const later = START + 1_000;

  function reported(spent: readonly number[], held: number): number {
    const message = leaseMessage(
      hundred,
      { seq: 2, leaseId: reply.leaseId, want: 0, spanMs: 1_000, binMs: 100 },
      { held, spent },
    );
    return bucketOf(lease(state, memory, message, later).state).tokens;
  }

  it.each([
    ["spent at once: each finds refill", [50, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0, 100],
    [
      "spent 160 ms ago: no more than came since, 60 ms later for a clock's sake",
      [0, 0, 0, 0, 0, 0, 0, 0, 50, 0],
      0,
      54,
    ],
    ["spent in the last bin: nothing came since", [0, 0, 0, 0, 0, 0, 0, 0, 0, 50], 0, 50],
    ["not spent but returned: no refill is due", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 50, 100],
    ["more reported than was on lease", [500, 0, 0, 0, 0, 0, 0, 0, 0, 0], 40, 100],
  ])("%s", (_title, spent, held, tokens) => {
    expect(reported(spent, held)).toBe(tokens);
  });

  it("is not given by an owner that restarted", () => {
    const message = leaseMessage(
      hundred,
      { seq: 2, leaseId: reply.leaseId, want: 0, spanMs: 1_000, binMs: 100 },
      { spent: [50] },
    );
    // The stretch up to this message is seen by this message; what memory knew before is gone.
    const old = lease(state, memory, leaseMessage(hundred, { isolate: "b", want: 0 }, { cost: 1 }), later - 1);
    expect(bucketOf(old.state).tokens).toBe(49);
    expect(bucketOf(lease(old.state, NO_MEMORY, message, later).state).tokens).toBe(49);
    expect(bucketOf(lease(old.state, old.memory, message, later).state).tokens).toBe(99);
  });
});

describe("several policies", () => {
  const day: BucketLimit = { tokensPerWindow: 12, windowMs: 86_400_000, burst: 12 };
  const items = (rate: number, cost: number, shadow = false) => {
    const rest = { cost, held: 0, spent: [], rate, denied: 0 };
    return [
      { policy: "second", ...hundred, ...rest, shadow: false },
      { policy: "day", ...day, ...rest, shadow },
    ];
  };

  it("are leased alike, cut to what the scarcest can give", () => {
    const { reply } = lease(NEW_CLIENT, NO_MEMORY, leaseMessage(hundred, { items: items(8, 0) }), START);
    expect(reply.items.map(({ granted }) => granted)).toEqual([6, 6]);
  });

  it("are all taken from or none is", () => {
    const { state, reply } = lease(NEW_CLIENT, NO_MEMORY, leaseMessage(hundred, { items: items(0, 13) }), START);
    expect(reply.allowed).toBe(false);
    expect(reply.items.map(({ allowed, retryAfterMs }) => [allowed, retryAfterMs])).toEqual([
      [true, 0],
      [false, null],
    ]);
    expect(state).toBe(NEW_CLIENT);
  });

  it("that only watch limit nobody", () => {
    const { reply } = lease(NEW_CLIENT, NO_MEMORY, leaseMessage(hundred, { items: items(16, 0, true) }), START);
    expect(reply.items.map(({ granted }) => granted)).toEqual([40, 6]);
  });
});

describe("a lowered limit", () => {
  it("cuts the bucket to what leases leave of it, and is exact when they end (T7)", () => {
    const { half } = onLease();
    const lower = { ...tenPerSecond, burst: 4 };
    const asked = leaseMessage(lower, { configVersion: 2, seq: 2, isolate: "b" }, { cost: 1 });
    const { state, reply } = lease(half.state, half.memory, asked, START + 1_000);
    expect(reply).toMatchObject({ allowed: false, items: [{ remaining: 0, room: 0, retryAfterMs: 4_100 }] });
    expect(took(state, 1, START + 5_099).reply.allowed).toBe(false);
    expect(report(state, "client", null, START + 6_000).policies[0]).toMatchObject({ burst: 4, remaining: 4 });
  });

  it("is not undone by a message of a lower version (I9)", () => {
    const newer = lease(NEW_CLIENT, NO_MEMORY, leaseMessage(tenPerSecond, { configVersion: 5 }, { cost: 1 }), START);
    const older = leaseMessage(hundred, { configVersion: 4, seq: 2 }, { cost: 10 });
    expect(lease(newer.state, newer.memory, older, START).reply.allowed).toBe(false);
    expect(lease(newer.state, newer.memory, older, START).state).toBe(newer.state);
  });
});

/** What isolates may do, in any order: ask, renew, return, late, twice, and with lies about what they hold. */
const anyAct = fc.record({
  isolate: fc.constantFrom("a", "b", "c"),
  gap: fc.oneof(fc.constant(0), fc.nat({ max: 400 }), fc.nat({ max: 7_000 })),
  keep: fc.boolean(),
  spend: fc.nat({ max: 30 }),
  cost: fc.nat({ max: 12 }),
  rate: fc.constantFrom(0, 1, 10, 200),
  isLost: fc.boolean(),
  restarts: fc.boolean(),
});

describe("whatever isolates do", () => {
  it("level and leases never exceed the burst (T1), and no more comes back than was lent and not spent (T5, I7)", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(tenPerSecond, hundred, { tokensPerWindow: 7, windowMs: 60_000, burst: 33 }),
        fc.array(anyAct, { minLength: 1, maxLength: 40 }),
        (limit, acts) => {
          let state: ClientState = NEW_CLIENT;
          let memory: LeaseMemory = NO_MEMORY;
          let now = START;
          let admitted = 0;
          const leases = new Map<string, { id: number; tokens: number; until: number }>();
          for (const [seq, act] of acts.entries()) {
            now += act.gap;
            if (act.restarts) memory = NO_MEMORY;
            const mine = leases.get(act.isolate);
            const canSpend = mine !== undefined && now < mine.until ? Math.min(mine.tokens, act.spend) : 0;
            admitted += canSpend;
            const held = (mine?.tokens ?? 0) - canSpend;
            const message = leaseMessage(
              limit,
              { isolate: act.isolate, seq, leaseId: mine?.id ?? null, keep: act.keep },
              { held, cost: act.keep ? 0 : act.cost, rate: act.rate, spent: [0, 0, 0, 0, 0, 0, 0, 0, 0, canSpend] },
            );
            expect(leaseProblem(message)).toBeUndefined();
            const outcome = lease(state, memory, message, now);
            state = outcome.state;
            memory = outcome.memory;
            if (outcome.reply.allowed) admitted += message.items[0]?.cost ?? 0;
            const [item] = outcome.reply.items;
            leases.delete(act.isolate);
            const { leaseId } = outcome.reply;
            if (act.isLost && mine !== undefined && act.keep) leases.set(act.isolate, { ...mine, tokens: held });
            if (!act.isLost && leaseId !== null && item !== undefined) {
              const until = leaseId === mine?.id ? mine.until : now + outcome.reply.ttlMs;
              leases.set(act.isolate, { id: leaseId, tokens: item.kept + item.granted, until });
            }
            const recorded = state.policies[0];
            if (recorded?.algorithm !== "token-bucket") continue;
            const { tokens, outstanding } = recorded.bucket;
            const live = (state.leases?.live ?? []).reduce((sum, one) => sum + one.tokens, 0);
            expect(outstanding).toBe(live);
            expect(tokens).toBeGreaterThanOrEqual(0);
            expect(tokens + outstanding).toBeLessThanOrEqual(limit.burst);
            expect(unpackClient(packClient(state))).toEqual(state);
            const allowed = limit.burst * limit.windowMs + (now - START) * limit.tokensPerWindow;
            expect(admitted * limit.windowMs).toBeLessThanOrEqual(allowed);
          }
        },
      ),
      { numRuns: 1_500 },
    );
  });
});
