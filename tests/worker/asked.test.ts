import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { LimitDecision } from "../../worker/limits/decide.ts";
import { limited, type Limited } from "./limited.ts";

const NOW = 1_790_000_000_000;
// A deadline that no owner here misses: a policy for silence must not decide in its place.
const ONE = { name: "l", requestsPerWindow: 1, windowSeconds: 10, deadline: "20s" };
const ONE_IN_TEN_SECONDS = { ...ONE, mode: "strict" };

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: NOW });
});

afterEach(() => {
  vi.useRealTimers();
});

function methods({ sent }: Limited): readonly string[] {
  return sent.map(({ method }) => method);
}

function waits({ verdicts }: LimitDecision): readonly (number | null)[] {
  return verdicts.map(({ retryAfterMs }) => retryAfterMs);
}

it("asks nobody about what its owner has just refused, and tells what is left to wait", async () => {
  const strict = limited({ route: "refused", rateLimits: [ONE_IN_TEN_SECONDS] });
  await strict.decide();
  expect(waits(await strict.decide())).toEqual([10_000]);
  vi.setSystemTime(NOW + 999);
  const decision = strict.decideNow();
  expect(decision).toMatchObject({ verdicts: [{ allowed: false, remaining: 0, retryAfterMs: 9_001 }] });
  expect(methods(strict)).toEqual(["take", "take"]);
});

it("asks again after a second, so that what an operator gives is felt", async () => {
  const strict = limited({ route: "asked-again", rateLimits: [ONE_IN_TEN_SECONDS] });
  await strict.decide();
  await strict.decide();
  vi.setSystemTime(NOW + 1_000);
  expect(waits(await strict.decide())).toEqual([9_000]);
  expect(methods(strict)).toEqual(["take", "take", "take"]);
});

it("asks about every client by itself", async () => {
  const strict = limited({ route: "each-client", rateLimits: [ONE_IN_TEN_SECONDS] });
  for (const address of ["192.0.2.1", "192.0.2.1", "192.0.2.2"]) await strict.decide(address);
  expect(methods(strict)).toEqual(["take", "take", "take"]);
});

it("takes nothing of other owners for a request that one of them has just refused", async () => {
  const rateLimits = [
    { ...ONE_IN_TEN_SECONDS, name: "everyone", requestsPerWindow: 100, by: "all" },
    { ...ONE_IN_TEN_SECONDS, name: "each" },
  ];
  const strict = limited({ route: "two-owners", rateLimits });
  await strict.decide();
  await strict.decide();
  await strict.settled();
  const before = strict.sent.length;
  expect(strict.decideNow()).toMatchObject({ verdicts: [{ label: {}, allowed: false }] });
  expect(strict.sent.length).toBe(before);
});

it("asks again once it has told what a reserved request has cost", async () => {
  const counted = limited({
    route: "settled",
    rateLimits: [{ ...ONE, countWhen: 401 }],
  });
  const { committed = [] } = await counted.decide();
  expect(waits(await counted.decide())).toEqual([10_000]);
  expect(methods(counted)).toEqual(["take", "take"]);
  for (const claim of committed) {
    claim.finish?.({ response: new Response(null, { status: 200 }), error: undefined, body: undefined });
  }
  await vi.waitUntil(() => methods(counted).includes("settle"), { interval: 1, timeout: 20_000 });
  await counted.settled();
  expect(await counted.decide()).toMatchObject({ verdicts: [{ allowed: true }] });
  expect(methods(counted)).toEqual(["take", "take", "settle", "take"]);
});
