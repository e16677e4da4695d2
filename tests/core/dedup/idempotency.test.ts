import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  DEFAULT_IDEMPOTENCY,
  UNUSED,
  keyDue,
  stepKey,
  type AttemptOutcome,
  type IdempotencyPolicy,
  type KeyAnswer,
  type KeyEvent,
  type KeyState,
} from "../../../objects/dedup/idempotency.ts";

const NOW = 1_000_000;
const DAY = 86_400_000;
const RETRY: IdempotencyPolicy = { ...DEFAULT_IDEMPOTENCY, onUnknown: "retry" };

function ask(fingerprint = "f", run = "run 1"): KeyEvent {
  return { kind: "ask", fingerprint, run };
}

function settle(outcome: AttemptOutcome, attempt = 1): KeyEvent {
  return { kind: "settle", attempt, outcome };
}

interface Timed {
  readonly afterMs: number;
  readonly event: KeyEvent;
}

function after(afterMs: number, event: KeyEvent): Timed {
  return { afterMs, event };
}

/** What the last of several events, each some ms after the one before it, is answered with. */
function answerTo(events: readonly Timed[], policy = DEFAULT_IDEMPOTENCY): KeyAnswer | undefined {
  let state = UNUSED;
  let now = NOW;
  let answer: KeyAnswer | undefined;
  for (const { afterMs, event } of events) {
    now += afterMs;
    ({ state, answer } = stepKey(state, event, policy, now));
  }
  return answer;
}

describe("a request with a key", () => {
  const lost = { kind: "outcome-unknown", isDone: false, until: NOW + DAY } as const;

  it.each<[string, readonly Timed[], KeyAnswer]>([
    ["is sent the first time", [after(0, ask())], { kind: "run", attempt: 1 }],
    ["waits for no one while it is under way", [after(0, ask()), after(34_999, ask())], { kind: "in-flight" }],
    ["is replayed", [after(0, ask()), after(100, settle("stored")), after(100, ask())], { kind: "replay" }],
    [
      "is replayed by an object that has started anew",
      [after(0, ask()), after(100, settle("stored")), after(100, ask("f", "run 2"))],
      { kind: "replay" },
    ],
    [
      "is replayed until the key is over",
      [after(0, ask()), after(0, settle("stored")), after(DAY - 1, ask())],
      { kind: "replay" },
    ],
    [
      "is another one once the key is over",
      [after(0, ask()), after(0, settle("stored")), after(DAY, ask("g"))],
      { kind: "run", attempt: 1 },
    ],
    ["is refused when it is another one, under way", [after(0, ask()), after(1, ask("g"))], { kind: "reused" }],
    [
      "is refused when it is another one, done",
      [after(0, ask()), after(1, settle("stored")), after(1, ask("g"))],
      { kind: "reused" },
    ],
    ["is refused when it is another one, lost", [after(0, ask()), after(1, ask("g", "run 2"))], { kind: "reused" }],
    ["is lost with the object that sent it", [after(0, ask()), after(1, ask("f", "run 2"))], lost],
    ["is lost when nobody tells what came of it", [after(0, ask()), after(35_000, ask())], lost],
    ["is lost when its answer was cut off", [after(0, ask()), after(1, settle("unknown")), after(1, ask())], lost],
    ["stays lost until the key is over", [after(0, ask()), after(1, settle("unknown")), after(DAY - 2, ask())], lost],
    [
      "is sent when the key of a lost one is over",
      [after(0, ask()), after(1, settle("unknown")), after(DAY - 1, ask())],
      { kind: "run", attempt: 1 },
    ],
    [
      "is known to be done where its answer is too large to keep",
      [after(0, ask()), after(1, settle("too-large")), after(1, ask())],
      { ...lost, isDone: true },
    ],
    [
      "is sent again when it was not sent",
      [after(0, ask()), after(1, settle("not-sent")), after(1, ask())],
      { kind: "run", attempt: 1 },
    ],
    [
      "is replayed when what was given up is told after all",
      [after(0, ask()), after(35_000, ask()), after(1, settle("stored")), after(1, ask())],
      { kind: "replay" },
    ],
  ])("%s", (_title, events, expected) => {
    expect(answerTo(events)).toEqual(expected);
  });

  it.each<[string, readonly Timed[], KeyAnswer]>([
    ["is sent again when it is lost", [after(0, ask()), after(1, ask("f", "run 2"))], { kind: "run", attempt: 2 }],
    ["is refused when it is another one", [after(0, ask()), after(1, ask("g", "run 2"))], { kind: "reused" }],
    [
      "waits while it is sent again",
      [after(0, ask()), after(1, ask("f", "run 2")), after(1, ask("f", "run 2"))],
      { kind: "in-flight" },
    ],
    [
      "is not done by what the lost attempt says",
      [after(0, ask()), after(1, ask("f", "run 2")), after(1, settle("stored", 1)), after(1, ask("f", "run 2"))],
      { kind: "in-flight" },
    ],
    [
      "may have been done though the second was not sent",
      [after(0, ask()), after(1, ask("f", "run 2")), after(1, settle("not-sent", 2)), after(1, ask("f", "run 2"))],
      { kind: "run", attempt: 3 },
    ],
    [
      "is not sent again when it is known to be done",
      [after(0, ask()), after(1, settle("too-large")), after(1, ask())],
      { kind: "outcome-unknown", isDone: true, until: NOW + DAY },
    ],
  ])("of a route that says retry %s", (_title, events, expected) => {
    expect(answerTo(events, RETRY)).toEqual(expected);
  });
});

