import fc from "fast-check";
import { expect, it } from "vitest";
import { newWindow, offer, renewWindow } from "../../../objects/web-socket-relay/shared/client-window.ts";

const TERMS = { window: 10, overflow: "close", maxBuffered: 10 } as const;

it("without a window everything goes at once", () => {
  const state = newWindow();
  expect([1, 1_000, 1_000_000].map((bytes) => offer(state, "", bytes, { ...TERMS, window: null }))).toEqual([
    "send",
    "send",
    "send",
  ]);
  expect([state, renewWindow(state, null)]).toEqual([newWindow(), []]);
});

it("a window is open until all of it is used", () => {
  const state = newWindow();
  const wide = { ...TERMS, maxBuffered: 100 };
  const offered = (...sizes: number[]) => sizes.map((bytes) => offer(state, String(bytes), bytes, wide));
  expect(offered(9, 1, 5, 4, 1, 7)).toEqual(["send", "send", "wait", "wait", "wait", "wait"]);
  expect([renewWindow(state, 10), state.buffered]).toEqual([["5", "4", "1"], 7]);
  expect([renewWindow(state, 10), offered(2, 1, 1)]).toEqual([["7"], ["send", "send", "wait"]]);
});

it("a silent client is sent a window, then messages wait, then there are too many of them", () => {
  const state = newWindow();
  const verdicts = ["a", "b", "c", "d", "e"].map((message) => offer(state, message, 5, TERMS));
  expect(verdicts).toEqual(["send", "send", "wait", "wait", "overflow"]);
  expect([state.buffered, renewWindow(state, 10), state.buffered]).toEqual([10, ["c", "d"], 0]);
  expect(offer(state, "f", 5, TERMS)).toBe("wait");
});

it("a message that is larger than the window goes when the window is open", () => {
  const state = newWindow();
  expect([offer(state, "a", 25, TERMS), offer(state, "b", 1, TERMS)]).toEqual(["send", "wait"]);
});

it("the oldest are dropped where that is asked for, and counted", () => {
  const state = newWindow();
  for (let n = 0; n < 7; n++) offer(state, String(n), 5, { ...TERMS, overflow: "drop-oldest" });
  expect([renewWindow(state, 10), state.dropped]).toEqual([["5", "6"], 3]);
});

it("whatever is said and offered, order is kept, and no more waits than may", () => {
  const step = fc.oneof(fc.integer({ min: 0, max: 12 }), fc.constant("speaks" as const));
  const overflow = fc.constantFrom("close" as const, "drop-oldest" as const);
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), overflow, (steps, how) => {
      const state = newWindow();
      const heard: number[] = [];
      let next = 0;
      for (const one of steps) {
        if (one === "speaks") heard.push(...renewWindow(state, 10).map(Number));
        else {
          next += 1;
          const verdict = offer(state, String(next), one, { ...TERMS, overflow: how });
          if (verdict === "send") heard.push(next);
          if (verdict === "overflow") break;
        }
        expect(state.buffered).toBe(state.queue.reduce((sum, { bytes }) => sum + bytes, 0));
        expect(state.buffered).toBeLessThanOrEqual(10);
      }
      expect(heard).toEqual(heard.toSorted((a, b) => a - b));
      expect(how === "close" ? state.dropped : 0).toBe(0);
    }),
  );
});
