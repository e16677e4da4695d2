import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { packBreaker, unpackBreaker } from "../../../objects/circuit-breaker/breaker-state.ts";
import { DEFAULT_BREAKER } from "../../../objects/circuit-breaker/breaker-policy.ts";
import {
  HISTORY,
  close,
  command,
  newBreaker,
  onClock,
  open,
  probe,
  type BreakerState,
  type Command,
} from "../../../objects/circuit-breaker/circuit.ts";
import {
  expireProbes,
  grant,
  settleProbes,
  type ProbeOutcome,
} from "../../../objects/circuit-breaker/probe-permits.ts";
import { MIDDLE, START, probing } from "./fixtures.ts";

const DEADLINE_MS = 11_100;

function openFor(state: BreakerState): number {
  return state.circuit.kind === "open" ? state.circuit.until - state.circuit.since : NaN;
}

/** Grants until nothing is granted. */
function grantAll(state: BreakerState, now: number): { state: BreakerState; ids: number[] } {
  const ids: number[] = [];
  for (let next = state; ;) {
    const granted = grant(next, now);
    if (granted.permit === undefined) return { state: next, ids };
    ids.push(granted.permit.id);
    next = granted.state;
  }
}

describe("the open time", () => {
  it("doubles with each opening in a row, up to its maximum", () => {
    let state = newBreaker();
    const times: number[] = [];
    for (let opening = 1; opening <= 6; opening++) {
      state = open(state, "failure-ratio", START, MIDDLE);
      times.push(openFor(state));
    }
    expect(times).toEqual([60_000, 120_000, 240_000, 480_000, 600_000, 600_000]);
  });

  it("is spread by jitter to either side", () => {
    const times = [0, MIDDLE, 0.999_999].map((random) => openFor(open(newBreaker(), "slow-calls", START, random)));
    expect(times).toEqual([48_000, 60_000, 72_000]);
  });

  it.each([
    [0, 120_000],
    [59_999, 120_000],
    [60_000, 60_000],
    [1_000_000_000, 60_000],
  ])("after %d ms closed is %d ms: openings are forgotten one by one", (closedMs, expected) => {
    const closed = close(probing(), "probes-succeeded", START);
    expect(openFor(open(closed, "failure-ratio", START + closedMs, MIDDLE))).toBe(expected);
  });

  it("ends when someone asks after it, and not a millisecond before", () => {
    const opened = open(newBreaker(), "failure-ratio", START, MIDDLE);
    expect(probe(opened, START + 59_999)).toBe(opened);
    expect(probe(opened, START + 60_000)).toMatchObject({ epoch: 3, circuit: { kind: "half-open" } });
  });

  it("goes on with what was left when the clock steps back by an hour", () => {
    const opened = open(newBreaker(), "failure-ratio", START, MIDDLE);
    const back = START - 3_600_000;
    expect(probe(onClock(opened, back), back + 59_999).circuit.kind).toBe("open");
    expect(probe(onClock(opened, back), back + 60_000).circuit.kind).toBe("half-open");
    expect(onClock(opened, START - 5_000)).toBe(opened);
  });
});

