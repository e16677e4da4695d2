import { describe, expect, it, vi } from "vitest";
import type { CallEnd } from "../../objects/circuit-breaker/outcome.ts";
import type { TargetReport } from "../../objects/circuit-breaker/target-messages.ts";
import type { TargetBreaker } from "../../worker/backends/target-breaker.ts";
import { createTargets } from "../../worker/backends/target.ts";
import {
  holdTime,
  LOST,
  newIsolate,
  newTarget,
  OK,
  passed,
  passes,
  replied,
  type Between,
  type BreakerOptions,
  type Isolate,
} from "./breakers.ts";

/** Objects don't judge in their first second. */
const LEARNT_MS = 1_500;
/** By then a closed isolate has reported again. */
const PACE_MS = 4_000;

/** With everything that spreads it. */
const OPEN_MS = 60_100;
const DEADLINE_MS = 150;
const LATE_MS = 400;

const SILENCE: Between = () => new Promise(() => {});
const DEATH: Between = () => Promise.reject(new Error("injected"));
const STRANGE: Between = async () => ({ v: 2, state: "fine" });
const PERMIT = { id: 7, deadlineMs: 11_000 };

holdTime();

/** Another request. */
function ask(isolate: Isolate, breaker: TargetBreaker) {
  return breaker.admit({ ...isolate.caller, notes: {} }, Date.now());
}

function fail(isolate: Isolate, breaker: TargetBreaker, times: number): void {
  for (let call = 0; call < times; call++) isolate.call(breaker, LOST);
}

/** An isolate and its breaker, which have heard of each other's owner. */
async function acquainted(url: string, options?: BreakerOptions, between?: Between) {
  const isolate = newIsolate(between);
  const breaker = isolate.breaker(url, options);
  isolate.call(breaker, OK);
  await isolate.answered();
  return { isolate, breaker };
}

/** The same, which has opened it for the fleet. */
async function opened(url: string, options?: BreakerOptions) {
  const one = await acquainted(url, options);
  await passes(LEARNT_MS);
  fail(one.isolate, one.breaker, 5);
  await one.isolate.answered();
  return one;
}

/** The same, when the open time is over. */
async function probing(url: string, options?: BreakerOptions) {
  const one = await opened(url, options);
  await passes(OPEN_MS);
  return one;
}

/** What an isolate's owner says in turn; the last again and again. */
function saying(...replies: readonly Parameters<typeof replied>[0][]): Between {
  let said = 0;
  return async () => {
    said += 1;
    return replied(replies[Math.min(said, replies.length) - 1]);
  };
}

function answered(status: number, hasRetryAfter = false): CallEnd {
  return { kind: "response", status, hasRetryAfter, durationMs: 5 };
}

function reports({ sent }: Isolate): readonly TargetReport[] {
  return sent.flatMap((one) => (one.method === "report" ? [one.message] : []));
}

describe("an isolate that sees five failures in a row", () => {
  it("refuses at once for a second, whether or not its owner answers", async () => {
    const isolate = newIsolate(SILENCE);
    const breaker = isolate.breaker(newTarget());
    fail(isolate, breaker, 4);
    expect(breaker.isRefusing(Date.now())).toBe(false);
    fail(isolate, breaker, 1);
    expect(breaker.isRefusing(Date.now())).toBe(true);
    expect(ask(isolate, breaker)).toEqual({ kind: "refused", retryAfterMs: 1_000 });
    await passes(1_000);
    expect(passed(ask(isolate, breaker))).toEqual({ epoch: 0, isSettled: false });
  });

  it("opens the breaker for another one, which hears of it though no request comes", async () => {
    const url = newTarget();
    const other = await acquainted(url);
    const { isolate, breaker } = await opened(url);
    expect(breaker.isRefusing(Date.now() + 30_000)).toBe(true);
    expect(other.breaker.isRefusing(Date.now())).toBe(false);
    await passes(PACE_MS);
    await other.isolate.answered();
    expect(other.breaker.isRefusing(Date.now() + 30_000)).toBe(true);
    expect(reports(isolate).map(({ isFailing }) => isFailing)).toEqual([false, true]);
  });

  it("goes on counting when its configuration is loaded anew, and tells the owner of it", async () => {
    const url = newTarget();
    const { isolate, breaker } = await acquainted(url);
    fail(isolate, breaker, 3);
    const policy = { failureThreshold: 4 };
    const later = { ...isolate.caller, configVersion: 2 };
    const reloaded = isolate.breaker(url, { policy });
    reloaded.settle(later, passed(reloaded.admit(later, Date.now())), LOST, Date.now());
    expect(reloaded.isRefusing(Date.now())).toBe(true);
    // A request that outlasts its configuration brings the old one not back.
    expect(ask(isolate, breaker)).toMatchObject({ kind: "refused" });
    await passes(PACE_MS);
    await isolate.answered();
    expect(reports(isolate).at(-1)).toMatchObject({ configVersion: 2, policy });
  });
});

