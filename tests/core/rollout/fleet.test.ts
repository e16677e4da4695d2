import { describe, expect, it } from "vitest";
import { DEFAULT_ABORT } from "../../../schemas/policies/canary.ts";
import type { Random } from "../../simulation/random.ts";
import { runRollout, type Scenario } from "./rollout-world.ts";

type Side = "control" | "canary";

/** Requests that end by chance. */
function ends(rate: (side: Side, at: number) => number, medianMs: (side: Side, at: number) => number): Scenario["end"] {
  return (side, at, random: Random) =>
    random.next() < rate(side, at)
      ? { kind: "error" }
      : { kind: "answer", ms: random.lognormal(medianMs(side, at), 0.6) };
}

const WELL = ends(
  () => 0.01,
  () => 40,
);
/** One client of so many fails always; the others' requests now and then, those of the canary after a minute so often. */
function someAlwaysFail(one: number, rate: number): Scenario["end"] {
  return (side, at, random, client) => {
    const isWorse = side === "canary" && at >= planted && random.next() < rate;
    const isError = client % one === 0 || random.next() < 0.005 || isWorse;
    return isError ? { kind: "error" } : { kind: "answer", ms: 40 };
  };
}

function someAreSlow(one: number): Scenario["end"] {
  return (_side, _at, random, client) => ({ kind: "answer", ms: random.lognormal(client % one === 0 ? 900 : 40, 0.2) });
}

const planted = 60_000;
const base = { percent: 5, perSecond: 200, seconds: 120, end: WELL } as const;

describe("a canary of four isolates", () => {
  it("gets 5 % +- 0.3 of 100,000 requests", () => {
    const { requests } = runRollout({ ...base, seed: 1, perSecond: 1_000, seconds: 100 });
    const [control = 0, canary = 0] = requests;
    expect(control + canary).toBeGreaterThan(99_000);
    expect(Math.abs((100 * canary) / (control + canary) - 5)).toBeLessThan(0.3);
  });

  it("is told of in as many messages as isolates have seconds, and its counts are those of the requests", () => {
    const { state, requests, messages } = runRollout({ ...base, seed: 2 });
    expect(messages).toBeLessThanOrEqual(4 * 120 * 1.35);
    const counted = state.judgement.totals.map(({ requests: seen }) => seen);
    for (const [index, count] of counted.entries()) {
      // What came before the first reply and after the last round isn't in it.
      expect(count).toBeLessThanOrEqual(requests[index] ?? 0);
      expect(count).toBeGreaterThan(0.94 * (requests[index] ?? 0));
    }
  });
});

describe("a canary without a regression", () => {
  const worlds: readonly (readonly [string, Partial<Scenario>])[] = [
    ["that is as the control is", {}],
    ["of half the clients", { percent: 50 }],
    ["of few requests", { perSecond: 20 }],
    [
      "in an outage of both",
      {
        end: ends(
          (_side, at) => (at > planted && at < planted + 20_000 ? 0.7 : 0.01),
          (_side, at) => (at > planted && at < planted + 20_000 ? 900 : 40),
        ),
      },
    ],
    [
      "that is a little worse, within the bounds",
      {
        end: ends(
          (side) => (side === "canary" ? 0.014 : 0.01),
          (side) => (side === "canary" ? 55 : 40),
        ),
      },
    ],
    ["of two thousand clients of whom ten always fail", { clients: 2_000, end: someAlwaysFail(200, 0) }],
    ["of two hundred clients of whom four always fail", { clients: 200, end: someAlwaysFail(50, 0) }],
    ["of two thousand clients of whom ten are always slow", { clients: 2_000, end: someAreSlow(200) }],
    ["whose messages are lost, one in five", { lost: 0.2 }],
    ["of an owner that restarts every ten seconds", { restartMs: 10_000 }],
  ];

  it.each(worlds)("%s is never aborted in ten runs", (_what, world) => {
    const aborted = Array.from({ length: 10 }, (_, seed) => runRollout({ ...base, ...world, seed }).abort).filter(
      (abort) => abort !== undefined,
    );
    expect(aborted).toEqual([]);
  });
});

describe("a regression planted after a minute", () => {
  const worse = (rate: number, ms: number) =>
    ends(
      (side, at) => (side === "canary" && at >= planted ? rate : 0.01),
      (side, at) => (side === "canary" && at >= planted ? ms : 40),
    );
  const worlds: readonly (readonly [string, Partial<Scenario>, string])[] = [
    ["all of its requests", { end: worse(1, 40) }, "more-errors"],
    ["a fifth of its requests", { end: worse(0.2, 40) }, "more-errors"],
    ["a tenth, of a quarter of the clients", { end: worse(0.1, 40), percent: 25 }, "more-errors"],
    [
      "a fifth, one in two hundred clients failing always",
      { end: someAlwaysFail(200, 0.2), clients: 20_000 },
      "more-errors",
    ],
    ["a fifth, one message in five lost", { end: worse(0.2, 40), lost: 0.2 }, "more-errors"],
    ["answers that take four times as long", { end: worse(0.01, 160) }, "slower"],
    ["answers two and a half times as long, of half the clients", { end: worse(0.01, 100), percent: 50 }, "slower"],
  ];

  it.each(worlds)("of %s is aborted within one window, each time", (_what, world, cause) => {
    for (let seed = 0; seed < 5; seed++) {
      const { abort, afterwards, state } = runRollout({ ...base, ...world, seed, seconds: 95 });
      expect(abort).toMatchObject({ kind: "aborted", variant: "canary", cause, by: "" });
      expect(abort?.at).toBeGreaterThanOrEqual(planted);
      expect(abort?.at).toBeLessThanOrEqual(planted + DEFAULT_ABORT.windowMs);
      expect([afterwards, state.aborted]).toEqual([0, ["canary"]]);
    }
  });

  it("of errors far above the odds, but within the gap, is left alone", () => {
    const end = ends(
      (side, at) => (side === "canary" && at >= planted ? 0.02 : 0.001),
      () => 40,
    );
    const policy = (gap: number) => ({ ...DEFAULT_ABORT, errors: { ratio: 1.5, gap } });
    const [small, wide] = [0.01, 0.05].map((gap) =>
      runRollout({ ...base, end, seed: 3, percent: 50, policy: policy(gap) }),
    );
    expect([small?.state.aborted, wide?.state.aborted]).toEqual([["canary"], []]);
  });

  it("is never seen in few requests", () => {
    const end = ends(
      (side) => (side === "canary" ? 1 : 0.01),
      () => 40,
    );
    const policy = { ...DEFAULT_ABORT, minimumRequests: 10_000 };
    expect(runRollout({ ...base, end, seed: 4, policy }).abort).toBeUndefined();
  });
});