describe("probes", () => {
  it("get as many permits as there are, each with another number, and none elsewhere than half-open", () => {
    const now = START + 60_000;
    const { state, ids } = grantAll(probing(), now);
    expect(ids).toEqual([1, 2, 3]);
    expect(state.permits[0]).toEqual({ id: 1, epoch: 3, endsAt: now + DEADLINE_MS });
    const others = [newBreaker(), open(newBreaker(), "failure-ratio", START, MIDDLE)];
    for (const asked of ["open", "closed"] as const) others.push(command(newBreaker(), asked, START));
    for (const other of others) expect(grant(other, now)).toEqual({ state: other, permit: undefined });
  });

  it("are as many as there are permits where all succeed, or as it takes to close", () => {
    for (const [halfOpenPermits, successThreshold, expected] of [
      [3, 2, 3],
      [1, 3, 3],
      [2, 2, 2],
    ] as const) {
      const now = START + 60_000;
      let state = probing({ halfOpenPermits, successThreshold });
      const given: number[] = [];
      for (let settled = 1; state.circuit.kind === "half-open"; settled++) {
        const granted = grantAll(state, now);
        given.push(...granted.ids);
        state = settleProbes(granted.state, [{ permit: settled, outcome: "success" }], { now, random: MIDDLE });
      }
      expect(given).toHaveLength(expected);
    }
  });

  it.each<[string, ProbeOutcome[], object]>([
    ["two successes close", ["success", "success"], { epoch: 4, circuit: { kind: "closed", openings: 1 } }],
    ["one success does not", ["success"], { epoch: 3, circuit: { kind: "half-open", successes: 1 } }],
    ["a failure opens for twice as long", ["success", "failure"], { epoch: 4, circuit: { kind: "open", openings: 2 } }],
    ["what was given back counts for nothing", ["none", "none"], { epoch: 3, circuit: { successes: 0, failures: 0 } }],
  ])("%s", (_title, outcomes, expected) => {
    const now = START + 60_000;
    const { state, ids } = grantAll(probing(), now);
    const results = outcomes.map((outcome, index) => ({ permit: ids[index] ?? 0, outcome }));
    const settled = settleProbes(state, results, { now, random: MIDDLE });
    expect(settled).toMatchObject(expected);
    expect(settled.permits).toHaveLength(3 - outcomes.length);
  });

  it("that answer without saying anything of health count a fifth of a success each", () => {
    const now = START + 60_000;
    let state = probing();
    const kinds: string[] = [];
    for (let answer = 1; answer <= 10; answer++) {
      const granted = grant(state, now);
      const result = { permit: granted.permit?.id ?? 0, outcome: "neutral" as const };
      state = settleProbes(granted.state, [result], { now, random: MIDDLE });
      kinds.push(state.circuit.kind);
    }
    expect(kinds).toEqual([...Array<string>(9).fill("half-open"), "closed"]);
  });

  it("that are lost free their places at the deadline; three in a row are a failure", () => {
    const now = START + 60_000;
    const { state } = grantAll(probing(), now);
    expect(expireProbes(state, { now: now + DEADLINE_MS - 1, random: MIDDLE })).toBe(state);
    expect(expireProbes(state, { now: now + DEADLINE_MS, random: MIDDLE })).toMatchObject({
      epoch: 4,
      permits: [],
      circuit: { kind: "open", openings: 2 },
    });
    const single = expireProbes(grant(probing(), now).state, { now: now + DEADLINE_MS, random: MIDDLE });
    expect(single).toMatchObject({ epoch: 3, permits: [], circuit: { kind: "half-open", lost: 1 } });
  });

  it("count once, and not at all when nobody knows their permit", () => {
    const now = START + 60_000;
    const { state } = grantAll(probing(), now);
    const moment = { now, random: MIDDLE };
    const once = settleProbes(state, [{ permit: 1, outcome: "success" }], moment);
    expect(settleProbes(once, [{ permit: 1, outcome: "success" }], moment)).toBe(once);
    expect(settleProbes(once, [{ permit: 99, outcome: "failure" }], moment)).toBe(once);
  });

  it("of an earlier epoch keep their places, and free them without moving the circuit", () => {
    const now = START + 60_000;
    const { state } = grantAll(probing({ openMs: 1_000, openMaxMs: 1_000 }), now);
    const failed = settleProbes(state, [{ permit: 1, outcome: "failure" }], { now, random: MIDDLE });
    const again = probe(failed, now + 1_000);
    expect(again).toMatchObject({ epoch: 5, circuit: { kind: "half-open" } });
    const { state: full, ids } = grantAll(again, now + 1_000);
    expect(ids).toEqual([4]);
    const late = settleProbes(
      full,
      [
        { permit: 2, outcome: "success" },
        { permit: 3, outcome: "failure" },
      ],
      {
        now: now + 2_000,
        random: MIDDLE,
      },
    );
    expect(late.circuit).toEqual(full.circuit);
    expect(grantAll(late, now + 2_000).ids).toEqual([5, 6]);
  });

  it("have no deadline that is moved when the clock steps back", () => {
    const now = START + 60_000;
    const { state } = grantAll(probing(), now);
    const back = onClock(state, now - 3_600_000);
    expect(back.permits.map(({ endsAt }) => endsAt - back.at)).toEqual([DEADLINE_MS, DEADLINE_MS, DEADLINE_MS]);
  });
});

describe("an operator", () => {
  it.each<[Command, string]>([
    ["open", "forced-open"],
    ["closed", "forced-closed"],
    ["reset", "closed"],
  ])("says %s: the breaker is %s", (asked, kind) => {
    const opened = open(newBreaker(), "failure-ratio", START, MIDDLE);
    const obeyed = command(opened, asked, START + 1);
    expect(obeyed).toMatchObject({ epoch: 3, circuit: { kind, since: START + 1 } });
    expect(obeyed.history.at(-1)).toEqual({
      at: START + 1,
      epoch: 3,
      to: kind,
      cause: asked === "reset" ? "reset" : "operator",
    });
  });

  it("hands back to the breaker what he forced, and nothing else", () => {
    const opened = open(newBreaker(), "failure-ratio", START, MIDDLE);
    expect(command(opened, "auto", START)).toBe(opened);
    const forced = command(opened, "open", START);
    expect(command(forced, "open", START)).toBe(forced);
    expect(command(forced, "auto", START).circuit).toEqual({ kind: "closed", since: START, openings: 0 });
  });

  it("who resets makes the next open time the first again", () => {
    const reset = command(probing(), "reset", START);
    expect(openFor(open(reset, "failure-ratio", START, MIDDLE))).toBe(60_000);
  });
});