describe("a breaker while it is closed", () => {
  it.each<[string, Between]>([
    ["hangs", SILENCE],
    ["throws", DEATH],
    ["is of another version", STRANGE],
  ])("lets every request pass at once though its owner %s, with a call a second at most", async (_title, between) => {
    const isolate = newIsolate(between);
    const breaker = isolate.breaker(newTarget());
    for (let request = 0; request < 100; request++) {
      isolate.call(breaker, OK);
      await passes(50);
    }
    expect(isolate.sent.length).toBeGreaterThan(2);
    expect(isolate.sent.length).toBeLessThanOrEqual(6);
  });

  it("has it logged once a minute that its owner does not answer", async () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    const isolate = newIsolate(DEATH);
    const url = newTarget();
    const breaker = isolate.breaker(url);
    const began = Date.now();
    for (let second = 0; second < 90; second++) {
      isolate.call(breaker, OK);
      await isolate.answered();
      await passes(1_000);
    }
    const line = (ms: number) => {
      const time = new Date(began + ms).toISOString();
      return { time, level: "warn", message: "breaker not heard of", target: url, error: "injected" };
    };
    const lines = warn.mock.calls.map(([text]) => JSON.parse(String(text)));
    expect(lines).toEqual([line(0), line(60_000)]);
  });

  it("says what it counted when the owner said, though no request comes, and is silent then", async () => {
    const { isolate, breaker } = await acquainted(newTarget(), {}, saying({ reportMs: 2_000 }));
    for (let call = 0; call < 6; call++) isolate.call(breaker, OK);
    await passes(1_999);
    expect(isolate.sent).toHaveLength(1);
    await passes(1);
    await isolate.answered();
    expect(reports(isolate).at(-1)).toMatchObject({ ok: 7, failed: 0 });
    await passes(60_000);
    expect(isolate.sent).toHaveLength(2);
  });

  it("leaves little behind, whatever comes, and nothing for long", async () => {
    const { isolate, breaker } = await acquainted(newTarget(), { policy: { failureThreshold: 1_000 } }, saying({}));
    let most = 0;
    for (let request = 0; request < 600; request++) {
      isolate.call(breaker, request % 3 === 0 ? OK : LOST);
      isolate.call(breaker, OK);
      await passes(50);
      most = Math.max(most, isolate.left());
    }
    // A report, the waker, and one that it came before.
    expect(most).toBeLessThanOrEqual(3);
    expect(isolate.sent.length).toBeGreaterThan(20);
    await passes(5_000);
    expect(isolate.left()).toBe(0);
  });

  it("counts a body that is cut off as a failure beside the success that its head was", async () => {
    const { isolate, breaker } = await acquainted(newTarget(), {}, saying({ reportMs: 2_000 }));
    const attempt = passed(ask(isolate, breaker));
    breaker.settle(isolate.caller, attempt, OK, Date.now());
    breaker.settle(isolate.caller, attempt, { kind: "aborted" }, Date.now());
    breaker.settle(isolate.caller, attempt, { kind: "error", error: "body-cut" }, Date.now());
    await passes(2_000);
    await isolate.answered();
    expect(reports(isolate).at(-1)).toMatchObject({ ok: 2, failed: 1 });
  });

  it("knows since when it is so, where it was not", async () => {
    const url = newTarget();
    const { isolate } = await acquainted(url, {}, saying({ epoch: 1, ageMs: 5_000 }, { epoch: 4, ageMs: 5_000 }));
    expect(isolate.state(url).wellSince).toBe(-Infinity);
    await passes(1_000);
    await isolate.answered();
    expect(isolate.state(url).wellSince).toBe(Date.now() - 5_000);
  });
});

