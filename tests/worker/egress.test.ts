import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { DEFAULT_TIMEOUTS } from "../../schemas/policies/timeouts.ts";
import { targetState } from "../../worker/backends/target.ts";
import type { TargetBreaker } from "../../worker/backends/target-breaker.ts";
import type { EgressQuota } from "../../worker/egress/egress-quota.ts";
import { compileRunway, type Done } from "../../worker/upstream/take-off.ts";
import { compileTargetUrl } from "../../worker/upstream/target-url.ts";
import { exchangeFor } from "./exchange.ts";

const URL = "https://origin.example";

/** A quota whose first leaves are over when they are to be used, and what became of all of them. */
function quotaWithLate(late: number) {
  const asked: boolean[] = [];
  const back: number[] = [];
  const quota: EgressQuota = {
    leaveFor(_exchange, mayWait) {
      const number = asked.push(mayWait);
      return Promise.resolve({
        kind: "leave",
        mayStart: () => number > late,
        giveBack: () => void back.push(number),
        hear: () => {},
      });
    },
  };
  return { quota, asked, back };
}

function runwayBy(quota: EgressQuota, breaker?: TargetBreaker) {
  const urlOf = compileTargetUrl({ kind: "prefix", value: "/" }, URL);
  const target = { url: URL, urlOf, state: targetState(URL), breaker, timeouts: DEFAULT_TIMEOUTS, isMeasured: false };
  return compileRunway([target], { name: "origin", balancer: undefined, quota, gate: undefined });
}

function newDone(): Done {
  return { tried: [], refused: [], flights: [] };
}

const exchange = () => exchangeFor({ prefix: "/" }, env);

/** A breaker that answers so, and counts what has begun and what of that was called off. */
function breakerThat(kind: "passes" | "refuses") {
  const counts = { begun: 0, aborted: 0 };
  const breaker: TargetBreaker = {
    admit() {
      if (kind === "refuses") return { kind: "refused", retryAfterMs: 1_000 };
      counts.begun += 1;
      return { kind: "pass", attempt: { epoch: 1, isSettled: false } };
    },
    settle: (_caller, _attempt, end) => void (counts.aborted += end.kind === "aborted" ? 1 : 0),
    lookAfter: () => {},
    isRefusing: () => false,
  };
  return { breaker, counts };
}

it("gives a slot back that is over before the breaker has answered, and asks for another", async () => {
  const { quota, asked, back } = quotaWithLate(2);
  const { breaker, counts } = breakerThat("passes");
  const done = newDone();
  const flight = await runwayBy(quota, breaker).takeOff(exchange(), { done, isCuttable: false });
  expect(flight.kind).toBe("flight");
  expect([asked, back]).toEqual([
    [true, true, true],
    [1, 2],
  ]);
  expect([done.tried, counts]).toEqual([[0], { begun: 3, aborted: 2 }]);
});

it("gives the slot of a request back that its breaker refuses", async () => {
  const { quota, back } = quotaWithLate(0);
  const { breaker } = breakerThat("refuses");
  const none = await runwayBy(quota, breaker).takeOff(exchange(), { done: newDone(), isCuttable: false });
  expect([none, back]).toEqual([{ kind: "none", why: "breaker-open", retryAfterMs: 1_000 }, [1]]);
});

it("waits for no slot where a flight is of use only now", async () => {
  const { quota, asked } = quotaWithLate(0);
  await runwayBy(quota).takeOff(exchange(), { done: newDone(), isCuttable: true, isUrgent: true });
  expect(asked).toEqual([false]);
});
