import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Close } from "../../objects/web-socket-relay/close-codes.ts";
import type { LiveSession } from "../../objects/web-socket-relay/live-session.ts";
import type { Opening } from "../../objects/web-socket-relay/opening.ts";
import { createRouteWatch, type RouteAnswer } from "../../objects/web-socket-relay/route-watch.ts";

const START = 1_790_000_000_000;
const CHANGED: RouteAnswer = { version: 8, mark: "new" };
const COME_AGAIN: Close = { code: 1012, reason: "route changed" };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** A watch; all routes are what `answer` says, undefined: nobody can say. */
function watching(answer: RouteAnswer | undefined) {
  const asked: string[] = [];
  const closed: Record<string, Close> = {};
  const watch = createRouteWatch(async (route) => {
    asked.push(route);
    // It is another object that is asked: the answer takes its time.
    for (const _ of "12345") await Promise.resolve();
    if (answer === undefined) throw new Error("unreachable");
    return answer;
  });

  /** Watches a session that was opened by configuration 7, which called its route `old`. */
  function add(session: string, changes: object = {}, dialledBy: string | null = "old"): void {
    const terms = { session, route: "chat", configVersion: 7, onChange: { mark: "old", drainMs: 0 }, ...changes };
    const live = { close: (close: Close) => void (closed[session] = close) };
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nothing else of either is looked at
    watch.add(terms as unknown as Opening, live as LiveSession, dialledBy);
  }

  return { watch, add, asked, closed };
}

describe("when a route changes", () => {
  it.each([
    [CHANGED, "old", true],
    [CHANGED, null, true],
    [{ version: 8, mark: null }, "old", true],
    [{ version: 8, mark: null }, null, true],
    [{ version: 8, mark: "old" }, "old", false],
    [{ version: 8, mark: "old" }, null, false],
    // Its object had another configuration than the Worker.
    [{ version: 8, mark: "old" }, "older", true],
    [{ version: 8, mark: "older" }, "older", true],
    // Whoever answers knows less than whoever opened it; a document without a version is meant.
    [{ version: 6, mark: "new" }, "old", false],
    [{ version: 7, mark: "new" }, "old", true],
    [{ version: 0, mark: "new" }, "old", true],
    [undefined, "old", false],
  ])("to %o, a session that was dialled by %s ends: %s", async (answer, dialledBy, ends) => {
    const { watch, add, closed } = watching(answer);
    add("a", {}, dialledBy);
    await watch.look(START);
    expect(closed).toEqual(ends ? { a: COME_AGAIN } : {});
  });

  it("only those end that are to end with it, and have not ended", async () => {
    const { watch, add, closed } = watching(CHANGED);
    add("kept", { onChange: undefined });
    add("over");
    watch.drop("over");
    add("held", { held: {} });
    // Who comes back has what it was opened with.
    add("back", { onChange: { mark: "new", drainMs: 0 } }, "new");
    add("back");
    await watch.look(START);
    expect(closed).toEqual({ held: { code: 1001, reason: "route changed" } });
  });

  it("they end spread over the time that there is for it, each once", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0.25);
    const { watch, add, closed } = watching(CHANGED);
    add("a", { onChange: { mark: "old", drainMs: 20_000 } });
    await watch.look(START);
    await watch.look(START + 5_000);
    vi.advanceTimersByTime(4_999);
    expect([closed, vi.getTimerCount()]).toEqual([{}, 1]);
    vi.advanceTimersByTime(1);
    expect(closed).toEqual({ a: COME_AGAIN });
  });
});

it("each route is asked for once, and again after 5 s, or when the clock was set back", async () => {
  const { watch, add, asked } = watching({ version: 8, mark: "old" });
  await watch.look(START);
  expect(asked).toEqual([]);
  add("a");
  add("b");
  add("c", { route: "news" });
  await watch.look(START + 4_999);
  expect(asked).toEqual([]);
  await watch.look(START + 5_000);
  expect(asked.splice(0)).toEqual(["chat", "news"]);
  await watch.look(START + 9_999);
  await watch.look(START + 1);
  expect(asked).toEqual([]);
  await watch.look(START);
  expect(asked).toEqual(["chat", "news"]);
});

it("what one route is tells nothing of another", async () => {
  const closed: string[] = [];
  const watch = createRouteWatch((route) => ({ version: 8, mark: route === "chat" ? "new" : "old" }));
  for (const route of ["chat", "news"]) {
    const terms = { session: route, route, configVersion: 7, onChange: { mark: "old", drainMs: 0 } };
    const live = { close: () => void closed.push(route) };
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nothing else of either is looked at
    watch.add(terms as unknown as Opening, live as unknown as LiveSession, "old");
  }
  await watch.look(START);
  expect(closed).toEqual(["chat"]);
});