describe("a breaker whose open time is over", () => {
  it("lets one request ask for a permit, and refuses the others meanwhile", async () => {
    const { isolate, breaker } = await probing(newTarget());
    expect(breaker.isRefusing(Date.now())).toBe(false);
    const first = ask(isolate, breaker);
    expect(breaker.isRefusing(Date.now())).toBe(true);
    expect(ask(isolate, breaker)).toEqual({ kind: "refused", retryAfterMs: 1 });
    expect(await first).toEqual({
      kind: "pass",
      attempt: { epoch: 3, probe: { permit: 1, deadlineAt: Date.now() + 11_000 }, isSettled: false },
    });
    expect(ask(isolate, breaker)).toMatchObject({ kind: "refused" });
  });

  it("closes when its probes succeed, one after the other", async () => {
    const { isolate, breaker } = await probing(newTarget());
    for (let probe = 0; probe < 2; probe++) {
      breaker.settle(isolate.caller, passed(await ask(isolate, breaker)), OK, Date.now());
      await isolate.answered();
      await passes(1_000);
    }
    expect(passed(await ask(isolate, breaker))).toEqual({ epoch: 4, isSettled: false });
  });

  it.each<[string, CallEnd, string]>([
    ["an answer", OK, "half-open"],
    ["an answer that says nothing of health", answered(404), "half-open"],
    ["overload", answered(503, true), "half-open"],
    ["the client's leaving", { kind: "aborted" }, "half-open"],
    ["no connection", LOST, "open"],
    ["a timeout", { kind: "error", error: "timeout" }, "open"],
    ["nonsense", { kind: "error", error: "malformed" }, "open"],
    ["a body that is cut off", { kind: "error", error: "body-cut" }, "open"],
    ["a failure", answered(500), "open"],
  ])("has its permit back at once after %s", async (_title, end, circuit) => {
    const policy = { halfOpenPermits: 1 };
    const url = newTarget();
    const { isolate, breaker } = await probing(url, { policy });
    breaker.settle(isolate.caller, passed(await ask(isolate, breaker)), end, Date.now());
    await isolate.answered();
    expect(isolate.state(url).view?.kind).toBe(circuit);
    await passes(circuit === "open" ? 2 * OPEN_MS : 1_000);
    expect(await ask(isolate, breaker)).toMatchObject({ kind: "pass" });
  });

  it.each<[string, Between]>([
    ["hangs", SILENCE],
    ["throws", DEATH],
    ["is of another version", STRANGE],
  ])(
    "costs a request the deadline at most when its owner %s, and is closed two seconds later",
    async (_title, between) => {
      let isBroken = false;
      const isolate = newIsolate((sent, proceed) => (isBroken ? between(sent, proceed) : proceed()));
      const breaker = isolate.breaker(newTarget());
      isolate.call(breaker, OK);
      await isolate.answered();
      await passes(LEARNT_MS);
      fail(isolate, breaker, 5);
      await isolate.answered();
      await passes(OPEN_MS);
      isBroken = true;
      const first = ask(isolate, breaker);
      await passes(DEADLINE_MS);
      expect(await first).toMatchObject({ kind: "refused" });
      await passes(2_000);
      expect(passed(ask(isolate, breaker))).toEqual({ epoch: 2, isSettled: false });
    },
  );

  it("costs a request the deadline once, however many targets it tries whose owners hang", async () => {
    const isolate = newIsolate(async ({ message }) => {
      if ("wantsPermit" in message && message.wantsPermit) await new Promise(() => {});
      return replied({ epoch: 3, circuit: "half-open", reportMs: 100 });
    });
    const breakers = Array.from({ length: 3 }, () => isolate.breaker(newTarget()));
    for (const breaker of breakers) passed(ask(isolate, breaker));
    await isolate.answered();
    await passes(1_000);
    const since = Date.now();
    const tries = (async () => {
      const one = { ...isolate.caller, notes: {} };
      for (const breaker of breakers) expect(await breaker.admit(one, Date.now())).toMatchObject({ kind: "refused" });
      return Date.now() - since;
    })();
    for (let waits = 0; waits < 10; waits++) await passes(DEADLINE_MS / 3);
    expect(await tries).toBe(DEADLINE_MS);
  });

  it("gives a permit that comes too late for its request to the next, and back when there is none", async () => {
    const late: Between = async ({ message }) => {
      const wantsPermit = "wantsPermit" in message && message.wantsPermit;
      if (wantsPermit) await new Promise((resolve) => void setTimeout(resolve, LATE_MS));
      return replied({ epoch: 3, circuit: "half-open", reportMs: 200, permit: wantsPermit ? PERMIT : null });
    };
    const { isolate, breaker } = await acquainted(newTarget(), {}, late);
    for (const isUsed of [true, false]) {
      await passes(1_000);
      const first = ask(isolate, breaker);
      await isolate.said();
      await passes(DEADLINE_MS);
      expect(await first).toMatchObject({ kind: "refused" });
      await passes(LATE_MS - DEADLINE_MS);
      await isolate.answered();
      if (isUsed) {
        const attempt = passed(ask(isolate, breaker));
        expect(attempt.probe).toEqual({ permit: 7, deadlineAt: Date.now() - LATE_MS + 11_000 });
        breaker.settle(isolate.caller, attempt, OK, Date.now());
      }
      await passes(1_000);
      await isolate.answered();
      expect(reports(isolate).at(-1)?.probes).toEqual([{ permit: 7, outcome: isUsed ? "success" : "none" }]);
    }
  });
});

