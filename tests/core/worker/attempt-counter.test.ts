import fc from "fast-check";
import { expect, it } from "vitest";
import { parseConfig } from "../../../schemas/index.ts";
import {
  banTerms,
  countAttempt,
  dueAt,
  isUrgent,
  newCounter,
  nextReport,
  reportAnswered,
  type BanTerms,
} from "../../../worker/limits/bans/attempt-counter.ts";
import { newTracker, nextReports, reportsAnswered, trackAttempt } from "../../../worker/limits/bans/attempt-tracker.ts";

const START = 1_795_000_000_000;
const TERMS: BanTerms = {
  policy: "limit",
  tokensPerWindow: 40,
  windowMs: 60_000,
  ban: { factor: 5, durationsMs: [1_000], rememberMs: 1_000 },
};

it("tells every attempt once, none younger than it was and none older by a part of the window", () => {
  const step = fc.record({ gap: fc.nat({ max: 1_500 }), looks: fc.boolean(), sends: fc.nat({ max: 9 }) });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 80 }), (steps) => {
      const counter = newCounter(TERMS, "a");
      const made: number[] = [];
      const told: number[] = [];
      let now = START;
      const send = () => {
        const report = nextReport(counter, now);
        for (const { ageMs, count } of report?.counts ?? []) {
          for (let one = 0; one < count; one += 1) told.push((report?.sentAt ?? 0) - ageMs);
        }
        if (report !== undefined) reportAnswered(counter, report.seq, { attempts: 0, isolates: 1 });
      };
      for (const { gap, looks, sends } of steps) {
        now += gap;
        countAttempt(counter, 1, now);
        made.push(now);
        // A look at what is due must not change what is told.
        if (looks) dueAt(counter, now);
        if (sends === 0) send();
      }
      send();
      expect(told).toHaveLength(made.length);
      for (const [index, time] of made.entries()) {
        const late = time - (told[index] ?? Infinity);
        expect(late).toBeGreaterThanOrEqual(0);
        expect(late).toBeLessThan(1_000);
      }
    }),
    { numRuns: 1_000 },
  );
});

it("is urgent exactly when the report would be due at once", () => {
  const counter = newCounter(TERMS, "a");
  for (let attempts = 1; attempts <= 49; attempts += 1) {
    countAttempt(counter, 1, START + attempts);
    expect([isUrgent(counter, START + attempts), dueAt(counter, START + attempts)]).toEqual([false, START + 1 + 1_000]);
  }
  countAttempt(counter, 1, START + 50);
  expect([isUrgent(counter, START + 50), dueAt(counter, START + 50)]).toEqual([true, START + 50]);
});

it("sends what was not answered in a second again as it was, for 5 s", () => {
  const counter = newCounter(TERMS, "a");
  countAttempt(counter, 3, START);
  const report = nextReport(counter, START + 1_000);
  countAttempt(counter, 1, START + 1_500);
  expect(nextReport(counter, START + 1_999)).toBeUndefined();
  expect(dueAt(counter, START + 1_999)).toBe(START + 2_000);
  expect(nextReport(counter, START + 2_000)).toEqual(report);
  expect(nextReport(counter, START + 6_000)).toEqual({
    isolate: "a",
    seq: 2,
    sentAt: START + 6_000,
    counts: [{ ageMs: 4_500, count: 1 }],
  });
});

it("counts an attempt by its cost, at most a tenth of the limit", () => {
  const counter = newCounter(TERMS, "a");
  countAttempt(counter, 0, START);
  expect(nextReport(counter, START)).toBeUndefined();
  for (const cost of [1, 4, 1_000]) countAttempt(counter, cost, START);
  expect(nextReport(counter, START)?.counts).toEqual([{ ageMs: 0, count: 9 }]);
});

it.each([
  { title: "bans", limit: { ban: true }, tokens: 40 },
  { title: "counts in units", limit: { ban: true, cost: 0.5 }, tokens: 40_000 },
  { title: "has no ban", limit: {}, tokens: undefined },
  { title: "is a shadow", limit: { ban: true, shadow: true }, tokens: undefined },
])("reports under a limit that $title: $tokens", ({ limit, tokens }) => {
  const rateLimit = { requestsPerWindow: 40, window: "1m", ...limit };
  const parsed = parseConfig({ routes: [{ id: "r", prefix: "/", target: "https://origin.example", rateLimit }] });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  expect(parsed.config.routes[0]?.rateLimits.map((one) => banTerms(one)?.tokensPerWindow)).toEqual([tokens]);
});

it("has one request at a time watch over the reports, however dense they are", () => {
  const tracker = newTracker([TERMS], "a");
  const isolate = (attempts: number, ms: number) => {
    const duties = Array.from({ length: attempts }, () => trackAttempt(tracker, [1], true, START + ms));
    const items = nextReports(tracker, START + ms);
    reportsAnswered(tracker, items, { v: 1, items: [{ policy: "limit", attempts: 150, isolates: 1 }] });
    return duties.filter((duty) => duty !== undefined);
  };
  expect(isolate(20, 0)).toEqual(["watch"]);
  expect(isolate(20, 20)).toEqual([]);
  expect(isolate(12, 100)).toEqual([]);
  expect(isolate(13, 200)).toEqual(["one"]);
  expect(isolate(1, 20_000)).toEqual(["watch"]);
});
