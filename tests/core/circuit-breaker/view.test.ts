import { describe, expect, it } from "vitest";
import { admit, isRefusing, settle, type Attempt } from "../../../objects/circuit-breaker/breaker-admission.ts";
import type { BreakerReply, BreakerReport } from "../../../objects/circuit-breaker/breaker-messages.ts";
import { DEFAULT_BREAKER, type BreakerPolicy } from "../../../objects/circuit-breaker/breaker-policy.ts";
import { dueReport, failed, heard, nextReportAt, wakeAt } from "../../../objects/circuit-breaker/breaker-reporting.ts";
import { newView, reconfigure, type BreakerView } from "../../../objects/circuit-breaker/breaker-view.ts";
import type { Outcome } from "../../../objects/circuit-breaker/outcome.ts";
import { reply } from "./fixtures.ts";

const NOW = 5_000_000;

function newIsolate(policy: Partial<BreakerPolicy> = {}): BreakerView {
  const reporter = { isolate: "a", seq: 0 };
  return newView({ policy: { ...DEFAULT_BREAKER, ...policy }, configVersion: 1, reporter, phase: 0.5 }, NOW);
}

/** An isolate that has just heard this of its owner. */
function told(changes: Partial<BreakerReply> = {}, policy: Partial<BreakerPolicy> = {}): BreakerView {
  const view = newIsolate(policy);
  answered(view, dueReport(view, NOW), changes);
  return view;
}

function answered(view: BreakerView, message: BreakerReport | undefined, changes: Partial<BreakerReply>, now = NOW) {
  if (message === undefined) throw new Error("there is nothing to answer");
  heard(view, message.seq, reply(changes), now);
}

function passed(view: BreakerView, now: number): Attempt {
  const admission = admit(view, now);
  if (admission.kind !== "pass") throw new Error(`got ${admission.kind}, wanted pass`);
  return admission.attempt;
}

function asked(view: BreakerView, now: number): BreakerReport {
  const admission = admit(view, now);
  if (admission.kind !== "ask") throw new Error(`got ${admission.kind}, wanted ask`);
  return admission.message;
}

function calls(view: BreakerView, outcome: Outcome, count: number, now: number): void {
  for (let call = 0; call < count; call++) settle(view, passed(view, now), outcome, now);
}

describe("an isolate that has heard nothing", () => {
  it("lets requests pass and says so at once", () => {
    const view = newIsolate();
    expect(passed(view, NOW)).toEqual({ epoch: 0, isSettled: false });
    expect(dueReport(view, NOW)).toMatchObject({ epoch: 0, ok: 0, failed: 0, isFailing: false, wantsPermit: false });
    expect(dueReport(view, NOW)).toBeUndefined();
  });

  it("keeps what it saw until then where the epoch is older than itself, and forgets it where it isn't", () => {
    for (const [ageMs, expected] of [
      [1_000, "refused"],
      [1, "pass"],
    ] as const) {
      const view = newIsolate();
      const hello = dueReport(view, NOW);
      calls(view, "failure", 4, NOW);
      const late = passed(view, NOW);
      answered(view, hello, { ageMs }, NOW + 10);
      settle(view, late, "failure", NOW + 20);
      expect(admit(view, NOW + 20).kind).toBe(expected);
    }
  });
});

