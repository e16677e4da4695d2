import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { watched } from "../../../worker/watch.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("the timer of work that has ended", () => {
  const late = () => new Error("late");

  it.each([
    [undefined, 1],
    [false, 1],
    [true, 0],
  ])("is kept unless what holds it lives on: %s", async (isOutlived, left) => {
    const done = watched((watch) => {
      watch.expect(Date.now() + 1_000, late);
      return Promise.resolve("done");
    }, isOutlived);
    await expect(done).resolves.toBe("done");
    expect(vi.getTimerCount()).toBe(left);
  });

  it.each([false, true])("changes nothing about work that is late: %s", async (isOutlived) => {
    const done = watched((watch) => {
      watch.expect(Date.now() + 1_000, late);
      return new Promise(() => undefined);
    }, isOutlived);
    const ended = expect(done).rejects.toThrow("late");
    await vi.advanceTimersByTimeAsync(1_000);
    await ended;
    expect(vi.getTimerCount()).toBe(0);
  });
});
