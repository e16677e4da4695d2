import { describe, expect, it } from "vitest";
import { createRegistry, type Registry } from "../../../objects/socket-registry/registry.ts";
import {
  listProblem,
  orderProblem,
  reportProblem,
  type ListMessage,
  type SessionFilter,
} from "../../../objects/socket-registry/registry-messages.ts";
import { REGISTRY_SHARDS, shardOfSession } from "../../../objects/socket-registry/registry-shards.ts";
import type { SessionDescription } from "../../../objects/web-socket-relay/session-control.ts";
import { description, objectId } from "./session-entry.ts";

const START = 1_790_000_000_000;
const ANY: SessionFilter = { route: null, principal: null, address: null, state: null, mode: null };

function tell(registry: Registry, sessions: readonly SessionDescription[], now = START, object = objectId("a")): void {
  registry.report({ v: 1, object, sessions, closed: [] }, now);
}

function ids(registry: Registry, changes: Partial<ListMessage> = {}, now = START): string {
  const { sessions } = registry.list({ v: 1, filter: ANY, limit: 100, after: null, ...changes }, now);
  return sessions.map(({ id }) => id).join(" ");
}

describe("the registry", () => {
  it("lists what it was told of as it was told last, the newest first", () => {
    const registry = createRegistry();
    tell(registry, [description("a"), description("b", { openedAt: START + 1 }), description("c")]);
    tell(registry, [description("a", { messagesIn: 7 })], START + 1_000, objectId("b"));
    expect(registry.list({ v: 1, filter: ANY, limit: 100, after: null }, START + 1_000)).toEqual({
      v: 1,
      sessions: [
        { ...description("b", { openedAt: START + 1 }), object: objectId("a") },
        { ...description("a", { messagesIn: 7 }), object: objectId("b") },
        { ...description("c"), object: objectId("a") },
      ],
      matched: 3,
      unlisted: 0,
    });
  });

  it("forgets whoever was not told of for 60 s, and whoever has closed at once", () => {
    const registry = createRegistry();
    tell(registry, [description("a"), description("b"), description("c")]);
    tell(registry, [description("b")], START + 30_000);
    registry.report({ v: 1, object: objectId("a"), sessions: [], closed: ["c"] }, START + 30_000);
    expect(ids(registry, {}, START + 59_999)).toBe("a b");
    expect(ids(registry, {}, START + 60_000)).toBe("b");
    expect([registry.find("b", START + 89_999)?.id, registry.find("b", START + 90_000)]).toEqual(["b", undefined]);
    expect(registry.size).toBe(0);
  });

  it("lets nobody close what another object has by now", () => {
    const registry = createRegistry();
    tell(registry, [description("a")], START, objectId("b"));
    registry.report({ v: 1, object: objectId("a"), sessions: [], closed: ["a"] }, START);
    expect(ids(registry)).toBe("a");
  });

  it.each<[Partial<SessionFilter>, string]>([
    [{}, "a b c d e"],
    [{ route: "news" }, "b"],
    [{ principal: "p" }, "c"],
    [{ address: "2001:db8::1" }, "d"],
    [{ state: "held" }, "c"],
    [{ mode: "splice" }, "e"],
    [{ mode: "splice", state: "held" }, ""],
  ])("finds those that are meant by %o", (filter, found) => {
    const registry = createRegistry();
    tell(registry, [
      description("a"),
      description("b", { route: "news" }),
      description("c", { principal: "p", state: "held" }),
      description("d", { address: "2001:db8::1" }),
      description("e", { mode: "splice" }),
    ]);
    expect(ids(registry, { filter: { ...ANY, ...filter } })).toBe(found);
  });

  it("goes on after a page though its last session has gone since and new ones have come", () => {
    const registry = createRegistry();
    tell(registry, [
      description("a", { openedAt: START + 2 }),
      description("b", { openedAt: START + 1 }),
      description("c", { openedAt: START + 1 }),
      description("d"),
    ]);
    expect(ids(registry, { limit: 2 })).toBe("a b");
    expect(ids(registry, { limit: 2, after: { openedAt: START + 1, id: "b" } })).toBe("c d");
    registry.report({ v: 1, object: objectId("a"), sessions: [], closed: ["b"] }, START);
    tell(registry, [description("e", { openedAt: START + 9 })]);
    expect(ids(registry, { limit: 2, after: { openedAt: START + 1, id: "b" } })).toBe("c d");
  });

  it("has room for so many, and says how many more there are", () => {
    const registry = createRegistry(2);
    tell(registry, [description("a"), description("b"), description("c"), description("d"), description("c")]);
    expect([ids(registry), registry.list({ v: 1, filter: ANY, limit: 1, after: null }, START).unlisted]).toEqual([
      "a b",
      2,
    ]);
    registry.report({ v: 1, object: objectId("a"), sessions: [], closed: ["a", "d"] }, START);
    expect(registry.list({ v: 1, filter: ANY, limit: 1, after: null }, START).unlisted).toBe(1);
    tell(registry, [description("c")], START + 1);
    expect([ids(registry), registry.list({ v: 1, filter: ANY, limit: 1, after: null }, START + 1).unlisted]).toEqual([
      "b c",
      0,
    ]);
  });
});

