import { describe, expect, it } from "vitest";
import { hear, newMemory } from "../../../objects/circuit-breaker/breaker.ts";
import { reportProblem } from "../../../objects/circuit-breaker/breaker-messages.ts";
import { DEFAULT_BREAKER } from "../../../objects/circuit-breaker/breaker-policy.ts";
import { statusOf } from "../../../objects/circuit-breaker/breaker-status.ts";
import { packBreaker, unpackBreaker } from "../../../objects/circuit-breaker/breaker-state.ts";
import { command, newBreaker } from "../../../objects/circuit-breaker/circuit.ts";
import { MIDDLE, START, owner, probing, reply, report } from "./fixtures.ts";

/** So many isolates that have been there. */
function names(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `isolate ${index}`);
}

describe("a closed breaker", () => {
  it("answers a report without storing anything", () => {
    const one = owner();
    const before = one.state;
    expect(one.hear({ ok: 100, failed: 3 })).toEqual(reply());
    expect(one.state).toBe(before);
  });

  it("stores the policy of a configuration that is newer, and never follows an older one", () => {
    const one = owner();
    const policy = { ...DEFAULT_BREAKER, openMs: 5_000 };
    one.hear({ configVersion: 3, policy });
    expect(one.state).toMatchObject({ configVersion: 3, policy: { openMs: 5_000 } });
    one.hear({ configVersion: 2, policy: DEFAULT_BREAKER });
    expect(one.state).toMatchObject({ configVersion: 3, policy: { openMs: 5_000 } });
  });

  it("follows another policy of the same version, as documents have that are written by hand", () => {
    const one = owner();
    one.hear({ configVersion: 1, policy: DEFAULT_BREAKER });
    one.hear({ configVersion: 1, policy: { ...DEFAULT_BREAKER, openMs: 5_000 } });
    expect(one.state.policy).toEqual({ ...DEFAULT_BREAKER, openMs: 5_000 });
    const before = one.state;
    one.hear({ configVersion: 1, policy: { ...DEFAULT_BREAKER, openMs: 5_000 } });
    expect(one.state).toBe(before);
  });

  it("follows a configuration without a version, which somebody wrote by hand in place of one that had it", () => {
    const one = owner();
    one.hear({ configVersion: 41, policy: DEFAULT_BREAKER });
    one.hear({ configVersion: 0, policy: { ...DEFAULT_BREAKER, openMs: 5_000 } });
    expect(one.state).toMatchObject({ configVersion: 0, policy: { openMs: 5_000 } });
  });

  it("asks a voter back before its isolate passes requests again, and others the later the more they are", () => {
    const one = owner({}, newBreaker());
    const [first] = names(200).map((isolate) => one.hear({ isolate }));
    expect(first?.reportMs).toBe(1_000);
    expect(one.hear({ isolate: "last" })).toMatchObject({ isolates: 201, reportMs: 2_010, urgentMs: 101 });
    expect(one.hear({ isolate: "last", isFailing: true }).reportMs).toBe(500);
  });

  it.each([
    [1, 1],
    [5, 1],
    [6, 2],
    [20, 4],
    [100, 20],
    [500, 40],
  ])("of %d isolates opens when %d of them vote within a second", (isolates, quorum) => {
    const one = owner();
    for (const isolate of names(isolates)) one.hear({ isolate });
    for (const isolate of names(quorum - 1)) one.hear({ isolate, isFailing: true });
    expect(one.kind).toBe("closed");
    one.now += 1_000;
    expect(one.hear({ isolate: `isolate ${quorum - 1}`, isFailing: true })).toMatchObject({
      circuit: "open",
      epoch: 2,
    });
    expect(one.state.history).toEqual([{ at: one.now, epoch: 2, to: "open", cause: "consecutive-failures" }]);
  });

  it("forgets a vote after a second, and doesn't count one isolate's twice", () => {
    const one = owner();
    for (const isolate of names(6)) one.hear({ isolate });
    one.hear({ isolate: "isolate 0", isFailing: true });
    one.hear({ isolate: "isolate 0", isFailing: true });
    one.now += 1_001;
    one.hear({ isolate: "isolate 1", isFailing: true });
    expect(one.kind).toBe("closed");
  });

  it.each([
    ["19 calls of which all failed", { ok: 0, failed: 19 }, "closed"],
    ["20 calls of which all failed", { ok: 0, failed: 20 }, "open"],
    ["20 calls of which 9 failed", { ok: 11, failed: 9 }, "closed"],
    ["20 calls of which 10 failed", { ok: 10, failed: 10 }, "open"],
  ])("is after %s %s", (_title, counts, kind) => {
    const one = owner();
    one.hear(counts);
    expect(one.kind).toBe(kind);
  });

  it("does not open for the ratio of one isolate among six, however many calls it makes", () => {
    const one = owner();
    for (const isolate of names(6)) one.hear({ isolate, ok: 10 });
    one.hear({ isolate: "isolate 0", failed: 10_000 });
    expect(one.kind).toBe("closed");
    one.hear({ isolate: "isolate 1", failed: 10 });
    expect(one.state.history.at(-1)).toMatchObject({ to: "open", cause: "failure-ratio" });
  });

  it("opens for slow calls only where that is switched on", () => {
    const off = owner();
    off.hear({ ok: 100, slow: 100 });
    expect(off.kind).toBe("closed");
    const on = owner({ slowCallRate: 0.5 });
    on.hear({ ok: 100, slow: 49 });
    expect(on.kind).toBe("closed");
    on.hear({ ok: 10, slow: 10 });
    expect(on.state.history.at(-1)).toMatchObject({ to: "open", cause: "slow-calls" });
  });

  it("counts no outcome after one idle window", () => {
    const one = owner();
    one.hear({ failed: 19 });
    one.now += 10_000;
    one.hear({ failed: 1 });
    expect(one.kind).toBe("closed");
  });

  it.each([
    ["an earlier epoch", { epoch: 0 }],
    ["a message that comes after a later one", { seq: 0 }],
  ])("counts no outcomes and no vote of %s", (_what, changes) => {
    const one = owner();
    one.hear({ seq: 5 });
    one.hear({ seq: 6, failed: 1_000, isFailing: true, ...changes });
    expect(one.kind).toBe("closed");
  });

  it("whose owner has just started waits a second for others, since the first to report may be the sick one", () => {
    const one = owner();
    one.memory = newMemory(one.state, one.now);
    one.hear({ isolate: "sick", isFailing: true, failed: 1_000 });
    one.now += 999;
    one.hear({ isolate: "sick", isFailing: true });
    expect(one.kind).toBe("closed");
    one.now += 1;
    one.hear({ isolate: "sick", isFailing: true });
    expect(one.kind).toBe("open");
  });

  it("whose owner has just started keeps a voter from passing requests until it can judge, and opens then", () => {
    const one = owner();
    one.memory = newMemory(one.state, one.now);
    one.now += 200;
    const first = one.hear({ isolate: "a", isFailing: true });
    expect(first).toEqual(reply({ ageMs: one.now, reportMs: 801, remainingMs: 1_051 }));
    one.now += first.reportMs;
    expect(one.hear({ isolate: "a", isFailing: true })).toMatchObject({ circuit: "open", epoch: 2 });
  });

  it.each([
    ["3 of 3", 3, 3, "closed"],
    ["4 of 4", 4, 4, "open"],
    ["4 of 8", 8, 4, "open"],
    ["4 of 9", 9, 4, "closed"],
    ["5 of 9", 9, 5, "open"],
  ])("whose owner has just started is, when %s that it has heard of vote, %s", (_title, heard, votes, kind) => {
    const one = owner();
    one.memory = newMemory(one.state, one.now);
    for (const isolate of names(heard)) one.hear({ isolate });
    for (const isolate of names(votes)) one.hear({ isolate, isFailing: true });
    expect(one.kind).toBe(kind);
  });

  it("whose owner has just started asks others back later than usual, until one says how many they were", () => {
    const one = owner();
    one.memory = newMemory(one.state, one.now);
    expect(one.hear({ isolate: "a" }).reportMs).toBe(2_500);
    expect(one.hear({ isolate: "b", isolates: 4 }).reportMs).toBe(1_000);
  });

  it("whose owner has forgotten its isolates believes them how many they are", () => {
    const one = owner();
    expect(one.hear({ isolate: "well", isolates: 20 }).isolates).toBe(20);
    one.hear({ isolate: "sick", isFailing: true });
    expect(one.kind).toBe("closed");
    one.now += 10_000;
    expect(one.hear({ isolate: "well" }).isolates).toBe(1);
  });
});