describe("a breaker in shadow mode", () => {
  const shadow = { shadow: true };

  it("counts, opens for the fleet and notes it, and refuses nothing", async () => {
    const url = newTarget();
    const { isolate, breaker } = await opened(url, shadow);
    expect(isolate.state(url).view?.kind).toBe("open");
    expect(isolate.caller.notes).toEqual({});
    expect(breaker.isRefusing(Date.now())).toBe(false);
    expect(passed(ask(isolate, breaker))).toEqual({ epoch: 2, isSettled: false });
    isolate.call(breaker, LOST);
    expect(isolate.caller.notes).toEqual({ shadowed: ["circuit-breaker"] });
  });

  it("counts a call as failed that it would have ended", async () => {
    const url = newTarget();
    const { isolate, breaker } = await acquainted(url, shadow);
    const overlong: CallEnd = { kind: "response", status: 200, hasRetryAfter: false, durationMs: 10_001 };
    for (let call = 0; call < 3; call++) isolate.call(breaker, overlong);
    expect(isolate.state(url).view).toMatchObject({ trailing: 3 });
  });

  it("probes with requests that neither wait for it nor know of it, and closes", async () => {
    const url = newTarget();
    const { isolate, breaker } = await probing(url, shadow);
    for (let request = 0; request < 10; request++) {
      const attempt = passed(ask(isolate, breaker));
      expect(attempt).toEqual({ epoch: expect.any(Number), isSettled: false });
      await isolate.answered();
      breaker.settle(isolate.caller, attempt, OK, Date.now());
      await isolate.answered();
      await passes(500);
    }
    expect(isolate.state(url).view?.kind).toBe("closed");
  });
});

describe("what an isolate knows of targets", () => {
  const backend = (url: string) => [{ targets: [{ url }] }];

  it("is one for each, stays when configurations come and go, and goes with the last backend that has it", () => {
    const known = createTargets({ isolate: "isolate", seq: 0, phase: 0 });
    const [kept, dropped] = [known.state("http://a"), known.state("http://b")];
    known.retain(backend("http://a"));
    expect(known.state("http://a")).toBe(kept);
    expect(known.state("http://b")).not.toBe(dropped);
  });
});