describe("closed", () => {
  it("after five failures in a row it refuses by itself for a second, and votes", () => {
    const view = told();
    calls(view, "failure", 4, NOW + 100);
    expect(passed(view, NOW + 100)).toMatchObject({ epoch: 1 });
    calls(view, "failure", 1, NOW + 100);
    expect(admit(view, NOW + 101)).toEqual({ kind: "refused", retryAfterMs: 999 });
    expect(dueReport(view, NOW + 101)).toMatchObject({ failed: 5, isFailing: true });
    expect(passed(view, NOW + 1_100)).toMatchObject({ epoch: 1 });
  });

  it("refuses longer where its owner can't judge yet, and votes again then", () => {
    const view = told();
    calls(view, "failure", 5, NOW + 100);
    const vote = dueReport(view, NOW + 101);
    answered(view, vote, { reportMs: 1_000, remainingMs: 1_250 }, NOW + 130);
    expect(admit(view, NOW + 131)).toEqual({ kind: "refused", retryAfterMs: 1_249 });
    expect(wakeAt(view, NOW + 131)).toBe(NOW + 1_130);
    const again = dueReport(view, NOW + 1_130);
    expect(again).toMatchObject({ isFailing: true });
    answered(view, again, { reportMs: 500 }, NOW + 1_150);
    expect(passed(view, NOW + 1_380)).toMatchObject({ epoch: 1 });
  });

  it("goes on passing requests where another is told to refuse longer", () => {
    const view = told({ remainingMs: 1_250 });
    expect(passed(view, NOW + 1)).toMatchObject({ epoch: 1 });
  });

  it("does not where a success comes between, nor where less than half of its last thirty calls failed", () => {
    const view = told();
    for (let round = 0; round < 4; round++) {
      calls(view, "failure", 4, NOW);
      calls(view, "success", 1, NOW);
    }
    expect(admit(view, NOW).kind).toBe("pass");
    const busy = told();
    calls(busy, "success", 25, NOW);
    calls(busy, "failure", 14, NOW);
    expect(admit(busy, NOW).kind).toBe("pass");
    calls(busy, "failure", 1, NOW);
    expect(admit(busy, NOW).kind).toBe("refused");
  });

  it("counts no failure that is an idle window old", () => {
    const view = told();
    calls(view, "failure", 4, NOW);
    calls(view, "failure", 4, NOW + 10_000);
    expect(admit(view, NOW + 10_000).kind).toBe("pass");
    expect(dueReport(view, NOW + 10_000)).toMatchObject({ failed: 4 });
  });

  it.each<Outcome>(["neutral", "overload", "none"])("counts no %s outcome", (outcome) => {
    const view = told();
    calls(view, outcome, 100, NOW);
    expect(dueReport(view, NOW + 1_000)).toMatchObject({ ok: 0, failed: 0, isFailing: false });
    expect(admit(view, NOW + 1_000).kind).toBe("pass");
  });

  it("counts an attempt once", () => {
    const view = told();
    const attempt = passed(view, NOW);
    settle(view, attempt, "failure", NOW);
    settle(view, attempt, "success", NOW);
    expect(dueReport(view, NOW + 1_000)).toMatchObject({ ok: 0, failed: 1 });
  });

  it("reports in batches, when its owner said, and not at all without news", () => {
    const view = told({ reportMs: 2_000 });
    expect(nextReportAt(view, NOW + 10_000)).toBe(Infinity);
    calls(view, "success", 7, NOW + 100);
    calls(view, "slow", 2, NOW + 100);
    expect(nextReportAt(view, NOW + 100)).toBe(NOW + 2_000);
    expect(dueReport(view, NOW + 1_999)).toBeUndefined();
    expect(dueReport(view, NOW + 2_000)).toMatchObject({ ok: 9, failed: 0, slow: 2, epoch: 1 });
  });

  it("looks after a silence in the shade of its first request, however long that takes", () => {
    const view = told();
    expect(dueReport(view, NOW + 60_000)).toBeUndefined();
    passed(view, NOW + 60_000);
    answered(view, dueReport(view, NOW + 60_000), { epoch: 2, circuit: "open", remainingMs: 5_000 }, NOW + 60_050);
    expect(admit(view, NOW + 60_050)).toEqual({ kind: "refused", retryAfterMs: 5_000 });
  });

  it("tells trouble that comes while a report is under way as soon as that is answered", () => {
    const view = told();
    calls(view, "success", 1, NOW);
    const regular = dueReport(view, NOW + 1_000);
    calls(view, "failure", 5, NOW + 1_000);
    answered(view, regular, { reportMs: 10_000 }, NOW + 1_100);
    expect(dueReport(view, NOW + 1_100)).toMatchObject({ isFailing: true, failed: 5 });
  });

  it("needs no owner: with none it goes on, and opens longer each time that nothing succeeds", () => {
    const view = newIsolate();
    const hello = dueReport(view, NOW);
    failed(view, hello?.seq ?? 0, NOW);
    view.epoch = 1;
    const waits: number[] = [];
    let now = NOW;
    for (let round = 0; round < 7; round++) {
      calls(view, "failure", 5, now);
      const admission = admit(view, now);
      const waitMs = admission.kind === "refused" ? admission.retryAfterMs : 0;
      waits.push(waitMs);
      now += waitMs;
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    calls(view, "success", 1, now);
    calls(view, "failure", 5, now);
    expect(admit(view, now)).toEqual({ kind: "refused", retryAfterMs: 1_000 });
  });
});

describe("open", () => {
  const OPEN = { circuit: "open", epoch: 2, remainingMs: 60_000, reportMs: 2_000 } as const;

  it("refuses until the time that it was told, and looks in between in the shade of a request", () => {
    const view = told(OPEN);
    expect(admit(view, NOW + 1_999)).toEqual({ kind: "refused", retryAfterMs: 58_001 });
    expect(dueReport(view, NOW + 1_999)).toBeUndefined();
    expect(dueReport(view, NOW + 2_000)).toMatchObject({ epoch: 2, wantsPermit: false });
  });

  it("counts nothing that began while it was closed", () => {
    const view = told();
    const attempt = passed(view, NOW);
    calls(view, "success", 1, NOW);
    answered(view, dueReport(view, NOW + 1_000), OPEN, NOW + 1_000);
    settle(view, attempt, "failure", NOW + 1_000);
    expect(dueReport(view, NOW + 3_000)).toMatchObject({ ok: 0, failed: 0 });
  });

  it("lets one request ask for a permit when the time is over, and refuses the others meanwhile", () => {
    const view = told(OPEN);
    expect(asked(view, NOW + 60_000)).toMatchObject({ wantsPermit: true, epoch: 2 });
    expect(admit(view, NOW + 60_000).kind).toBe("refused");
  });

  it("keeps to it for a second more when its owner is gone, then is closed", () => {
    const view = told(OPEN);
    const { seq } = asked(view, NOW + 60_000);
    failed(view, seq, NOW + 60_150);
    expect(admit(view, NOW + 60_151)).toEqual({ kind: "refused", retryAfterMs: 299 });
    failed(view, asked(view, NOW + 60_450).seq, NOW + 60_600);
    failed(view, asked(view, NOW + 60_900).seq, NOW + 61_050);
    expect(admit(view, NOW + 61_149).kind).toBe("refused");
    expect(admit(view, NOW + 61_150).kind).toBe("pass");
  });

  it("believes no owner that is behind what it knows", () => {
    const view = told(OPEN);
    answered(view, dueReport(view, NOW + 2_000), { epoch: 1, circuit: "closed" }, NOW + 2_000);
    expect(admit(view, NOW + 2_000).kind).toBe("refused");
  });

  it("asks anew when its clock steps back by an hour", () => {
    const view = told(OPEN);
    expect(isRefusing(view, NOW - 3_600_000)).toBe(false);
    expect(admit(view, NOW - 3_600_000).kind).toBe("ask");
  });
});

describe("half-open", () => {
  const PROBING = { circuit: "half-open", epoch: 3, reportMs: 400 } as const;
  const permit = { id: 7, deadlineMs: 11_000 };

  /** An isolate that asked at `NOW` and heard at `NOW + 50` that it may probe. */
  function permitted(policy: Partial<BreakerPolicy> = {}): BreakerView {
    const view = told({ ...PROBING, reportMs: 0 }, policy);
    answered(view, asked(view, NOW), { ...PROBING, permit }, NOW + 50);
    return view;
  }

  it("sends one request under a permit, which is over 11 s after it was asked for, and refuses the others", () => {
    const view = permitted();
    expect(passed(view, NOW + 50)).toEqual({
      epoch: 3,
      probe: { permit: 7, deadlineAt: NOW + 11_000 },
      isSettled: false,
    });
    expect(admit(view, NOW + 50)).toEqual({ kind: "refused", retryAfterMs: 400 });
    expect(admit(view, NOW + 450).kind).toBe("ask");
  });

  it.each<[Outcome, Partial<BreakerPolicy>, string]>([
    ["success", {}, "success"],
    ["slow", {}, "success"],
    ["slow", { slowCallRate: 0.5 }, "failure"],
    ["failure", {}, "failure"],
    ["neutral", {}, "neutral"],
    ["overload", {}, "none"],
    ["none", {}, "none"],
  ])("reports a probe that was a %s with %o as %s, at once and until it is heard", (outcome, policy, said) => {
    const view = permitted(policy);
    settle(view, passed(view, NOW + 50), outcome, NOW + 100);
    const first = dueReport(view, NOW + 100);
    expect(first?.probes).toEqual([{ permit: 7, outcome: said }]);
    failed(view, first?.seq ?? 0, NOW + 1_100);
    const second = dueReport(view, NOW + 1_400);
    expect(second?.probes).toEqual([{ permit: 7, outcome: said }]);
    answered(view, second, PROBING, NOW + 1_400);
    expect(dueReport(view, NOW + 1_400)).toBeUndefined();
  });

  it.each([
    ["that no request used within a second", permitted, NOW + 1_000],
    [
      "that came too late",
      () => {
        const view = told({ ...PROBING, reportMs: 0 });
        const { seq } = asked(view, NOW);
        failed(view, seq, NOW + 150);
        heard(view, seq, reply({ ...PROBING, permit }), NOW + 200);
        return view;
      },
      NOW + 450,
    ],
  ])("gives a permit back %s", (_title, make, now) => {
    expect(dueReport(make(), now)?.probes).toEqual([{ permit: 7, outcome: "none" }]);
  });

  it("starts no probe before its permit's time, when the clock stepped back", () => {
    const view = permitted();
    expect(admit(view, NOW - 100).kind).not.toBe("pass");
  });
});

describe("forced", () => {
  it("open refuses while its owner answers, closed passes whatever it sees", () => {
    const open = told({ circuit: "forced-open", epoch: 2, reportMs: 2_000 });
    expect(admit(open, NOW + 1_000_000).kind).toBe("refused");
    const closed = told({ circuit: "forced-closed", epoch: 2 });
    calls(closed, "failure", 100, NOW);
    expect(admit(closed, NOW).kind).toBe("pass");
  });

  it("open is over when its owner is gone", () => {
    const view = told({ circuit: "forced-open", epoch: 2, reportMs: 2_000 });
    failed(view, dueReport(view, NOW + 2_000)?.seq ?? 0, NOW + 3_000);
    expect(admit(view, NOW + 3_999).kind).toBe("refused");
    expect(admit(view, NOW + 4_000).kind).toBe("pass");
  });
});

describe("whether it would refuse", () => {
  const OPEN = { circuit: "open", epoch: 2, remainingMs: 60_000, reportMs: 2_000 } as const;
  const PROBING = { circuit: "half-open", epoch: 3, reportMs: 400 } as const;

  function failing(): BreakerView {
    const view = told();
    calls(view, "failure", 5, NOW);
    return view;
  }

  function asking(): BreakerView {
    const view = told(OPEN);
    asked(view, NOW + 60_000);
    return view;
  }

  function permitted(): BreakerView {
    const view = told({ ...PROBING, reportMs: 0 });
    answered(view, asked(view, NOW), { ...PROBING, permit: { id: 7, deadlineMs: 11_000 } }, NOW);
    return view;
  }

  function left(changes: Partial<BreakerReply>): BreakerView {
    const view = told(changes);
    failed(view, dueReport(view, NOW + 2_000)?.seq ?? 0, NOW + 3_000);
    return view;
  }

  it.each<[string, () => BreakerView, number, boolean]>([
    ["closed", () => told(), NOW, false],
    ["opened by itself", failing, NOW + 999, true],
    ["no more so", failing, NOW + 1_000, false],
    ["open", () => told(OPEN), NOW + 59_999, true],
    ["open, its time over", () => told(OPEN), NOW + 60_000, false],
    ["open, while another asks", asking, NOW + 60_000, true],
    ["half-open, just heard", () => told(PROBING), NOW + 399, true],
    ["half-open, when it may ask again", () => told(PROBING), NOW + 400, false],
    ["half-open with a permit", permitted, NOW + 100, false],
    ["half-open with a permit that is too old, when it may ask", permitted, NOW + 1_000, false],
    ["forced open", () => told({ circuit: "forced-open", epoch: 2 }), NOW + 1_000_000, true],
    [
      "forced open, its owner gone",
      () => left({ circuit: "forced-open", epoch: 2, reportMs: 2_000 }),
      NOW + 4_000,
      false,
    ],
    ["forced closed", () => told({ circuit: "forced-closed", epoch: 2 }), NOW, false],
  ])("is told as it would be decided, and without a change: %s", (_title, make, now, expected) => {
    const view = make();
    const before = structuredClone(view);
    expect(isRefusing(view, now)).toBe(expected);
    expect(view).toEqual(before);
    expect(admit(view, now).kind === "refused").toBe(expected);
  });
});

describe("though no request comes", () => {
  it("it wakes for outcomes when the next report is due, and for a suspicion before", () => {
    const view = told({ reportMs: 5_000, urgentMs: 100 });
    expect(wakeAt(view, NOW)).toBe(Infinity);
    passed(view, NOW);
    expect(wakeAt(view, NOW)).toBe(Infinity);
    calls(view, "success", 1, NOW);
    expect(wakeAt(view, NOW)).toBe(NOW + 5_000);
    calls(view, "failure", 5, NOW);
    expect(wakeAt(view, NOW)).toBe(NOW + 50);
  });

  it("it wakes for a permit that nobody uses and for a probe that is not heard of, and never to see whether it is still open", () => {
    const view = told({ circuit: "half-open", epoch: 3, reportMs: 0 });
    const permit = { id: 7, deadlineMs: 11_000 };
    answered(view, asked(view, NOW), { circuit: "half-open", epoch: 3, reportMs: 400, permit }, NOW);
    expect(wakeAt(view, NOW)).toBe(NOW + 1_000);
    settle(view, passed(view, NOW), "success", NOW);
    const { seq } = dueReport(view, NOW) ?? { seq: 0 };
    expect(wakeAt(view, NOW)).toBe(Infinity);
    failed(view, seq, NOW);
    expect(wakeAt(view, NOW)).toBe(NOW + 300);
    expect(wakeAt(told({ circuit: "open", epoch: 2, remainingMs: 60_000 }), NOW)).toBe(Infinity);
  });
});

describe("a configuration that is loaded anew", () => {
  it("changes how it judges and nothing that it knows; an older one changes nothing", () => {
    const view = told();
    calls(view, "failure", 3, NOW);
    const policy = { ...DEFAULT_BREAKER, failureThreshold: 4 };
    reconfigure(view, policy, 2);
    reconfigure(view, DEFAULT_BREAKER, 1);
    calls(view, "failure", 1, NOW);
    expect(admit(view, NOW).kind).toBe("refused");
    expect(dueReport(view, NOW + 1)).toMatchObject({ configVersion: 2, policy, failed: 4, isFailing: true });
  });

  it("follows one without a version, which somebody wrote by hand", () => {
    const view = told();
    const policy = { ...DEFAULT_BREAKER, failureThreshold: 4 };
    reconfigure(view, policy, 0);
    calls(view, "success", 1, NOW);
    expect(dueReport(view, NOW + 1_000)).toMatchObject({ configVersion: 0, policy });
  });

  it("with another window forgets what was counted in parts of the old one", () => {
    const view = told();
    calls(view, "success", 3, NOW);
    reconfigure(view, { ...DEFAULT_BREAKER, windowMs: 20_000 }, 2);
    calls(view, "success", 1, NOW);
    expect(dueReport(view, NOW + 1_000)).toMatchObject({ ok: 1, failed: 0 });
  });
});