describe("a message that comes twice", () => {
  it("gets the same reply and changes nothing", () => {
    const state = probing();
    const memory = newMemory(state, START);
    const moment = { now: START + 60_000, random: MIDDLE };
    const asks = report({ epoch: 3, wantsPermit: true });
    const first = hear(state, memory, asks, moment);
    expect(first.reply.permit).toEqual({ id: 1, deadlineMs: 11_000 });
    const second = hear(first.state, first.memory, asks, { ...moment, now: moment.now + 9_999 });
    expect(second).toEqual({ state: first.state, memory: first.memory, reply: first.reply });
    // To an owner that has forgotten it, it is new: the first permit is lost, none is given twice.
    expect(hear(first.state, newMemory(state, START), asks, moment).reply.permit).toEqual({
      id: 2,
      deadlineMs: 11_000,
    });
  });
});

describe("an open breaker", () => {
  it("says how long, the isolates spread, and when to look again for what an operator may do", () => {
    const one = owner();
    for (const isolate of names(100)) one.hear({ isolate });
    for (const isolate of names(20)) one.hear({ isolate, isFailing: true });
    one.now += 1_000;
    // 101 isolates come back within half a second, this one in the middle.
    expect(one.hear()).toMatchObject({ circuit: "open", ageMs: 1_000, remainingMs: 59_253, reportMs: 2_020 });
  });

  it("begins to probe when the first asks after its time, and not for a report", () => {
    const one = owner();
    one.hear({ isFailing: true });
    one.now += 60_000;
    expect(one.hear()).toMatchObject({ circuit: "open", permit: null });
    expect(one.hear({ wantsPermit: true })).toMatchObject({ circuit: "half-open", permit: { id: 1 } });
    for (const id of [2, 3]) expect(one.hear({ wantsPermit: true }).permit?.id).toBe(id);
    expect(one.hear({ wantsPermit: true }).permit).toBeNull();
  });

  it("takes no result of before the opening for one of after it", () => {
    const one = owner();
    one.hear({ isFailing: true });
    const before = one.state;
    one.hear({ epoch: 1, ok: 1_000, failed: 1_000, isFailing: true });
    expect(one.state).toBe(before);
  });

  it("that closes again counts from nothing", () => {
    const one = owner();
    one.hear({ failed: 15 });
    one.hear({ isFailing: true });
    one.now += 60_000;
    for (const id of [1, 2])
      one.hear({ wantsPermit: true, probes: id === 2 ? [{ permit: 1, outcome: "success" }] : [] });
    one.hear({ probes: [{ permit: 2, outcome: "success" }] });
    expect(one.kind).toBe("closed");
    one.hear({ failed: 19 });
    expect(one.kind).toBe("closed");
  });
});

