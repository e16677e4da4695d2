import { describe, expect, it } from "vitest";
import { crowd, fly, tally, type OriginReply, type World } from "./flight-world.ts";

const SOON: OriginReply = { afterMs: 300, head: {} };

function lang(value: string) {
  return { fields: { "accept-language": value } };
}

describe("50 clients at once on a cold key, of an origin that takes 300 ms", () => {
  it.each<[string, OriginReply["head"], number, Record<string, number>]>([
    ["what is fresh", {}, 1, { leader: 1, follower: 49 }],
    ["what is private", { isPrivate: true, isStorable: false }, 50, { leader: 1, released: 49 }],
    ["what is no-store", { isNoStore: true, isStorable: false }, 50, { leader: 1, released: 49 }],
    ["what is stale on arrival", { isStorable: false, ttlMs: 0 }, 50, { leader: 1, released: 49 }],
    ["what says nothing of caches", { isStorable: false, ttlMs: 0 }, 50, { leader: 1, released: 49 }],
    ["what sets a cookie", { hasSetCookie: true, isStorable: false }, 50, { leader: 1, released: 49 }],
    ["what varies by everything", { vary: "*", isStorable: false }, 50, { leader: 1, released: 49 }],
    ["a 401", { status: 401 }, 50, { leader: 1, released: 49 }],
    ["a 404 that is fresh", { status: 404 }, 1, { leader: 1, follower: 49 }],
    ["a 500", { status: 500, isStorable: false, ttlMs: 0 }, 2, { leader: 2, refused: 48 }],
    ["a connection that is refused", "unreachable", 2, { refused: 50 }],
    ["a connection that breaks", "reset", 1, { refused: 50 }],
  ])("%s", (_title, head, requests, expected) => {
    const seen = fly({ clients: crowd(50), origin: () => ({ afterMs: 300, head }) });
    expect([seen.asked.length, tally(seen)]).toEqual([requests, expected]);
  });

  it("shares what is stale on arrival with those who wait, where the route says so, and with nobody after them", () => {
    const head = { isStorable: false, ttlMs: 0 };
    const clients = [...crowd(50), { at: 400 }];
    const seen = fly({
      rules: { coalesce: "arrived-before-headers" },
      clients,
      origin: () => ({ afterMs: 300, bodyMs: 500, head }),
    });
    expect([seen.asked.length, tally(seen), seen.stored]).toEqual([2, { leader: 2, follower: 49 }, []]);
  });

  it("releases in parallel: all are answered after one more trip to the origin", () => {
    const head = { isPrivate: true };
    const seen = fly({ clients: crowd(50), origin: () => ({ afterMs: 300, head }) });
    expect(new Set(seen.asked.map(({ at }) => at))).toEqual(new Set([0, 300]));
  });

  it("asks once for each of five variants", () => {
    const clients = crowd(50, (index) => lang(`l${index % 5}`));
    const seen = fly({ clients, origin: () => ({ afterMs: 300, head: { vary: ["accept-language"] } }) });
    expect([seen.asked.length, tally(seen)]).toEqual([5, { leader: 5, follower: 45 }]);
    expect(new Set(seen.asked.map(({ at }) => at))).toEqual(new Set([0, 300]));
    for (const [client, { request }] of seen.outcomes) {
      expect(seen.asked.find(({ id }) => id === request)?.fields).toEqual(clients[client]?.fields);
    }
  });

  it("asks at once for each variant of a key whose Vary it knows", () => {
    const later = crowd(50, (index) => ({ at: 100_000, ...lang(`l${index % 5}`) }));
    const clients = [{ at: 0, ...lang("l0") }, ...later];
    const seen = fly({ clients, origin: () => ({ afterMs: 300, head: { vary: ["accept-language"] } }) });
    expect(seen.asked.map(({ at }) => at)).toEqual([0, ...Array<number>(5).fill(100_000)]);
  });

  it("does not ask again when the first of them goes at 150 ms", () => {
    const seen = fly({ clients: crowd(50, (index) => (index === 0 ? { leavesAt: 150 } : {})), origin: () => SOON });
    expect([seen.asked.length, tally(seen)]).toEqual([1, { follower: 49 }]);
  });

  it("gives what is private to nobody when the one it was made for has gone", () => {
    const clients = crowd(50, (index) => (index === 0 ? { leavesAt: 150 } : {}));
    const seen = fly({ clients, origin: () => ({ afterMs: 300, head: { isPrivate: true } }) });
    expect([seen.asked.length, tally(seen)]).toEqual([50, { released: 49 }]);
    expect(seen.effects).toContainEqual({ at: 300, effect: { kind: "abort", request: 1 } });
  });
});

