import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createWakeUp, type WakeUp } from "../../../objects/wake-up.ts";

const NOW = 1_800_000_000_000;

let woken: number[];
let wakeUp: WakeUp;

beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
  woken = [];
  wakeUp = createWakeUp(() => woken.push(performance.now()));
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** Lets so much time pass, and tells after how many ms it has woken. */
function wokenWithin(ms: number): number[] {
  const begun = performance.now();
  woken = [];
  vi.advanceTimersByTime(ms);
  return woken.map((at) => at - begun);
}

it.each([
  ["at once", 0],
  ["when it is overdue", -5],
  ["soon", 20],
  ["at the last moment of one timer", 1_000],
  ["later than a timer is set for", 61_234],
])("wakes %s, once", (_when, ms) => {
  wakeUp.in(ms);
  expect(wokenWithin(100_000)).toEqual([Math.max(0, ms)]);
  expect(vi.getTimerCount()).toBe(0);
});

it.each([
  ["an earlier one", [30_000, 400], [400]],
  ["a later one", [400, 30_000], [30_000]],
  ["a later one within the same timer", [400, 700], [700]],
  ["none", [400, null], []],
  ["none, and then again one", [30_000, null, 4_000], [4_000]],
])("goes by what was said last: %s", (_which, said, expected) => {
  for (const ms of said) wakeUp.in(ms);
  expect(wokenWithin(100_000)).toEqual(expected);
});

it("clears one timer a minute, and sets no more than the times demand, however often they change", () => {
  const clear = vi.spyOn(globalThis, "clearTimeout");
  for (let n = 0; n < 10_000; n++) wakeUp.in(n % 3 === 0 ? null : 30_000 + (n % 7));
  wakeUp.in(20);
  for (let n = 0; n < 10_000; n++) wakeUp.in(n % 2 === 0 ? 20 : 30_000);
  expect([vi.getTimerCount(), clear.mock.calls.length]).toEqual([2, 1]);
});

it("keeps to the timers that it has as time goes on", () => {
  for (let n = 0; n < 1_000; n++) {
    wakeUp.in(30_000);
    vi.advanceTimersByTime(7);
    wakeUp.in(3);
    vi.advanceTimersByTime(7);
    expect(vi.getTimerCount()).toBeLessThanOrEqual(2);
  }
});

it("lets its object sleep at once when it is not wanted any more, and within a second where that is often", () => {
  const left = [0, 42_000, 17_000, 1_000, 60_000].map((ms) => {
    vi.advanceTimersByTime(ms);
    expect(vi.getTimerCount()).toBe(0);
    wakeUp.in(300_000);
    wakeUp.in(null);
    const count = vi.getTimerCount();
    vi.advanceTimersByTime(1_000);
    return count;
  });
  expect(left).toEqual([0, 1, 0, 1, 0]);
});

it("looks as seldom as it is told", () => {
  const set = vi.spyOn(globalThis, "setTimeout");
  wakeUp = createWakeUp(() => woken.push(performance.now()), 10_000);
  wakeUp.in(100_000);
  expect(wokenWithin(200_000)).toEqual([100_000]);
  expect(set).toHaveBeenCalledTimes(10);
});

it("leaves nothing behind when whatever it wakes ends", () => {
  wakeUp.in(300_000);
  wakeUp.in(20);
  wakeUp.end();
  expect(vi.getTimerCount()).toBe(0);
  wakeUp.in(20);
  expect(wokenWithin(100)).toEqual([20]);
});

it("may be set again by what it wakes", () => {
  let rest = 3;
  wakeUp = createWakeUp(() => {
    woken.push(performance.now());
    rest -= 1;
    wakeUp.in(rest === 0 ? null : 10_000);
  });
  wakeUp.in(1);
  expect(wokenWithin(100_000)).toEqual([1, 10_001, 20_001]);
});

it.each([
  ["before it is set again", (ms: number) => (vi.setSystemTime(NOW - 3_600_000), wakeUp.in(ms))],
  ["after", (ms: number) => (wakeUp.in(ms), vi.setSystemTime(NOW - 3_600_000))],
])("is not late where the clock is set back, %s", (_when, set) => {
  wakeUp.in(400_000);
  set(12_000);
  expect(wokenWithin(100_000)).toEqual([12_000]);
});

it("is late by a second at most where the clock is set forward", () => {
  wakeUp.in(60_000);
  vi.setSystemTime(NOW + 3_600_000);
  wakeUp.in(20);
  expect(wokenWithin(100_000)).toEqual([1_000]);
});