describe("a lease", () => {
  it("is ten minutes of a session that sleeps", () => {
    const registry = createRegistry();
    tell(registry, [description("a", { mode: "callback" }), description("b")]);
    expect(ids(registry, {}, START + 60_000)).toBe("a");
    expect(ids(registry, {}, START + 599_999)).toBe("a");
    expect(ids(registry, {}, START + 600_000)).toBe("");
  });

  it("ends when it does, whatever the others do", () => {
    const registry = createRegistry();
    for (const [index, id] of ["a", "b", "c"].entries()) tell(registry, [description(id)], START + index * 10_000);
    expect([60_000, 69_999, 70_000, 79_999, 80_000].map((ms) => ids(registry, {}, START + ms))).toEqual([
      "b c",
      "b c",
      "c",
      "c",
      "",
    ]);
  });

  it("that is over makes room, and one that is there has its own", () => {
    const registry = createRegistry(1);
    tell(registry, [description("a")]);
    tell(registry, [description("a", { messagesIn: 7 })], START + 1);
    expect(registry.find("a", START + 1)?.messagesIn).toBe(7);
    tell(registry, [description("b")], START + 60_001);
    expect(ids(registry, {}, START + 60_001)).toBe("b");
  });

  it("is that of one that found no room too, of whom no more are known than have room", () => {
    const registry = createRegistry(1);
    const unlisted = (ms: number) => registry.list({ v: 1, filter: ANY, limit: 1, after: null }, START + ms).unlisted;
    tell(registry, [description("a", { mode: "callback" }), description("b"), description("c")]);
    expect([unlisted(0), unlisted(59_999), unlisted(60_000)]).toEqual([1, 1, 0]);
    tell(registry, [description("b")], START + 60_000);
    tell(registry, [description("b")], START + 70_000);
    expect([unlisted(129_999), unlisted(130_000)]).toEqual([1, 0]);
  });
});

describe("the summary", () => {
  const passed = { messagesIn: 1, messagesOut: 2, bytesIn: 3, bytesOut: 4 };
  const counted = { "messages.in": 1, "messages.out": 2, "bytes.in": 3, "bytes.out": 4 };
  const shown = (registry: Registry, now: number) => {
    const { counts, ...rest } = registry.summary(now);
    return { ...rest, ...Object.fromEntries([...counts].map(([route, names]) => [route, Object.fromEntries(names)])) };
  };

  it("has what sessions do that are listed, what those did that nobody tells of any more, and what was told", () => {
    const registry = createRegistry(10, START - 5);
    tell(registry, [description("a", passed), description("b", { route: "news", mode: "held", state: "held" })]);
    const counts = new Map([["chat", new Map([["closes.client.1000", 7]])]]);
    registry.report({ v: 1, object: objectId("a"), sessions: [], closed: [], counts }, START + 1);
    const told = { "closes.client.1000": 7, ...counted };
    const none = { "messages.in": 0, "messages.out": 0, "bytes.in": 0, "bytes.out": 0 };
    const live = {
      v: 1,
      since: START - 5,
      chat: { ...told, "sessions.bridge.open": 1 },
      news: { ...none, "sessions.held.held": 1 },
    };
    expect([shown(registry, START + 1), shown(registry, START + 1)]).toEqual([live, live]);
    expect(shown(registry, START + 60_000)).toEqual({
      v: 1,
      since: START - 5,
      chat: { ...told, "closes.unseen.none": 1 },
      news: { ...none, "closes.unseen.none": 1 },
    });
  });

  it("has nothing of one that has closed but what was told of it", () => {
    const registry = createRegistry();
    tell(registry, [description("a", passed)]);
    registry.report({ v: 1, object: objectId("a"), sessions: [], closed: ["a"] }, START);
    expect(shown(registry, START)).toEqual({ v: 1, since: 0 });
  });
});

describe("a shard", () => {
  it("gets its part of all sessions, whatever their ids look like", () => {
    const counts = Array.from({ length: REGISTRY_SHARDS }, () => 0);
    for (let index = 0; index < 4_000; index += 1) {
      const shard = shardOfSession(`session-${index}`);
      counts[shard] = (counts[shard] ?? 0) + 1;
    }
    expect(counts.every((count) => count > 800 && count < 1_200)).toBe(true);
  });
});

it("a shard is told by FNV-1a of the id, whose reference has these vectors", () => {
  // 0x811c9dc5, 0xe70c2de5, 0x3f5076ef, 0x39aaa18a, 0xbf9cf968: the last two bits of each half, joined by xor.
  expect(["", "b", "foob", "fooba", "foobar"].map(shardOfSession)).toEqual([1, 1, 3, 0, 0]);
});