describe("an origin that takes 8 s", () => {
  const slow: OriginReply = { afterMs: 8_000, head: {} };

  it("is asked twice at most", () => {
    const seen = fly({ clients: crowd(50), origin: () => slow });
    expect(seen.asked.map(({ at }) => at)).toEqual([0, 5_000]);
    expect([...seen.outcomes.values()].map(({ at }) => at)).toEqual(Array<number>(50).fill(8_000));
  });

  it("is asked once for one", () => {
    expect(fly({ clients: crowd(1), origin: () => slow }).asked).toHaveLength(1);
  });

  it("answers everybody by the second request where that is faster", () => {
    const seen = fly({
      clients: crowd(50),
      origin: (_fields, nth) => (nth === 1 ? { afterMs: Infinity, head: {} } : SOON),
    });
    expect([seen.asked.length, tally(seen)]).toEqual([2, { leader: 1, follower: 49 }]);
    expect(seen.effects).toContainEqual({ at: 5_300, effect: { kind: "abort", request: 1 } });
  });

  it("keeps the slow request for its owner where the fast one brings what is private", () => {
    const seen = fly({
      clients: crowd(10),
      origin: (_fields, nth) => ({ afterMs: nth === 1 ? 8_000 : 300, head: { isPrivate: true } }),
    });
    expect(tally(seen)).toEqual({ leader: 2, released: 8 });
    expect(seen.outcomes.get(0)).toEqual({ kind: "leader", at: 8_000, request: 1 });
  });

  it("that never answers keeps nobody longer than the route's timeout", () => {
    const clients = crowd(50, (index) => ({ hasStale: index % 2 === 0 }));
    const seen = fly({ clients, origin: () => ({ afterMs: Infinity, head: {} }) });
    expect([seen.asked.length, seen.state.flights]).toEqual([2, []]);
    expect(tally(seen)).toEqual({ stale: 25, refused: 25 });
    expect(Math.max(...[...seen.outcomes.values()].map(({ at }) => at))).toBeLessThanOrEqual(15_000);
  });
});

