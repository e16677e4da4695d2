import { expect, it } from "vitest";
import { settingsOf } from "../../../clients/websocket/options.ts";
import { createRetries, type Retries } from "../../../clients/websocket/retries.ts";

const START = 1_790_000_000_000;

/** Chance is what takes it longest, but for the last thousandth. */
function retries(): Retries {
  const options = { giveUpMs: 60_000, minDelayMs: 100, maxDelayMs: 1_000, stableMs: 5_000, random: () => 0.999 };
  return createRetries(settingsOf(options, false));
}

function delays(of: Retries, count: number, now = START): unknown[] {
  return Array.from({ length: count }, () => of.next(now)?.delayMs);
}

it("the next try may wait twice as long, up to a bound, however many there are", () => {
  const some = retries();
  expect(some.next(START)).toEqual({ attempt: 1, delayMs: 99 });
  expect(some.next(START)).toEqual({ attempt: 2, delayMs: 199 });
  expect(delays(some, 4)).toEqual([399, 799, 999, 999]);
  expect(delays(some, 2_000).at(-1)).toBe(999);
  const atOnce = createRetries(settingsOf({ minDelayMs: 0 }, false));
  expect(delays(atOnce, 2_000).at(-1)).toBe(0);
});

it("it is given up when that has gone on for long enough, counted from the first failure", () => {
  const some = retries();
  expect(some.next(START)?.attempt).toBe(1);
  expect(some.next(START + 59_999)?.attempt).toBe(2);
  expect([some.next(START + 60_000), some.next(START + 70_000)]).toEqual([undefined, undefined]);
  some.connected(START + 80_000);
  expect(some.next(START + 80_001)?.attempt).toBe(3);
  expect(some.next(START + 140_000)?.attempt).toBe(4);
  expect(some.next(START + 140_001)).toBeUndefined();
});

it("only a connection that has lasted makes the next try a first one", () => {
  const some = retries();
  delays(some, 3);
  some.connected(START);
  expect(some.next(START + 4_999)).toEqual({ attempt: 4, delayMs: 799 });
  // It was there before that try, not after it.
  expect(some.next(START + 5_000)?.attempt).toBe(5);
  some.connected(START + 6_000);
  expect(some.next(START + 11_000)).toEqual({ attempt: 1, delayMs: 99 });
});