describe("a record that was lost", () => {
  it("goes on above the highest epoch that an isolate knows", () => {
    const one = owner();
    expect(one.hear({ epoch: 41 })).toMatchObject({ epoch: 42, circuit: "closed" });
    expect(one.state.history).toEqual([{ at: START, epoch: 42, to: "closed", cause: "state-lost" }]);
  });

  it.each(["open", "closed"] as const)("is no reason to end what an operator has ordered since (%s)", (asked) => {
    const one = owner({}, command(newBreaker(), asked, START));
    expect(one.hear({ epoch: 41 })).toMatchObject({ epoch: 42, circuit: `forced-${asked}` });
    expect(one.state.circuit).toEqual({ kind: `forced-${asked}`, since: START });
  });

  it("is not to be told from an epoch that no breaker has ever reached", () => {
    const one = owner();
    expect(one.hear({ epoch: Number.MAX_SAFE_INTEGER })).toMatchObject({ epoch: 1 });
    one.hear({ epoch: 1, isFailing: true });
    expect(unpackBreaker(packBreaker(one.state))).toEqual(one.state);
  });
});

describe("a breaker that is forced", () => {
  it.each(["open", "closed"] as const)("%s stays so whatever is reported", (asked) => {
    const one = owner({}, command(newBreaker(), asked, START));
    const { epoch } = one.state;
    one.hear({ isFailing: true, failed: 10_000 });
    one.hear({ wantsPermit: true });
    expect(one.state).toMatchObject({ epoch, circuit: { kind: `forced-${asked}` }, permits: [] });
    expect(one.hear().reportMs).toBe(2_000);
  });
});