describe("a body that takes 2 s", () => {
  const streamed: OriginReply = { afterMs: 300, bodyMs: 2_000, head: {} };

  it("is joined while it streams, from the first byte", () => {
    const seen = fly({ clients: [{ at: 0 }, ...crowd(9, () => ({ at: 800 }))], origin: () => streamed });
    expect([seen.asked.length, tally(seen), seen.stored]).toEqual([1, { leader: 1, follower: 9 }, [1]]);
    expect(seen.outcomes.get(5)?.at).toBe(800);
  });

  it("is joined by late ones for the window, and no longer than it is fresh", () => {
    const at = (ms: number, rules: World["rules"], ttlMs = 60_000) =>
      fly({ rules, clients: [{ at: 0 }, { at: ms }], origin: () => ({ ...streamed, head: { ttlMs } }) }).asked.length;
    expect([at(7_299, {}), at(7_300, {})]).toEqual([1, 2]);
    expect([at(2_299, { windowMs: 0 }), at(2_301, { windowMs: 0 })]).toEqual([1, 2]);
    expect([at(3_299, {}, 3_000), at(3_300, {}, 3_000)]).toEqual([1, 2]);
  });

  it("is not joined once more has come than is kept, nor stored", () => {
    const seen = fly({
      clients: [{ at: 0 }, { at: 1_000 }, { at: 2_000 }],
      origin: () => ({ ...streamed, bytes: 10 << 20 }),
    });
    expect([seen.asked.length, seen.stored]).toEqual([2, []]);
    expect(seen.effects).toContainEqual({ at: 2_300, effect: { kind: "forget", request: 1 } });
  });

  it("is read to its end and stored although its reader has gone", () => {
    const seen = fly({ clients: [{ at: 0, leavesAt: 400 }], origin: () => streamed });
    expect([seen.asked[0]?.decidedAt, seen.stored]).toEqual([300, [1]]);
  });

  it("is given up when its reader goes and it won't be stored", () => {
    const seen = fly({
      clients: [{ at: 0, leavesAt: 400 }],
      origin: () => ({ ...streamed, head: { isPrivate: true } }),
    });
    expect(seen.effects).toContainEqual({ at: 400, effect: { kind: "abort", request: 1 } });
  });

  it("that is cut off breaks off all who read it, and is neither stored nor joined", () => {
    const clients = [...crowd(3), { at: 2_400 }];
    const seen = fly({ clients, origin: (_fields, nth) => ({ ...streamed, isCut: nth === 1 }) });
    expect([seen.cut, seen.stored, seen.asked.length]).toEqual([[0, 1, 2], [2], 2]);
  });

  it("gives way, once finished, to those that stream, when more is kept than may be", () => {
    const clients = crowd(6, (index) => ({ at: index * 1_000, ...lang(`l${index}`) }));
    const seen = fly({
      rules: { windowMs: 60_000, maxRetainedBytes: 8 << 20, maxObjectBytes: 20 << 20 },
      clients,
      origin: () => ({ afterMs: 10, bodyMs: 10, bytes: 7 << 20, head: { vary: ["accept-language"] } }),
    });
    const forgotten = seen.effects.filter(({ effect }) => effect.kind === "forget").map(({ at }) => at);
    expect([seen.stored.length, forgotten.slice(0, 4)]).toEqual([6, [2_015, 3_015, 4_015, 5_015]]);
  });
});

describe("what is its owner's alone", () => {
  it.each<[string, OriginReply["head"], readonly number[]]>([
    ["is kept where it only has to be validated", { isNoCache: true }, [1]],
    ["is kept where it is an error that says for how long", { status: 503 }, [1]],
    ["is not kept where it is private, whatever else is said of it", { isPrivate: true }, []],
    ["is not kept with a cookie, whatever else is said of it", { hasSetCookie: true }, []],
    ["is not kept where it is no-store, whatever else is said of it", { isNoStore: true }, []],
    ["is not kept where it is a part, whatever else is said of it", { status: 206 }, []],
  ])("%s", (_title, head, expected) => {
    expect(fly({ clients: crowd(1), origin: () => ({ afterMs: 10, head }) }).stored).toEqual(expected);
  });
});

describe("after a response that can't be shared", () => {
  const personal: OriginReply = { afterMs: 300, head: { isPrivate: true } };

  it("everybody goes by himself for ten seconds, and then somebody leads again", () => {
    const clients = [{ at: 0 }, { at: 10_299 }, { at: 10_300 }];
    const seen = fly({ clients, origin: () => personal });
    expect([...seen.outcomes.values()].map(({ kind }) => kind)).toEqual(["leader", "released", "leader"]);
  });

  it("somebody leads again as soon as one who went by himself got what can be shared", () => {
    const clients = [{ at: 0 }, { at: 400 }, { at: 800 }, { at: 801 }];
    const seen = fly({ clients, origin: (_fields, nth) => (nth === 1 ? personal : SOON) });
    expect([...seen.outcomes.values()].map(({ kind }) => kind)).toEqual(["leader", "released", "leader", "follower"]);
  });

  it("whoever is let go is told until when", () => {
    const seen = fly({ clients: crowd(2), origin: () => personal });
    expect(seen.effects).toContainEqual({ at: 300, effect: { kind: "release", waiters: [1], until: 10_300 } });
  });
});

