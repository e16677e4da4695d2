import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createDeadlines } from "../../../objects/deadlines.ts";

beforeEach(() => void vi.useFakeTimers());

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const late = () => new Error("late");
const never = () => new Promise<string>(() => {});

/** What has become of each, and after how many ms. */
function outcomes(waits: readonly Promise<unknown>[]): string[] {
  const begun = performance.now();
  const said = waits.map(() => "waits");
  for (const [index, wait] of waits.entries()) {
    const note = (what: unknown) => (said[index] = `${String(what)} after ${performance.now() - begun}`);
    wait.then(note, (error: Error) => note(error.message));
  }
  return said;
}

it("ends each wait in its time, in whatever order they came", async () => {
  const within = createDeadlines();
  const waits = [70, 20, 0, -3, 12_000, 20].map((ms) => within(never(), ms, late));
  const said = outcomes(waits);
  await vi.advanceTimersByTimeAsync(11_999);
  expect(said).toEqual(["late after 70", "late after 20", "late after 0", "late after 0", "waits", "late after 20"]);
  await vi.advanceTimersByTimeAsync(1);
  expect(said[4]).toBe("late after 12000");
});

it("hands on what comes in time", async () => {
  const within = createDeadlines();
  const said = outcomes([
    within(Promise.resolve("done"), 10, late),
    within(Promise.reject(new Error("failed")), 10, late),
  ]);
  await vi.advanceTimersByTimeAsync(100);
  expect(said).toEqual(["done after 0", "failed after 0"]);
});

it("is not late where the clock is set back meanwhile", async () => {
  const within = createDeadlines();
  const said = outcomes([within(never(), 1_000, late), within(never(), 9_000, late)]);
  vi.setSystemTime(Date.now() - 3_600_000);
  await vi.advanceTimersByTimeAsync(9_000);
  expect(said).toEqual(["late after 1000", "late after 9000"]);
});

it("takes one timer for all, clears one a minute, and is quiet a second after the last", async () => {
  const clear = vi.spyOn(globalThis, "clearTimeout");
  const within = createDeadlines();
  for (let n = 0; n < 1_000; n++) {
    await within(Promise.resolve(), 60_000, late);
    await vi.advanceTimersByTimeAsync(1);
  }
  expect([vi.getTimerCount(), clear.mock.calls.length]).toEqual([1, 1]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(vi.getTimerCount()).toBe(0);
});
