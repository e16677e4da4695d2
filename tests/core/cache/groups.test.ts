import { describe, expect, it } from "vitest";
import { ALL_GROUPS, boundGroups, groupTag } from "../../../objects/control-plane/group-purges.ts";
import {
  NO_PURGES,
  notePurge,
  prunePurges,
  purgeVerdict,
  type PurgeEpochs,
} from "../../../objects/control-plane/purge.ts";
import { afterGroups, groupTagsOf, namedGroups } from "../../../worker/cache/groups.ts";
import { NOW, reading } from "./fixtures.ts";

const ORIGIN = "https://a.test";
const ALIVE = { kind: "alive" } as const;
const TO_BE_CONFIRMED = { kind: "stale", since: 0 } as const;
const nowhere = () => undefined;

function invalidated(tags: readonly string[], at = NOW, epochs: PurgeEpochs = NO_PURGES): PurgeEpochs {
  return boundGroups(notePurge(epochs, { kind: "groups", values: tags }, true, at));
}

function named(value: string, method = "POST", status = 200) {
  return namedGroups(ORIGIN, method, status, reading({ "cache-group-invalidation": value }));
}

describe("the groups that an answer names", () => {
  it("are its origin's, each once", () => {
    expect(named('"a", "b c", "a"')).toEqual({ tags: ["https://a.test\na", "https://a.test\nb c"], isCut: false });
  });

  it.each([
    ["GET", 200],
    ["HEAD", 200],
    ["OPTIONS", 204],
    ["TRACE", 200],
    ["POST", 404],
    ["POST", 500],
  ])("are none after %s with %d", (method, status) => {
    expect(named('"a"', method, status)).toEqual({ tags: [], isCut: false });
  });

  it("are 64 at most, and of 128 characters at most; what is more is said to be", () => {
    const many = Array.from({ length: 64 }, (_, index) => String(index).padStart(128, "g"));
    const list = (groups: readonly string[]) => groups.map((group) => `"${group}"`).join(", ");
    const tags = many.map((group) => groupTag(ORIGIN, group));
    expect(named(list(many))).toEqual({ tags, isCut: false });
    expect(named(list([...many, "more"]))).toEqual({ tags, isCut: true });
    expect(named(list(["x".repeat(129), "a"]))).toEqual({ tags: [groupTag(ORIGIN, "a")], isCut: true });
  });
});

describe("a response that belongs to groups", () => {
  const groups = groupTagsOf(ORIGIN, [["cache-groups", '"a", "b"']]);
  const judged = (requestedAt: number, epochs: PurgeEpochs, here: (tag: string) => number | undefined = nowhere) =>
    afterGroups(ALIVE, { requestedAt, groups }, epochs, here);

  it.each([
    ["one of its groups", [groupTag(ORIGIN, "b")], TO_BE_CONFIRMED],
    ["every group", [ALL_GROUPS], TO_BE_CONFIRMED],
    ["another group", [groupTag(ORIGIN, "c")], ALIVE],
    ["another case", [groupTag(ORIGIN, "B")], ALIVE],
    ["its group on another host", [groupTag("https://b.test", "a")], ALIVE],
    ["its group on another scheme", [groupTag("http://a.test", "a")], ALIVE],
    ["its group on another port", [groupTag("https://a.test:8443", "a")], ALIVE],
  ])("after the invalidation of %s", (_what, tags, verdict) => {
    expect(judged(NOW - 1, invalidated(tags))).toEqual(verdict);
  });

  it("is reached by no operator's tag of that name, nor another's tag by its group", () => {
    expect(judged(NOW - 1, notePurge(NO_PURGES, { kind: "tag", value: "a" }, true, NOW))).toEqual(ALIVE);
    const response = { key: "k", route: "r", tags: ["a"], method: "GET", host: "a.test", path: "/" };
    const times = { requestedAt: NOW - 1, bytesRequestedAt: NOW - 1 };
    expect(purgeVerdict({ ...response, ...times }, invalidated(groups))).toEqual(ALIVE);
  });

  it("is good again once its origin has confirmed it, a second later for the clocks", () => {
    const kinds = [0, 1_000, 1_001].map((ms) => judged(NOW + ms, invalidated(groups)).kind);
    expect(kinds).toEqual(["stale", "stale", "alive"]);
  });

  it("knows at once what its own isolate has seen, by one clock", () => {
    const here = (tag: string) => (tag === groupTag(ORIGIN, "a") ? NOW : undefined);
    expect([judged(NOW, NO_PURGES, here), judged(NOW + 1, NO_PURGES, here)]).toEqual([TO_BE_CONFIRMED, ALIVE]);
  });

  it("that a hard purge has killed stays dead", () => {
    expect(afterGroups({ kind: "dead" }, { requestedAt: NOW - 1, groups }, invalidated(groups), nowhere)).toEqual({
      kind: "dead",
    });
  });

  it("is the only kind that an invalidation of all groups reaches", () => {
    expect(afterGroups(ALIVE, { requestedAt: NOW - 1, groups: [] }, invalidated([ALL_GROUPS]), nowhere)).toEqual(ALIVE);
  });
});

describe("more groups than there is room for", () => {
  const tagOf = (index: number) => groupTag(ORIGIN, String(index));

  function flooded(count: number, most: number): PurgeEpochs {
    let epochs = notePurge(NO_PURGES, { kind: "tag", value: "operator's" }, false, NOW);
    for (let index = 1; index <= count; index += 1) {
      epochs = boundGroups(notePurge(epochs, { kind: "groups", values: [tagOf(index)] }, true, NOW + index), most);
    }
    return epochs;
  }

  it("become one of all groups, as old as the latest that is forgotten, and leave operators' tags alone", () => {
    const soft = (at: number) => ({ hardAt: 0, softAt: at });
    expect(flooded(5, 3)).toEqual({
      ...NO_PURGES,
      tags: new Map([
        ["operator's", { hardAt: NOW, softAt: 0 }],
        [tagOf(3), soft(NOW + 3)],
        [tagOf(4), soft(NOW + 4)],
        [tagOf(5), soft(NOW + 5)],
        [ALL_GROUPS, soft(NOW + 2)],
      ]),
    });
  });

  it("kill nothing for want of room", () => {
    const epochs = prunePurges(flooded(5, 4), NOW + 5, 3_600_000, { names: 1, prefixes: 0 });
    expect([epochs.all, epochs.tags.size]).toEqual([NO_PURGES.all, 6]);
  });
});
