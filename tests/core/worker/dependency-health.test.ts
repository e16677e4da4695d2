import { describe, expect, it } from "vitest";
import { afterFailure, mayCall, type DependencyHealth } from "../../../worker/dependencies/dependency-health.ts";

const NOW = 1_790_000_000_000;

/** A dependency whose calls failed at these times, all of them made before any pause. */
function failing(...at: readonly number[]): DependencyHealth | undefined {
  let health: DependencyHealth | undefined;
  for (const time of at) health = afterFailure(health, false, NOW + time);
  return health;
}

/** How many milliseconds from `since` on no call is made. */
function pause(health: DependencyHealth | undefined, since: number): number {
  if (health === undefined) return 0;
  let ms = 0;
  while (ms < 20_000 && mayCall(health, NOW + since + ms) === undefined) ms += 1;
  return ms;
}

describe("a dependency that failed", () => {
  it.each([
    { title: "twice is asked again", at: [0, 10], pausedMs: 0 },
    { title: "three times within a second is left alone for a second", at: [0, 10, 999], pausedMs: 1_000 },
    { title: "three times in more than a second is asked again", at: [0, 999, 1_000], pausedMs: 0 },
    {
      title: "more often, by calls made before the pause, is left alone no longer",
      at: [0, 1, 2, 3, 4],
      pausedMs: 998,
    },
  ])("$title", ({ at, pausedMs }) => {
    expect(pause(failing(...at), at.at(-1) ?? 0)).toBe(pausedMs);
  });

  it("because it is overloaded is left alone at once", () => {
    expect(pause(afterFailure(undefined, true, NOW), 0)).toBe(1_000);
  });
});

describe("after a pause", () => {
  it("one call at a time finds out whether it is over", () => {
    const first = failing(0, 0, 0);
    if (first === undefined) throw new Error("three failures are remembered");
    const probing = mayCall(first, NOW + 1_000);
    if (probing === undefined) throw new Error("the pause is over");
    expect(mayCall(probing, NOW + 1_001)).toBeUndefined();
    // Its caller may be gone without a word.
    expect(mayCall(probing, NOW + 2_000)).toBeDefined();
  });

  it("each further failure doubles the next pause, up to five seconds", () => {
    let health = failing(0, 0, 0);
    let now = 0;
    const pauses: number[] = [];
    for (let probe = 0; probe < 5; probe++) {
      const ms = pause(health, now);
      pauses.push(ms);
      now += ms;
      const probing = health === undefined ? undefined : mayCall(health, NOW + now);
      health = afterFailure(probing, false, NOW + now);
    }
    expect(pauses).toEqual([1_000, 2_000, 4_000, 5_000, 5_000]);
  });
});
