import { describe, expect, it } from "vitest";
import { DEFAULT_ABORT } from "../../../schemas/policies/canary.ts";
import { NEW_RELEASE, orderRelease, type ReleaseState } from "../../../objects/rollout/release.ts";
import { endRound, hearRollout, newRolloutMemory } from "../../../objects/rollout/hear-rollout.ts";
import type { RolloutOrder, RolloutReply, RolloutReport } from "../../../objects/rollout/rollout-messages.ts";
import { order, report, seen } from "./fixtures.ts";

/** An owner before which messages come one a second. */
function owner(state: ReleaseState = NEW_RELEASE) {
  const memory = newRolloutMemory(0);
  let now = 0;
  const world = {
    state,
    hear(message: RolloutReport): RolloutReply {
      now += 1_000;
      const heard = hearRollout(world.state, memory, message, { now, random: 0.5 });
      world.state = heard.state;
      return heard.reply;
    },
    order(given: RolloutOrder) {
      const next = orderRelease(world.state, given, now);
      if ("problem" in next) throw new Error(next.problem);
      world.state = next;
    },
    /** Requests of control and canary, once their round is over. */
    counted(): readonly number[] {
      now += 10_000;
      world.state = endRound(world.state, memory, now);
      return world.state.judgement.totals.map(({ requests }) => requests);
    },
  };
  return world;
}

const some = (control: number, canary: number) => seen([control, 0], [canary, 0]);

describe("the owner of a release", () => {
  it("tells what holds and when to come back", () => {
    expect(owner().hear(report())).toEqual({
      v: 1,
      epoch: 1,
      release: "r1",
      promoted: null,
      aborted: [],
      reportMs: 1_000,
      isolates: 1,
    });
  });

  it.each([
    [1, 1_000],
    [100, 1_000],
    [500, 5_000],
    [4_000, 10_000],
  ])(
    "hears of %d isolates no more than a hundred times a second and of each every ten: after %d ms",
    (count, expected) => {
      const memory = newRolloutMemory(0);
      let reply: RolloutReply | undefined;
      for (let index = 0; index < count; index++) {
        const message = report({ isolate: `isolate-${index}` });
        reply = hearRollout(NEW_RELEASE, memory, message, { now: 0, random: 0.5 }).reply;
      }
      expect([reply?.isolates, reply?.reportMs]).toEqual([count, expected]);
    },
  );

  it("takes the word of an isolate on how many there are, until it can know", () => {
    const memory = newRolloutMemory(0);
    const at = (now: number) =>
      hearRollout(NEW_RELEASE, memory, report({ isolates: 300 }), { now, random: 0.5 }).reply.isolates;
    expect([at(0), at(39_000), at(41_000)]).toEqual([300, 300, 1]);
  });

  it("forgets isolates that have gone", () => {
    const memory = newRolloutMemory(-100_000);
    const at = (isolate: string, now: number) =>
      hearRollout(NEW_RELEASE, memory, report({ isolate }), { now, random: 0.5 }).reply.isolates;
    expect([at("a", 0), at("b", 1_000), at("b", 4_500)]).toEqual([1, 2, 1]);
  });

  it("counts a message once, however often it comes, and none that a later one has overtaken", () => {
    const world = owner();
    world.hear(report({ seq: 5, counts: some(10, 1) }));
    world.hear(report({ seq: 5, counts: some(10, 1) }));
    world.hear(report({ seq: 4, counts: some(100, 10) }));
    world.hear(report({ seq: 6, counts: some(1_000, 100) }));
    world.hear(report({ seq: 1, isolate: "b", counts: some(10_000, 1_000) }));
    expect(world.counted()).toEqual([11_010, 1_101]);
  });

  it("counts nothing of another epoch or of another release", () => {
    const world = owner();
    world.hear(report());
    world.order(order("abort", "canary"));
    world.hear(report({ seq: 2, epoch: 1, counts: some(10, 1) }));
    world.hear(report({ seq: 3, epoch: 2, counts: some(100, 0) }));
    world.hear(report({ seq: 4, epoch: 2, configVersion: 6, release: "r0", counts: some(1_000, 0) }));
    expect(world.counted()).toEqual([100, 0]);
  });

  it("follows the configuration: another release begins anew, other percentages change nothing", () => {
    const world = owner();
    world.hear(report());
    world.order(order("abort", "canary"));
    expect(world.hear(report({ seq: 2, configVersion: 8 }))).toMatchObject({ epoch: 2, aborted: ["canary"] });
    expect(world.hear(report({ seq: 3, configVersion: 9, release: "r2" }))).toMatchObject({ epoch: 3, aborted: [] });
    expect(world.hear(report({ seq: 4, configVersion: 8 }))).toMatchObject({ epoch: 3, release: "r2" });
    expect(world.state.history.map(({ kind, cause }) => [kind, cause])).toEqual([
      ["aborted", "operator"],
      ["begun", "new-release"],
    ]);
  });

  it("keeps its statistics and wagers anew when another bound is asked for", () => {
    const world = owner();
    world.hear(
      report({
        counts: seen([100, 50], [100, 90]),
      }),
    );
    world.counted();
    expect(world.state.judgement.cases[0]?.errors.rounds).toBe(1);
    const policy = { ...DEFAULT_ABORT, errors: { ratio: 3, gap: 0.01 } };
    world.hear(report({ seq: 2, configVersion: 8, policy }));
    expect(world.state.judgement.cases[0]?.errors.rounds).toBe(0);
    expect(world.counted()).toEqual([100, 100]);
  });

  it("aborts nothing by itself when nobody has asked it to", () => {
    const world = owner();
    for (let seq = 1; seq < 100; seq++) {
      world.hear(
        report({
          seq,
          policy: null,
          counts: seen([100, 0], [100, 100]),
        }),
      );
    }
    expect(world.state).toMatchObject({ epoch: 1, aborted: [] });
  });

  it("takes the higher epoch of an isolate for its own that it has lost", () => {
    const world = owner();
    expect(world.hear(report({ epoch: 41 }))).toMatchObject({ epoch: 42, aborted: [] });
  });

  it("goes on when its clock steps back", () => {
    const memory = newRolloutMemory(1e9);
    const at = (seq: number, now: number, state: ReleaseState) =>
      hearRollout(state, memory, report({ seq, counts: some(10, 1) }), { now, random: 0.5 }).state;
    const first = at(1, 1e9, NEW_RELEASE);
    const back = at(2, 1e9 - 3_600_000, first);
    expect(back.judgement.totals.map(({ requests }) => requests)).toEqual([10, 1]);
  });
});

