import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ClientState, PolicyState } from "../../../objects/rate-limiter/client-state.ts";
import { NEW_CLIENT, lostClient, packClient, unpackClient } from "../../../objects/rate-limiter/client-state.ts";
import { take } from "../../../objects/rate-limiter/ledger.ts";
import { RUNS, START, anyLimit } from "./arbitraries.ts";

const anyPolicy: fc.Arbitrary<PolicyState> = anyLimit.chain((limit) =>
  fc.integer({ min: 0, max: limit.burst }).chain((outstanding) =>
    fc.record({
      policy: fc.string({ unit: "binary", minLength: 1 }),
      configVersion: fc.nat(),
      algorithm: fc.constant("token-bucket" as const),
      limit: fc.constant(limit),
      bucket: fc.record({
        tokens: fc.integer({ min: 0, max: limit.burst - outstanding }),
        rem: fc.integer({ min: 0, max: limit.windowMs - 1 }),
        last: fc.integer({ min: -START, max: 2 * START }),
        outstanding: fc.constant(outstanding),
      }),
    }),
  ),
);

const anyState: fc.Arbitrary<ClientState> = fc.record({
  policies: fc.array(anyPolicy, { maxLength: 4 }),
  refunds: fc.array(
    fc.record({
      sender: fc.string({ minLength: 1 }),
      top: fc.nat(),
      seen: fc.integer({ min: 0, max: 0xffff_ffff }),
      at: fc.integer({ min: 0, max: 2 * START }),
    }),
    { maxLength: 3 },
  ),
  lostAt: fc.option(fc.integer({ min: 0, max: 2 * START }), { nil: undefined }),
});

