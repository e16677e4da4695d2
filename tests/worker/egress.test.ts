import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { newPool } from "../../objects/connection-pool/pool.ts";
import { DEFAULT_TIMEOUTS } from "../../schemas/policies/timeouts.ts";
import { targetState } from "../../worker/backends/target.ts";
import type { TargetBreaker } from "../../worker/backends/target-breaker.ts";
import { GatewayError } from "../../worker/errors.ts";
import { QUOTA_PRESETS } from "../../schemas/policies/backends/quota.ts";
import { compileQuota, type EgressQuota } from "../../worker/egress/egress-quota.ts";
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

/** A quota of which each request has one slot, and how often one has come back. */
function quotaThat(leaves: () => Promise<void>) {
  let back = 0;
  const quota: EgressQuota = {
    async leaveFor() {
      await leaves();
      return { kind: "leave", mayStart: () => true, giveBack: () => void (back += 1), hear: () => {} };
    },
  };
  return { quota, back: () => back };
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

it("gives the slot of a request back whose client has left while its breaker was asked", async () => {
  const stop = new AbortController();
  const left = new GatewayError("invalid-request", { detail: "left" });
  const { quota, back } = quotaThat(() => Promise.resolve());
  const { breaker, counts } = breakerThat("passes");
  const slow: TargetBreaker = {
    ...breaker,
    async admit(...asked) {
      stop.abort(left);
      return await breaker.admit(...asked);
    },
  };
  const taking = runwayBy(quota, slow).takeOff({ ...exchange(), stop }, { done: newDone(), isCuttable: false });
  await expect(taking).rejects.toBe(left);
  expect([back(), counts]).toEqual([1, { begun: 1, aborted: 1 }]);
});

it("gives a slot back whose client leaves before it begins", async () => {
  const stop = new AbortController();
  const left = new GatewayError("invalid-request", { detail: "left" });
  const work: Promise<unknown>[] = [];
  let back = 0;
  const owner = {
    ping: () => Promise.resolve({ v: 1 }),
    acquire() {
      void scheduler.wait(0).then(() => stop.abort(left));
      const slots = [{ id: 1, inMs: 60_000, forMs: 60_000 }];
      return Promise.resolve({ v: 1, kind: "granted", slots, heldMs: 0, epoch: 1, wantsSuccess: false });
    },
    release: () => Promise.resolve(void (back += 1)),
  };
  const namespace = { idFromName: () => "", get: () => owner };
  const bindings: Env = { ...env, UPSTREAM_QUOTA: Object.assign(Object.create(env.UPSTREAM_QUOTA), namespace) };
  const quota = compileQuota(
    { priority: undefined },
    {
      name: "left",
      policy: { ...QUOTA_PRESETS["60-per-minute"], maxQueue: 10, maxPauseMs: 1_000, backoff: { baseMs: 1, maxMs: 1 } },
      maxWaitMs: 600_000,
      by: [{ kind: "ip" }],
      priority: undefined,
      onError: "closed",
    },
  );
  const waiting = exchangeFor({ prefix: "/" }, bindings, work);
  const leave = quota?.leaveFor({ ...waiting, stop, deadline: Date.now() + 600_000 }, true);
  await expect(leave).rejects.toBe(left);
  await Promise.all(work);
  expect(back).toBe(1);
});

describe("a request of a batch", () => {
  it("gives its slot back when it was stopped before it had a turn", async () => {
    const left = new GatewayError("invalid-request", { detail: "left" });
    const stop = new AbortController();
    const { quota, back } = quotaThat(() => Promise.resolve(stop.abort(left)));
    const taking = runwayBy(quota).takeOff(
      { ...exchange(), pool: newPool(), stop },
      { done: newDone(), isCuttable: false },
    );
    await expect(taking).rejects.toBe(left);
    expect(back()).toBe(1);
  });

  it("waits for its slot without a turn", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { quota, back } = quotaThat(() => promise);
    const pool = newPool();
    const runway = runwayBy(quota);
    const taking = Array.from({ length: 9 }, () =>
      runway.takeOff({ ...exchange(), pool }, { done: newDone(), isCuttable: false }),
    );
    await scheduler.wait(0);
    expect(pool.tallies().get("origin")?.active ?? 0).toBe(0);
    resolve();
    // One origin may have five: each of the others waits for a turn, with no slot that would be over meanwhile.
    const flights = await Promise.all(taking.slice(0, 5));
    expect(flights.map(({ kind }) => kind)).toEqual(Array.from({ length: 5 }, () => "flight"));
    expect([pool.tallies().get("origin"), back()]).toMatchObject([{ active: 5, queued: 4, timedOut: 0 }, 4]);
    for (const flight of flights) if (flight.kind === "flight") flight.turn();
    expect((await Promise.all(taking)).map(({ kind }) => kind)).toEqual(Array.from({ length: 9 }, () => "flight"));
    expect(pool.tallies().get("origin")).toMatchObject({ admitted: 9, waited: 4, timedOut: 0 });
  });
});

it("waits for no slot where a flight is of use only now", async () => {
  const { quota, asked } = quotaWithLate(0);
  await runwayBy(quota).takeOff(exchange(), { done: newDone(), isCuttable: true, isUrgent: true });
  expect(asked).toEqual([false]);
});
