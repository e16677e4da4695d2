import { describe, expect, it } from "vitest";
import { createWatchers, pollMs } from "../../../objects/circuit-breaker/watchers.ts";
import { MIDDLE, START } from "./fixtures.ts";

describe("isolates that watch a target", () => {
  it.each([
    [1, 5_000],
    [100, 5_000],
    [500, 25_000],
    [2_000, 100_000],
  ])("are %d and ask 20 times a second together, none more often than each 5 s", (isolates, ms) => {
    expect(pollMs(isolates, MIDDLE)).toBe(ms);
    expect([pollMs(isolates, 0), pollMs(isolates, 1)]).toEqual([ms * 0.75, ms * 1.25]);
  });

  it("are counted once each, and no more when they don't come back", () => {
    const watchers = createWatchers();
    expect([watchers.note("a", START), watchers.note("b", START), watchers.note("a", START + 5_000)]).toEqual([
      1, 2, 2,
    ]);
    expect(watchers.note("c", START + 20_000)).toBe(2);
  });

  it("are not told apart where there are more than 4,096", () => {
    const watchers = createWatchers();
    let count = 0;
    for (let index = 0; index < 5_000; index += 1) count = watchers.note(String(index), START);
    expect(count).toBe(4_096);
  });

  it("of before a clock stepped back are gone", () => {
    const watchers = createWatchers();
    watchers.note("a", START);
    expect(watchers.note("b", START - 86_400_000)).toBe(1);
  });
});
