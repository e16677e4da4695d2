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

describe("a malformed message", () => {
  const good = { v: 1, object: objectId("a"), sessions: [description("a")], closed: ["b"] };
  it.each<[object, string | undefined]>([
    [{}, undefined],
    [{ v: 2 }, "v: got 2, wanted 1; deploy the Worker and its objects together"],
    [{ object: "a" }, "object: got a, wanted the id of an object"],
    [{ sessions: 1 }, "sessions: got 1, wanted a list of at most 1000"],
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

  it("of an operator is refused in words", () => {
    const list = { v: 1, filter: ANY, limit: 1, after: null };
    expect(listProblem(list)).toBeUndefined();
    expect(listProblem({ ...list, limit: 0 })).toBe("limit: got 0, wanted 1 to 1000");
    expect(listProblem({ ...list, after: { openedAt: 1 } })).toBe(
      "after: got an object, wanted openedAt and id, or null",
    );
    expect(listProblem({ ...list, filter: null })).toBe("filter: got null, wanted an object");
    expect(orderProblem({ v: 1, filter: ANY, order: undefined })).toBe("order: got undefined, wanted an object");
  });
});
