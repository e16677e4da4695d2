import fc from "fast-check";
import { expect, it } from "vitest";
import type { ReplayWindow } from "../../../objects/rate-limiter/replay-window.ts";
import { countOnce } from "../../../objects/rate-limiter/replay-window.ts";
import { RUNS, START } from "./arbitraries.ts";

function count(arrivals: readonly [sender: string, seq: number, at: number][]): boolean[] {
  let windows: readonly ReplayWindow[] = [];
  return arrivals.map(([sender, seq, at]) => {
    const counted = countOnce(windows, sender, seq, at);
    windows = counted ?? windows;
    return counted !== undefined;
  });
}

it.each([
  { title: "numbers that rise", seqs: [1, 2, 9], counted: [true, true, true] },
  { title: "the same number again", seqs: [1, 1, 2, 2, 1], counted: [true, false, true, false, false] },
  { title: "numbers that overtake each other", seqs: [3, 1, 2, 1, 2], counted: [true, true, true, false, false] },
  { title: "the oldest number that still counts", seqs: [40, 9, 9], counted: [true, true, false] },
  { title: "a number too old to be known", seqs: [40, 8], counted: [true, false] },
  {
    title: "a leap that leaves all known ones behind",
    seqs: [1, 33, 1, 2, 2],
    counted: [true, true, false, true, false],
  },
  { title: "a leap of the window's width", seqs: [1, 2, 34, 33, 2], counted: [true, true, true, true, false] },
  { title: "a leap over the whole window", seqs: [1, 5000, 4999], counted: [true, true, true] },
])("counts once: $title", ({ seqs, counted }) => {
  expect(count(seqs.map((seq) => ["isolate", seq, START]))).toEqual(counted);
});

it("keeps what it has seen in 32 bits without a sign, as it is stored", () => {
  let windows: readonly ReplayWindow[] = [];
  for (let seq = 0; seq < 32; seq += 1) windows = countOnce(windows, "isolate", seq, START) ?? [];
  expect(windows).toEqual([{ sender: "isolate", top: 31, seen: 0xffff_ffff, at: START }]);
});

it("keeps senders apart", () => {
  expect(
    count([
      ["a", 1, START],
      ["b", 1, START],
      ["a", 1, START],
      ["b", 1, START],
    ]),
  ).toEqual([true, true, false, false]);
});

it("knows a number for 30 s, longer than the runtime repeats a call", () => {
  expect(
    count([
      ["a", 1, START],
      ["a", 1, START + 30_000],
      ["a", 1, START + 30_001],
    ]),
  ).toEqual([true, false, true]);
});

it("refuses the 65th sender within 30 s rather than forget one", () => {
  const crowd = Array.from({ length: 64 }, (_, index): [string, number, number] => [`isolate ${index}`, 1, START]);
  expect(count([...crowd, ["one more", 1, START], ["isolate 0", 1, START]]).slice(-2)).toEqual([false, false]);
  expect(count([...crowd, ["one more", 1, START + 30_001]]).at(-1)).toBe(true);
});

it("never counts a number of a sender twice within 30 s, in whatever order numbers arrive", () => {
  const arrival = fc.tuple(fc.constantFrom("a", "b"), fc.integer({ min: 0, max: 80 }), fc.nat({ max: 300 }));
  fc.assert(
    fc.property(fc.array(arrival, { maxLength: 90 }), (arrivals) => {
      let at = START;
      const timed = arrivals.map(([sender, seq, gap]): [string, number, number] => [sender, seq, (at += gap)]);
      const counted = count(timed);
      const names = timed.filter((_, index) => counted[index]).map(([sender, seq]) => `${sender} ${seq}`);
      expect(new Set(names).size).toBe(names.length);
    }),
    RUNS,
  );
});
