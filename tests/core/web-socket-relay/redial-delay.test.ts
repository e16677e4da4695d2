import { expect, it } from "vitest";
import { redialDelay } from "../../../objects/web-socket-relay/held/redial-delay.ts";

const RULES = { minDelayMs: 100, maxDelayMs: 5_000, giveUpMs: 30_000 };

it.each([
  [0, 0, 50],
  [0, 0.5, 75],
  [3, 0, 400],
  [6, 0, 2_500],
  [1_000, 0.5, 3_750],
])("waits longer with each try, by half by chance: try %d, chance %d", (attempt, chance, delayMs) => {
  expect(redialDelay(RULES, { attempt, awayMs: 0, chance })).toBe(delayMs);
});

it.each([0, 0.5, 0.999])("tries last when the time is over, and gives up then: chance %d", (chance) => {
  let awayMs = 0;
  for (let attempt = 0, delayMs: number | null = 0; delayMs !== null && attempt < 100; attempt += 1) {
    awayMs += delayMs;
    delayMs = redialDelay(RULES, { attempt, awayMs, chance });
  }
  expect(awayMs).toBe(RULES.giveUpMs);
});

it.each([
  [29_999, 1],
  [30_000, null],
  [30_001, null],
])("%d ms after it was lost it is dialled again in %s ms", (awayMs, delayMs) => {
  expect(redialDelay(RULES, { attempt: 9, awayMs, chance: 0 })).toBe(delayMs);
});
