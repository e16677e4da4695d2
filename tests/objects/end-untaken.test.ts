import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { endUntaken } from "../../objects/web-socket-relay/end-untaken.ts";
import type { HeldTerms } from "../../objects/web-socket-relay/held/held-terms.ts";
import type { LiveSession } from "../../objects/web-socket-relay/live-session.ts";
import type { SessionMode } from "../../objects/web-socket-relay/session-control.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const LEFT = [1001, "client lost"];

/** What the socket of an answer and its session are told ten seconds later. */
function told(
  mode: SessionMode,
  { owner, isTaken = false }: { owner?: string | null; isTaken?: boolean } = {},
): unknown {
  const { 0: webSocket, 1: other } = new WebSocketPair();
  const closes: unknown[] = [];
  other.accept();
  // What went out in an answer cannot be accepted any more.
  vi.spyOn(webSocket, "accept").mockImplementation(() => {
    if (isTaken) throw new TypeError("taken");
  });
  vi.spyOn(webSocket, "close").mockImplementation((...said) => void closes.push(["socket", ...said]));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nothing else of either is looked at
  const held = owner === undefined ? {} : { held: { owner } as HeldTerms };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nor of this
  const session = { close: ({ code, reason }) => void closes.push(["session", code, reason]) } as LiveSession;
  endUntaken(new Response(null, { status: 101, webSocket }), { mode, ...held }, session);
  vi.advanceTimersByTime(9_999);
  expect(closes).toEqual([]);
  vi.advanceTimersByTime(1);
  return closes;
}

it("a session whose answer nobody took ends, but for one that its client can come back to", () => {
  const ended = [
    ["socket", ...LEFT],
    ["session", ...LEFT],
  ];
  expect([told("bridge"), told("splice"), told("held", { owner: null })]).toEqual([ended, ended, ended]);
  expect(told("held", { owner: "me" })).toEqual([["socket", 1012, ""]]);
});

it("one that was taken goes on, as does one of an object that sleeps", () => {
  expect([told("bridge", { isTaken: true }), told("callback")]).toEqual([[], []]);
  expect(vi.getTimerCount()).toBe(0);
  endUntaken(new Response(null), { mode: "bridge" }, undefined);
  expect(vi.getTimerCount()).toBe(0);
});