describe("an operator is told", () => {
  it("of a closed breaker what was reported", () => {
    const one = owner();
    for (const isolate of names(6)) one.hear({ isolate, ok: 10, failed: 1 });
    expect(statusOf(one.state, one.memory, one.now)).toEqual({
      circuit: "closed",
      epoch: 1,
      since: null,
      remainingMs: null,
      openings: 0,
      probes: 0,
      isolates: 6,
      window: { ok: 60, failed: 6, slow: 0 },
      history: [],
    });
  });

  it("of an open one for how long and why, of a half-open one how many probe it", () => {
    const one = owner();
    one.hear({ isFailing: true });
    const openedAt = one.now;
    one.now += 20_000;
    const opening = { at: openedAt, epoch: 2, to: "open", cause: "consecutive-failures" };
    expect(statusOf(one.state, one.memory, one.now)).toMatchObject({
      circuit: "open",
      since: openedAt,
      remainingMs: 40_000,
      openings: 1,
      window: { ok: 0, failed: 0, slow: 0 },
      history: [opening],
    });
    one.now += 40_000;
    one.hear({ wantsPermit: true });
    expect(statusOf(one.state, one.memory, one.now)).toMatchObject({
      circuit: "half-open",
      remainingMs: null,
      probes: 1,
    });
    expect(statusOf(one.state, one.memory, one.now + 11_100).probes).toBe(0);
  });
});

describe("a report", () => {
  it.each([
    ["v", { v: 2 }, "v: got 2, wanted 1; deploy the Worker and its objects together"],
    ["isolate", { isolate: "" }, "isolate: got , wanted 1 to 64 characters"],
    ["seq", { seq: -1 }, "seq: got -1, wanted an integer >= 0"],
    ["failed", { failed: 0.5 }, "failed: got 0.5, wanted an integer >= 0"],
    ["wantsPermit", { wantsPermit: 1 }, "wantsPermit: got 1, wanted true or false"],
    ["policy", { policy: null }, "policy: got null, wanted an object"],
    ["policy.jitter", { policy: { ...DEFAULT_BREAKER, jitter: 1 } }, "policy.jitter: got 1, wanted a number in [0, 1)"],
    [
      "policy.failureRate",
      { policy: { ...DEFAULT_BREAKER, failureRate: 0 } },
      "policy.failureRate: got 0, wanted a number in (0, 1]",
    ],
    [
      "policy.halfOpenPermits",
      { policy: { ...DEFAULT_BREAKER, halfOpenPermits: 0 } },
      "policy.halfOpenPermits: got 0, wanted an integer >= 1",
    ],
    ["probes", { probes: "none" }, "probes: got none, wanted a list"],
    ["a probe", { probes: [{ permit: 1 }] }, "probes[0].outcome: got undefined, wanted a text"],
  ])("with a wrong %s is refused in words", (_field, changes, problem) => {
    expect(reportProblem({ ...report(), ...changes })).toBe(problem);
  });

  it("of a later version passes: fields are ignored, an unknown outcome of a probe gives its permit back", () => {
    const later = { ...report({ epoch: 3 }), later: true, probes: [{ permit: 1, outcome: "splendid", later: 1 }] };
    expect(reportProblem(later)).toBeUndefined();
    const one = owner({}, probing());
    one.now = START + 60_000;
    one.hear({ wantsPermit: true });
    const said = JSON.parse(JSON.stringify({ probes: later.probes }));
    one.hear(said);
    expect(one.state).toMatchObject({ permits: [], circuit: { kind: "half-open", successes: 0, failures: 0 } });
  });
});
