import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { failed, newReporter, note, reportAt, takeReport, told } from "../../../objects/rate-limiter/bans/report.ts";
import { RUNS, START } from "./arbitraries.ts";

const RULE = { tokensPerWindow: 100, windowMs: 60_000 };

describe("when to report", () => {
  it.each([
    { title: "a quarter of the factor, alone", count: 125, seen: 0, isolates: 1, at: START },
    { title: "less than a quarter, alone", count: 124, seen: 0, isolates: 1, at: START + 1_000 },
    { title: "a quarter of a tenth, being one of ten", count: 13, seen: 0, isolates: 10, at: START },
    { title: "less than that", count: 12, seen: 0, isolates: 10, at: START + 1_000 },
    { title: "a quarter of what is left", count: 25, seen: 400, isolates: 1, at: START },
    { title: "one attempt beyond the factor", count: 1, seen: 700, isolates: 1, at: START },
  ])("$title: in $at", ({ count, seen, isolates, at }) => {
    const reporter = { ...newReporter("a"), seen, isolates };
    expect(reportAt(note(reporter, RULE, count, START), RULE, START)).toBe(at);
  });

  it("is 1 s after the first attempt that is unreported, however many follow", () => {
    let reporter = note(newReporter("a"), RULE, 1, START);
    for (let ms = 100; ms < 1_000; ms += 100) reporter = note(reporter, RULE, 1, START + ms);
    expect(reportAt(reporter, RULE, START + 999)).toBe(START + 1_000);
  });

  it.each([
    { isolates: 1, seen: 499, at: START + 50 },
    { isolates: 10, seen: 499, at: START + 500 },
    { isolates: 64, seen: 499, at: START + 1_010 },
    { isolates: 10, seen: 0, at: START + 1_010 },
  ])("is $at after a report at START, of $isolates isolates that have seen $seen", ({ isolates, seen, at }) => {
    const sent = takeReport(note(newReporter("a"), RULE, 1, START), START);
    const answered = told(sent.reporter, 1, { attempts: seen, isolates });
    expect(reportAt(note(answered, RULE, 1, START + 10), RULE, START + 10)).toBe(at);
  });

  it("is never when there is nothing, while a report is on its way, or when nobody can be banned", () => {
    expect(reportAt(newReporter("a"), RULE, START)).toBeUndefined();
    const sent = takeReport(note(newReporter("a"), RULE, 1, START), START).reporter;
    expect(reportAt(note(sent, RULE, 500, START), RULE, START)).toBeUndefined();
    const small = { tokensPerWindow: 9, windowMs: 60_000 };
    expect(reportAt(note(newReporter("a"), small, 500, START), small, START)).toBeUndefined();
  });
});

describe("a report", () => {
  it("tells how old the attempts are, one figure for each sixtieth of the window", () => {
    let reporter = note(newReporter("a"), RULE, 2, START);
    reporter = note(note(reporter, RULE, 3, START + 999), RULE, 4, START + 1_000);
    const taken = takeReport(reporter, START + 1_200);
    expect(taken.report).toEqual({
      isolate: "a",
      seq: 1,
      sentAt: START + 1_200,
      counts: [
        { ageMs: 1_200, count: 5 },
        { ageMs: 200, count: 4 },
      ],
    });
    expect(taken.reporter).toMatchObject({ seq: 1, unreported: [], pending: taken.report });
  });

  it("is sent again as it was for 5 s, then given up", () => {
    const taken = takeReport(note(newReporter("a"), RULE, 2, START), START);
    expect(failed(taken.reporter, START + 4_999)).toEqual({ reporter: taken.reporter, report: taken.report });
    expect(failed(taken.reporter, START + 5_000)).toEqual({
      reporter: { ...taken.reporter, pending: undefined },
      report: undefined,
    });
    expect(failed(newReporter("a"), START).report).toBeUndefined();
  });

  it("is over with its own answer only", () => {
    const { reporter } = takeReport(note(newReporter("a"), RULE, 2, START), START);
    expect(told(reporter, 0, { attempts: 9, isolates: 3 })).toBe(reporter);
    expect(told(reporter, 1, { attempts: 9, isolates: 3 })).toEqual({
      ...reporter,
      pending: undefined,
      seen: 9,
      isolates: 3,
    });
  });

  it("leaves out what was noted before the clock stepped back, and all but the newest 128 figures", () => {
    expect(note(note(newReporter("a"), RULE, 5, START), RULE, 1, START - 1).unreported).toEqual([
      { at: START - 1, count: 1 },
    ]);
    let reporter = newReporter("a");
    for (let part = 0; part < 200; part += 1) reporter = note(reporter, RULE, 1, START + part * 1_000);
    expect(reporter.unreported).toHaveLength(128);
    expect(reporter.unreported[0]).toEqual({ at: START + 72_000, count: 1 });
  });

  it("holds every attempt once and makes none look younger than it is", () => {
    const attempt = fc.record({ gap: fc.nat({ max: 2_500 }), count: fc.integer({ min: 1, max: 5 }) });
    fc.assert(
      fc.property(fc.array(attempt, { minLength: 1, maxLength: 40 }), (attempts) => {
        let reporter = newReporter("a");
        let now = START;
        const times: number[] = [];
        for (const { gap, count } of attempts) {
          now += gap;
          reporter = note(reporter, RULE, count, now);
          for (let one = 0; one < count; one += 1) times.push(now);
        }
        const { counts, sentAt } = takeReport(reporter, now).report;
        const told = counts.flatMap(({ ageMs, count }) => Array.from({ length: count }, () => sentAt - ageMs));
        expect(told).toHaveLength(times.length);
        for (const [index, time] of times.entries()) {
          const late = time - (told[index] ?? Infinity);
          expect(late).toBeGreaterThanOrEqual(0);
          expect(late).toBeLessThan(1_000);
        }
      }),
      RUNS,
    );
  });
});