describe("a malformed message", () => {
  const good = { v: 1, object: objectId("a"), sessions: [description("a")], closed: ["b"] };
  it.each<[object, string | undefined]>([
    [{}, undefined],
    [{ v: 2 }, "v: got 2, wanted 1; deploy the Worker and its objects together"],
    [{ object: "a" }, "object: got a, wanted the id of an object"],
    [{ sessions: 1 }, "sessions: got 1, wanted a list of at most 1000"],
    [{ object: [objectId("a")] }, "object: got an object, wanted the id of an object"],
    [{ closed: [["b"]] }, "closed: got a list, wanted ids of sessions"],
    [{ counts: {} }, "counts: got an object, wanted a map"],
    [{ counts: new Map(), sessions: [], closed: [] }, undefined],
    [{ sessions: "ab" }, "sessions: got ab, wanted a list of at most 1000"],
    [{ sessions: [null] }, "sessions[0]: got null, wanted id, route, openedAt and texts of at most 512 characters"],
    [{ sessions: [7] }, "sessions[0]: got 7, wanted id, route, openedAt and texts of at most 512 characters"],
    [{ sessions: [{ ...description("x".repeat(64)), origin: "x".repeat(512), route: "x".repeat(512) }] }, undefined],
    [{ closed: ["b", "x".repeat(65)] }, "closed: got a list, wanted ids of sessions"],
    [{ closed: Array.from({ length: 1_000 }, () => "a") }, undefined],
    [
      { sessions: Array.from({ length: 1_001 }, () => description("a")) },
      "sessions: got an object, wanted a list of at most 1000",
    ],
    [{ closed: ["/"] }, "closed: got a list, wanted ids of sessions"],
    [{ closed: Array.from({ length: 1_001 }, () => "a") }, "closed: got an object, wanted a list of at most 1000"],
    ...[{ id: "" }, { id: "a/b" }, { route: "" }, { openedAt: -1 }, { origin: "x".repeat(513) }].map(
      (changes) =>
        [
          { sessions: [description("a"), { ...description("a"), ...changes }] },
          "sessions[1]: got an object, wanted id, route, openedAt and texts of at most 512 characters",
        ] satisfies [object, string],
    ),
  ])("of a relay is refused in words: %j", (changes, problem) => {
    expect(reportProblem({ ...good, ...changes })).toBe(problem);
  });

  const [NOT_SAME, NO_CURSOR, NO_REST] = [
    "v: got 2, wanted 1; deploy the Worker and its objects together",
    "after: got an object, wanted openedAt and id, or null",
    "rest: got an object, wanted the next of the reply before",
  ];
  const after = { openedAt: START, id: "a" };

  it.each<[object, string | undefined]>([
    [{}, undefined],
    [{ limit: 1_000, after }, undefined],
    [{ v: 2 }, NOT_SAME],
    [{ filter: null }, "filter: got null, wanted an object"],
    [{ filter: "chat" }, "filter: got chat, wanted an object"],
    [{ limit: 0 }, "limit: got 0, wanted 1 to 1000"],
    [{ limit: 1_001 }, "limit: got 1001, wanted 1 to 1000"],
    [{ limit: 1.5 }, "limit: got 1.5, wanted 1 to 1000"],
    [{ after: undefined }, "after: got undefined, wanted openedAt and id, or null"],
    [{ after: { openedAt: 1 } }, NO_CURSOR],
    [{ after: { id: "a" } }, NO_CURSOR],
    [{ after: { ...after, openedAt: -1 } }, NO_CURSOR],
    [{ after: { ...after, id: "" } }, NO_CURSOR],
  ])("that asks for a page is refused in words: %j", (changes, problem) => {
    expect(listProblem({ v: 1, filter: ANY, limit: 1, after: null, ...changes })).toBe(problem);
  });

  const rest = { after, given: 500, of: 1_200, since: START };
  it.each<[object, string | undefined]>([
    [{}, undefined],
    [{ rest }, undefined],
    [{ v: 2 }, NOT_SAME],
    [{ filter: null }, "filter: got null, wanted an object"],
    [{ filter: 1 }, "filter: got 1, wanted an object"],
    [{ order: undefined }, "order: got undefined, wanted an object"],
    [{ order: null }, "order: got null, wanted an object"],
    [{ rest: null }, "rest: got null, wanted the next of the reply before"],
    [{ rest: 1 }, "rest: got 1, wanted the next of the reply before"],
    [{ rest: { ...rest, after: null } }, NO_REST],
    [{ rest: { ...rest, after: "a" } }, NO_REST],
    ...["given", "of", "since"].map(
      (field) => [{ rest: { ...rest, [field]: -1 } }, NO_REST] satisfies [object, string],
    ),
  ])("that gives an order is refused in words: %j", (changes, problem) => {
    expect(orderProblem({ v: 1, filter: ANY, order: { kind: "send", message: "" }, ...changes })).toBe(problem);
  });
});