const anyStep = fc.record({
  do: fc.constantFrom("open", "probe", "grant", "grant", "grant", "settle", "expire", "force"),
  ms: fc.constantFrom(0, 0, 10, 6_000, 20_000),
  outcome: fc.constantFrom<ProbeOutcome>("success", "failure", "neutral", "none"),
  command: fc.constantFrom<Command>("open", "closed", "auto", "reset"),
  random: fc.double({ min: 0, max: 0.999, noNaN: true }),
});

function run(steps: readonly (typeof anyStep extends fc.Arbitrary<infer Step> ? Step : never)[]) {
  let state = newBreaker({ ...DEFAULT_BREAKER, openMs: 5_000, openMaxMs: 20_000 });
  let now = START;
  const seen = { most: 0, epochs: [state.epoch] };
  for (const step of steps) {
    now += step.ms;
    const moment = { now, random: step.random };
    if (step.do === "open" && state.circuit.kind === "closed") state = open(state, "slow-calls", now, step.random);
    if (step.do === "probe") state = probe(state, now);
    if (step.do === "grant") ({ state } = grant(state, now));
    if (step.do === "settle") {
      state = settleProbes(state, [{ permit: state.lastPermit, outcome: step.outcome }], moment);
    }
    if (step.do === "expire") state = expireProbes(state, moment);
    if (step.do === "force") state = command(state, step.command, now);
    seen.most = Math.max(seen.most, state.permits.length);
    seen.epochs.push(state.epoch);
  }
  return { state, now, seen };
}

describe("whatever happens", () => {
  it("no more permits are out than there are, epochs rise by one with the history, and what is restored is what was saved", () => {
    let most = 0;
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 80 }), (steps) => {
        const { state, seen } = run(steps);
        most = Math.max(most, seen.most);
        expect(seen.most).toBeLessThanOrEqual(3);
        expect(seen.epochs).toEqual([...seen.epochs].sort((a, b) => a - b));
        const last = state.history.map(({ epoch }) => epoch);
        expect(last).toEqual(last.map((_, index) => state.epoch - last.length + 1 + index));
        expect(last.length).toBe(Math.min(HISTORY, state.epoch - 1));
        expect(unpackBreaker(packBreaker(state))).toEqual(state);
      }),
      // Always the same runs: few reach three permits at once.
      { numRuns: 1_000, seed: 1 },
    );
    expect(most).toBe(3);
  });

  it("an open time and the deadline of a probe later it lets someone pass: it is never stuck", () => {
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 60 }), (steps) => {
        const { state, now } = run(steps);
        if (state.circuit.kind === "forced-open") return;
        const later = now + 24_000 + DEADLINE_MS;
        // Permits that are lost may open it once more.
        const expired = expireProbes(state, { now: later, random: MIDDLE });
        const ready = probe(expired, later + 24_000);
        const passes = ready.circuit.kind === "closed" || ready.circuit.kind === "forced-closed";
        expect(passes || grant(ready, later + 24_000).permit !== undefined).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("a stored state", () => {
  it("is short", () => {
    const { state } = grantAll(probing(), START + 60_000);
    expect(packBreaker(state)).toBe(
      '{"e":3,"t":1790000060000,"c":["half-open",1790000060000,1,0,0,0,0],' +
        '"p":[[1,3,1790000071100],[2,3,1790000071100],[3,3,1790000071100]],"n":3,' +
        '"h":[[1790000000000,2,"open","failure-ratio"],[1790000060000,3,"half-open","open-time-over"]],' +
        '"v":1,"y":[5,0.5,20,10000,5000,1,2,3,0,60000,600000,10000,0.2]}',
    );
  });

  it.each([
    ["not JSON", "{"],
    ["a number", "7"],
    ["nothing", "{}"],
    ["an unknown state", packBreaker(newBreaker()).replace('"closed"', '"ajar"')],
    ["a permit that was never given", packBreaker(newBreaker()).replace('"p":[]', '"p":[[1,1,5]]')],
    ["a policy without permits", packBreaker(newBreaker()).replace("1,2,3,0", "1,2,0,0")],
  ])("that is %s is refused", (_what, text) => {
    expect(unpackBreaker(text)).toBeUndefined();
  });

  it.each([
    ["cause", "operator", "deployment"],
    ["state", "half-open", "ramping"],
  ])("keeps what holds where its history tells of a %s of a later version", (_what, ours, theirs) => {
    const forced = command(probing(), "open", START + 61_000);
    const packed = JSON.parse(packBreaker(forced));
    packed.h = JSON.parse(JSON.stringify(packed.h).replace(ours, theirs));
    const history = forced.history.filter(({ to, cause }) => to !== ours && cause !== ours);
    expect(unpackBreaker(JSON.stringify(packed))).toEqual({ ...forced, history });
  });

  it("with members of a later version is read", () => {
    expect(unpackBreaker(packBreaker(newBreaker()).replace("{", '{"later":1,'))).toEqual(newBreaker());
  });
});