describe("an order", () => {
  it.each<[RolloutOrder, string | null, readonly string[], number]>([
    [order("abort", "canary"), null, ["canary"], 2],
    [order("promote", "canary"), "canary", [], 2],
    [order("promote", "control"), "control", [], 2],
  ])("%j brings about what it says", (given, promoted, aborted, epoch) => {
    const world = owner();
    world.hear(report());
    world.order(given);
    expect(world.state).toMatchObject({ promoted, aborted, epoch });
    const before = world.state;
    world.order(given);
    expect(world.state).toBe(before);
  });

  it("to abort what was promoted takes it from everybody, and promoting what was aborted gives it back", () => {
    const world = owner();
    world.hear(report());
    world.order(order("promote", "canary"));
    world.order(order("abort", "canary"));
    expect(world.state).toMatchObject({ promoted: null, aborted: ["canary"], epoch: 3 });
    world.order(order("promote", "canary"));
    expect(world.state).toMatchObject({ promoted: "canary", aborted: [], epoch: 4 });
    world.order(order("reset"));
    expect(world.state).toMatchObject({ promoted: null, aborted: [], epoch: 5 });
    expect(world.state.history.at(-1)).toEqual({
      at: 1_000,
      epoch: 5,
      kind: "reset",
      variant: "",
      cause: "operator",
      by: "ann",
    });
  });

  it.each<[RolloutOrder, ReleaseState, string]>([
    [order("abort", "v9"), known(), 'variant: got "v9", wanted one of "control", "canary"'],
    [
      order("abort", "control"),
      known(),
      'variant: got "control", wanted another one: the control is who takes over; to take it from everybody promote a variant',
    ],
    [order("promote", "canary"), NEW_RELEASE, 'variant: got "canary", wanted a release that somebody reported'],
  ])("%j that can't be is refused", (given, state, problem) => {
    expect(orderRelease(state, given, 0)).toEqual({ problem });
  });

  it("remembers the last twenty", () => {
    const world = owner(known());
    for (let times = 0; times < 15; times++) {
      world.order(order("abort", "canary"));
      world.order(order("reset"));
    }
    expect([world.state.history.length, world.state.history[0]?.epoch]).toEqual([20, 12]);
  });

  function known(): ReleaseState {
    const world = owner();
    world.hear(report());
    return world.state;
  }
});
