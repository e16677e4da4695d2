import { describe, expect, it } from "vitest";
import type { RolloutReply } from "../../../objects/rollout/rollout-messages.ts";
import {
  beginTrial,
  dueRollout,
  endTrial,
  newRolloutView,
  reconfigureRollout,
  rolloutFailed,
  rolloutHeard,
} from "../../../objects/rollout/rollout-view.ts";
import { NOTHING, report, seen, TERMS } from "./fixtures.ts";

describe("an isolate", () => {
  const reply: RolloutReply = {
    v: 1,
    epoch: 3,
    release: "r1",
    promoted: null,
    aborted: ["canary"],
    reportMs: 2_000,
    isolates: 4,
  };

  function informed() {
    const view = newRolloutView({ isolate: "a", seq: 0 }, TERMS);
    beginTrial(view, 1, 0);
    expect(dueRollout(view, 0)?.seq).toBe(1);
    rolloutHeard(view, 1, reply, 10);
    return view;
  }

  it("asks with its first request, and counts what comes after the answer", () => {
    const view = newRolloutView({ isolate: "a", seq: 0 }, TERMS);
    expect([dueRollout(view, 0), beginTrial(view, 1, 0)]).toEqual([undefined, undefined]);
    expect(dueRollout(view, 0)).toEqual(report({ epoch: 0 }));
    rolloutHeard(view, 1, reply, 10);
    const trial = beginTrial(view, 0, 0);
    expect([trial, view.aborted]).toEqual([{ epoch: 3, slot: 0 }, ["canary"]]);
  });

  it("reports when it is due, requests alone or none counted", () => {
    const view = informed();
    for (const end of [{ kind: "error" }, { kind: "answer", ms: 3 }] as const) {
      const trial = beginTrial(view, 0, 0);
      if (trial !== undefined) endTrial(view, trial, end);
    }
    expect(dueRollout(view, 2_009)).toBeUndefined();
    expect(dueRollout(view, 2_010)).toEqual(
      report({
        seq: 2,
        epoch: 3,
        isolates: 4,
        counts: seen([2, 1, 7, 1], [0, 0]),
      }),
    );
    rolloutHeard(view, 2, reply, 2_020);
    expect(dueRollout(view, 10_000)).toBeUndefined();
    beginTrial(view, undefined, 0);
    expect(dueRollout(view, 10_000)?.counts).toEqual(NOTHING);
  });

  it("counts nothing that began in another epoch", () => {
    const view = informed();
    const [early, other] = [beginTrial(view, 0, 0), beginTrial(view, 0, 0)];
    if (early !== undefined) endTrial(view, early, { kind: "error" });
    dueRollout(view, 5_000);
    rolloutHeard(view, 2, { ...reply, epoch: 4 }, 5_010);
    if (other !== undefined) endTrial(view, other, { kind: "error" });
    beginTrial(view, 0, 0);
    expect(dueRollout(view, 10_000)?.counts).toEqual(NOTHING);
  });

  it("keeps what it was told when its owner doesn't answer, and asks again at its pace", () => {
    const view = informed();
    beginTrial(view, 0, 0);
    expect(dueRollout(view, 5_000)?.seq).toBe(2);
    rolloutFailed(view, 2, 5_500);
    beginTrial(view, 0, 0);
    expect([dueRollout(view, 7_499), dueRollout(view, 7_500)?.seq, view.aborted]).toEqual([undefined, 3, ["canary"]]);
  });

  it("takes a message for lost after a second, and no reply to it", () => {
    const view = informed();
    beginTrial(view, 0, 0);
    dueRollout(view, 5_000);
    beginTrial(view, 0, 0);
    expect([dueRollout(view, 5_999), dueRollout(view, 6_000)?.seq]).toEqual([undefined, 3]);
    rolloutHeard(view, 2, { ...reply, epoch: 9 }, 6_001);
    expect(view.epoch).toBe(3);
  });

  it("gives each variant its share while its configuration is another one than its owner's", () => {
    const view = newRolloutView({ isolate: "a", seq: 0 }, TERMS);
    beginTrial(view, 1, 0);
    dueRollout(view, 0);
    rolloutHeard(view, 1, { ...reply, release: "r2" }, 10);
    expect([view.epoch, view.aborted]).toEqual([0, []]);
  });

  it("begins anew with another release, and not with an older configuration or other percentages", () => {
    const view = informed();
    reconfigureRollout(view, { ...TERMS, configVersion: 6, release: "r0" });
    reconfigureRollout(view, { ...TERMS, configVersion: 8 });
    expect([view.epoch, view.aborted, view.terms.configVersion]).toEqual([3, ["canary"], 8]);
    reconfigureRollout(view, { ...TERMS, configVersion: 9, release: "r2" });
    expect([view.epoch, view.aborted, view.terms.release]).toEqual([0, [], "r2"]);
    beginTrial(view, 1, 0);
    expect(dueRollout(view, 20)?.epoch).toBe(0);
  });

  it("reports when its clock has stepped back", () => {
    const view = informed();
    beginTrial(view, 0, 0);
    expect(dueRollout(view, -3_600_000)?.seq).toBe(2);
  });
});