describe("a state written down", () => {
  it("reads back as it was", () => {
    fc.assert(
      fc.property(anyState, (state) => {
        expect(unpackClient(packClient(state))).toEqual(state);
      }),
      RUNS,
    );
  });

  it("decides as it did", () => {
    fc.assert(
      fc.property(anyState, anyLimit, fc.nat({ max: 9 }), fc.nat(), (state, limit, cost, later) => {
        const items = [{ policy: state.policies[0]?.policy ?? "p", ...limit, cost, shadow: false }];
        const message = { v: 1, configVersion: 7, client: "c", items } as const;
        expect(take(unpackClient(packClient(state)) ?? NEW_CLIENT, message, START + later)).toEqual(
          take(state, message, START + later),
        );
      }),
      RUNS,
    );
  });

  it("is small: a client with one limit takes about 60 characters", () => {
    const limit = { tokensPerWindow: 300, windowMs: 300_000, burst: 300 };
    const bucket = { tokens: 299, rem: 0, last: START, outstanding: 0 };
    expect(
      packClient({
        ...NEW_CLIENT,
        policies: [{ policy: "default", configVersion: 1, algorithm: "token-bucket", limit, bucket }],
      }),
    ).toBe(`{"p":[["default",1,300,300000,300,299,0,${START},0]]}`);
  });

  it("says by a letter how a limit counts, and is no longer than it must be", () => {
    const window = { buckets: [{ index: 9, count: 3 }], last: 5, spendableUntil: 6 };
    const policies = [
      {
        policy: "a",
        configVersion: 1,
        algorithm: "sliding-window",
        limit: { tokensPerWindow: 10, windowMs: 60 },
        window,
      },
      {
        policy: "b",
        configVersion: 1,
        algorithm: "approximate-sliding-window",
        limit: { tokensPerWindow: 10, windowMs: 2 },
        window: { index: 2, current: 3, previous: 4, last: 5 },
      },
      {
        policy: "c",
        configVersion: 1,
        algorithm: "fixed-window",
        limit: { tokensPerWindow: 10, rule: { kind: "calendar", unit: "day", timeZone: "Asia/Tokyo" } },
        quota: { id: 5, used: 6 },
      },
      {
        policy: "d",
        configVersion: 1,
        algorithm: "fixed-window",
        limit: { tokensPerWindow: 10, rule: { kind: "fixed", windowMs: 1_000 } },
        quota: { id: 5, used: 6 },
      },
    ] as const;
    const lease = { id: 5, policy: "a", tokens: 1, expiresAt: 9, countedAt: 8 };
    const state = { ...NEW_CLIENT, policies, leases: { lastId: 5, live: [lease], reserved: [lease] } };
    const text = packClient(state);
    expect(text).toBe(
      '{"p":[["a",1,"s",10,60,5,6,[9,3]],["b",1,"a",10,2,3,4,5],["c",1,"q",10,["day","Asia/Tokyo"],5,6],["d",1,"q",10,1000,5,6]],' +
        '"l":[5,[5,"a",1,9,8]],"h":[[5,"a",1,9,8]]}',
    );
    expect(unpackClient(text)).toEqual(state);
  });

  it("reads members and entries that a later version adds", () => {
    const text = `{"p":[["a",1,10,1000,10,4,500,${START},0,"more"]],"leases":[["id",3]]}`;
    const limit = { tokensPerWindow: 10, windowMs: 1000, burst: 10 };
    const bucket = { tokens: 4, rem: 500, last: START, outstanding: 0 };
    expect(unpackClient(text)).toEqual({
      policies: [{ policy: "a", configVersion: 1, algorithm: "token-bucket", limit, bucket }],
      refunds: [],
      lostAt: undefined,
    });
  });

  it.each([
    ["no text", ""],
    ["no JSON", "{"],
    ["a number", "4"],
    ["null", "null"],
    ["no policies", "{}"],
    ["policies that are no list", '{"p":{}}'],
    ["a policy that is no list", '{"p":[{}]}'],
    ["a policy cut short", '{"p":[["a",1,10,1000,10,4]]}'],
    ["a name that is no text", '{"p":[[1,1,10,1000,10,4,0,5,0]]}'],
    ["a fraction of a token", '{"p":[["a",1,10,1000,10,4.5,0,5,0]]}'],
    ["a debt too large to be exact", '{"p":[["a",1,10,1000,10,-9007199254731,0,5,0]]}'],
    ["more tokens than the burst", '{"p":[["a",1,10,1000,10,11,0,5,0]]}'],
    ["more tokens than leases leave", '{"p":[["a",1,10,1000,10,9,0,5,2]]}'],
    ["a remainder of a whole token", '{"p":[["a",1,10,1000,10,4,1000,5,0]]}'],
    ["no rate", '{"p":[["a",1,0,1000,10,4,0,5,0]]}'],
    ["no window", '{"p":[["a",1,10,0,10,4,0,5,0]]}'],
    ["a bucket too large to be exact", '{"p":[["a",1,10,1000,9007199254741,4,0,5,0]]}'],
    ["an algorithm nobody knows", '{"p":[["a",1,"z",10,1000,5,5,[]]]}'],
    ["a window that is spent before it is counted", '{"p":[["a",1,"s",10,1000,5,4,[]]]}'],
    ["a window whose parts are no list", '{"p":[["a",1,"s",10,1000,5,5,3]]}'],
    ["a part of a window without a count", '{"p":[["a",1,"s",10,1000,5,5,[3]]]}'],
    ["an estimate too large to be exact", '{"p":[["a",1,"a",9007199254741,1000,0,0,5]]}'],
    ["an estimate below nothing", '{"p":[["a",1,"a",10,1000,-1,0,5]]}'],
    ["a quota without a rule", '{"p":[["a",1,"q",10,null,0,0]]}'],
    ["a quota of a calendar that nobody knows", '{"p":[["a",1,"q",10,["year","UTC"],0,0]]}'],
    ["a quota in a zone without a name", '{"p":[["a",1,"q",10,["day",""],0,0]]}'],
    ["more given back of a quota than used", '{"p":[["a",1,"q",10,1000,0,-1]]}'],
    ["a lease that is counted at no time", '{"p":[],"l":[5,[5,"a",1,9,"x"]]}'],
    ["a reservation cut short", '{"p":[],"l":[5],"h":[[5,"a"]]}'],
    ["a bucket that does not count what is reserved", '{"p":[["a",1,10,1000,10,4,0,5,0]],"l":[5],"h":[[5,"a",1,9]]}'],
    ["a refund cut short", '{"p":[],"r":[["x",1]]}'],
    ["a loss at no time", '{"p":[],"lost":"now"}'],
  ])("is refused as a whole when it is damaged: %s", (_title, text) => {
    expect(unpackClient(text)).toBeUndefined();
  });

  it("remembers when it took the place of a lost one", () => {
    expect(unpackClient(packClient(lostClient(START)))).toEqual({ policies: [], refunds: [], lostAt: START });
  });
});