it("is looked at again when nothing is left to remember, and keeps what may be under way", () => {
  const policy = { ...DEFAULT_IDEMPOTENCY, ttlMs: 1_000 };
  const { state } = stepKey(UNUSED, ask(), policy, NOW);
  expect([keyDue(UNUSED), keyDue(state)]).toEqual([Infinity, NOW + 35_000]);
  expect(stepKey(state, ask(), policy, NOW + 34_999).answer).toEqual({ kind: "in-flight" });
  expect(stepKey(state, ask(), policy, NOW + 35_000).answer).toEqual({ kind: "run", attempt: 1 });
  const done = stepKey(state, settle("stored"), policy, NOW + 1).state;
  expect(keyDue(done)).toBe(NOW + 1_000);
});

interface Sent {
  readonly attempt: number;
  readonly fingerprint: string;
  readonly endsAt: number;
  readonly outcome: AttemptOutcome;
  readonly isTold: boolean;
}

describe("whatever happens", () => {
  const action = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ kind: fc.constant("ask" as const), fingerprint: fc.constantFrom("f", "f", "g") }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.constantFrom(10, 500, 20_000, 40_000) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("crash" as const), isHeardOf: fc.boolean() }) },
  );
  const end = fc.record({
    afterMs: fc.constantFrom(0, 100, 30_000),
    outcome: fc.constantFrom<AttemptOutcome>("stored", "too-large", "not-sent", "unknown"),
    isTold: fc.boolean(),
  });

  it("there is one effect for a key and its lifetime, and a replay only of what was stored", () => {
    const scene = [fc.array(action, { maxLength: 40 }), fc.array(end, { minLength: 1, maxLength: 5 })] as const;
    fc.assert(
      fc.property(...scene, (actions, ends) => {
        let state: KeyState = UNUSED;
        let now = NOW;
        let run = 1;
        let under: readonly Sent[] = [];
        const sent: Sent[] = [];
        const tell = () => {
          for (const one of under.filter(({ endsAt }) => endsAt <= now)) {
            if (one.isTold) ({ state } = stepKey(state, settle(one.outcome, one.attempt), DEFAULT_IDEMPOTENCY, now));
          }
          under = under.filter(({ endsAt }) => endsAt > now);
        };
        for (const step of actions) {
          tell();
          if (step.kind === "pass") now += step.ms;
          if (step.kind === "crash") {
            run += 1;
            // Whoever sent it for the object may live on and tell the next one.
            if (!step.isHeardOf) under = [];
          }
          if (step.kind !== "ask") continue;
          const next: { state: KeyState; answer: KeyAnswer } = stepKey(
            state,
            ask(step.fingerprint, `${run}`),
            DEFAULT_IDEMPOTENCY,
            now,
          );
          ({ state } = next);
          if (next.answer.kind === "run") {
            const { afterMs, outcome, isTold } = ends[sent.length % ends.length] ?? {
              afterMs: 0,
              outcome: "stored",
              isTold: true,
            };
            const one = {
              attempt: next.answer.attempt,
              fingerprint: step.fingerprint,
              endsAt: now + afterMs,
              outcome,
              isTold,
            };
            sent.push(one);
            under = [...under, one];
          }
          if (next.answer.kind === "replay")
            expect(sent.at(-1)).toMatchObject({ outcome: "stored", fingerprint: step.fingerprint });
          if (next.answer.kind === "reused") expect(sent.at(-1)?.fingerprint).not.toBe(step.fingerprint);
        }
        // The whole is far shorter than a day.
        expect(sent.filter(({ outcome }) => outcome !== "not-sent").length).toBeLessThanOrEqual(1);
      }),
      { numRuns: 3_000 },
    );
  });
});