describe("a failure", () => {
  const refused: OriginReply = { afterMs: 10, head: "unreachable" };

  it("is the answer of those who come within the second, or what they have that is stale", () => {
    const clients = [{ at: 0 }, { at: 500 }, { at: 501, hasStale: true }, { at: 1_020 }];
    const seen = fly({ clients, origin: () => refused });
    expect([...seen.outcomes.values()].map(({ kind, at }) => [kind, at])).toEqual([
      ["refused", 20],
      ["refused", 500],
      ["stale", 501],
      ["refused", 1_040],
    ]);
    expect(seen.asked.map(({ at }) => at)).toEqual([0, 10, 1_020, 1_030]);
  });

  it("that is over by the second request harms nobody", () => {
    const seen = fly({ clients: crowd(50), origin: (_fields, nth) => (nth === 1 ? refused : SOON) });
    expect([seen.asked.length, tally(seen)]).toEqual([2, { leader: 1, follower: 49 }]);
  });

  it("with 500 is its owner's; the others have the stale, or one more try", () => {
    const clients = crowd(4, (index) => ({ hasStale: index === 1 }));
    const seen = fly({
      clients,
      origin: (_fields, nth) => (nth === 1 ? { afterMs: 10, head: { status: 500, isStorable: false } } : SOON),
    });
    expect([...seen.outcomes].sort(([a], [b]) => a - b).map(([, { kind }]) => kind)).toEqual([
      "leader",
      "stale",
      "leader",
      "follower",
    ]);
  });

  it("with 500 of one client's is not held against the next", () => {
    const clients = [{ at: 0 }, { at: 100 }];
    const seen = fly({ clients, origin: () => ({ afterMs: 10, head: { status: 500, isStorable: false } }) });
    expect(tally(seen)).toEqual({ leader: 2 });
  });
});

describe("a purge", () => {
  it("lets what is under way be delivered, and neither stored nor joined", () => {
    const clients = [{ at: 0 }, { at: 50 }, { at: 150 }];
    const seen = fly({ clients, purgesAt: [100], origin: () => SOON });
    expect([...seen.outcomes.values()].map(({ kind, request }) => [kind, request])).toEqual([
      ["leader", 1],
      ["follower", 1],
      ["leader", 2],
    ]);
    expect(seen.stored).toEqual([2]);
  });

  it("ends what was joined while it streamed, and what was finished", () => {
    const streamed: OriginReply = { afterMs: 100, bodyMs: 400, head: {} };
    const during = fly({ clients: [{ at: 0 }, { at: 300 }], purgesAt: [200], origin: () => streamed });
    const after = fly({ clients: [{ at: 0 }, { at: 700 }], purgesAt: [600], origin: () => streamed });
    expect([during.asked.length, during.stored, after.asked.length]).toEqual([2, [2], 2]);
  });

  it("gives up a body that was read for the store alone", () => {
    const seen = fly({
      clients: [{ at: 0, leavesAt: 200 }],
      purgesAt: [300],
      origin: () => ({ afterMs: 100, bodyMs: 400, head: {} }),
    });
    expect([seen.stored, seen.state.flights]).toEqual([[], []]);
    expect(seen.effects).toContainEqual({ at: 300, effect: { kind: "abort", request: 1 } });
  });
});

describe("bounds", () => {
  it("more waiters than may wait go by themselves, at once", () => {
    const seen = fly({ rules: { maxWaiters: 10 }, clients: crowd(15), origin: () => SOON });
    expect([tally(seen), seen.asked.length]).toEqual([{ leader: 1, follower: 9, released: 5 }, 6]);
  });

  it("more variants than may fly go by themselves", () => {
    const seen = fly({
      rules: { maxFlights: 4 },
      clients: crowd(20, (index) => lang(`l${index % 10}`)),
      origin: () => ({ afterMs: 300, bodyMs: 1_000, head: { vary: ["accept-language"] } }),
    });
    expect(tally(seen)).toEqual({ leader: 4, follower: 4, released: 12 });
  });

  it("nobody is sent on twice by an origin that varies by another field each time", () => {
    const bit = (index: number, place: number) => String((index >> place) & 1);
    const clients = crowd(8, (index) => ({ fields: { a: bit(index, 0), b: bit(index, 1), c: bit(index, 2) } }));
    const vary = ["a", "b", "c"];
    const seen = fly({ clients, origin: (_fields, nth) => ({ afterMs: 100, head: { vary: [vary[nth - 1] ?? "a"] } }) });
    expect(tally(seen)).toEqual({ leader: 2, follower: 4, released: 2 });
    expect(Math.max(...[...seen.outcomes.values()].map(({ at }) => at))).toBe(200);
  });
});
