import { describe, expect, it } from "vitest";
import type { ResumeRules } from "../../../objects/web-socket-relay/resume/resume-rules.ts";
import { createRandom } from "../../simulation/random.ts";
import { ResumeWorld, type Defect, type Outcome } from "./resume-world.ts";

const WIDE = { messages: 100_000, bytes: 10_000_000 };
const RULES: ResumeRules = { holdMs: 30_000_000, ring: WIDE, control: false, stored: false };
const LEVELS = [
  ["level 0", RULES, {}],
  ["level 0, greeted", RULES, { greets: true }],
  ["level 1", { ...RULES, control: true }, {}],
  ["level 2", { ...RULES, stored: true }, {}],
  ["level 2, greeted", { ...RULES, stored: true }, { greets: true }],
  ["levels 1 and 2", { ...RULES, control: true, stored: true }, {}],
] as const;

const NOTHING_WRITTEN = "crashed before anything was written";

/** What is not as in most worlds. */
interface Changes {
  readonly defect?: Defect;
  readonly copies?: number;
  readonly greets?: boolean;
}

function worldOf(seed: number, rules: ResumeRules, changes: Changes = {}): Outcome {
  const { defect = "none", copies = 100_000, greets = false } = changes;
  return new ResumeWorld({ random: createRandom(seed), rules, copies, steps: 400, greets, defect }).run();
}

/** Each side's numbers as they should be: one after the other. */
function isWhole(messages: readonly string[], letter: string, count: number): boolean {
  return messages.length === count && messages.every((data, index) => data === `${letter}${index + 1}`);
}

/** What is wrong with a world in which no relay crashed; undefined: nothing. */
function problemOf({ down, up, lost }: Outcome): string | undefined {
  const [downTo, upTo] = lost === undefined ? [down.sent.length, up.sent.length] : [down.got.length, up.got.length];
  if (!isWhole(down.got, "u", downTo)) return `of ${downTo} messages the client has got ${down.got.join(" ")}`;
  if (!isWhole(up.got, "c", upTo)) return `of ${upTo} messages the backend has got ${up.got.join(" ")}`;
  return undefined;
}

/** The same where it did: what was lost or comes again may do so only at a crash, and never what was acknowledged. */
function problemOfCrashed({ down, up, lost, told, crashes }: Outcome): string | undefined {
  const numbers = down.got.map((data) => Number(data.slice(1)));
  const holes = numbers.filter((number, index) => number !== (numbers[index - 1] ?? 0) + 1).length;
  if (numbers.some((number, index) => number <= (numbers[index - 1] ?? 0)))
    return "the client got something twice, or late";
  if (holes > crashes) return `${holes} holes after ${crashes} crashes: ${down.got.join(" ")}`;
  const got = new Set(up.got);
  const needed = lost === undefined ? up.sent.length : told;
  const missing = up.sent.slice(0, needed).filter((data) => !got.has(data));
  if (missing.length > 0) return `the backend never got ${missing.join(" ")}, of which ${told} were acknowledged`;
  const steps = up.got.map((data, index) => Number(data.slice(1)) - Number(up.got[index - 1]?.slice(1) ?? 0));
  if (steps.some((step) => step > 1)) return `the backend got ${up.got.join(" ")}`;
  return steps.filter((step) => step < 1).length > crashes
    ? "the backend got something twice without a crash"
    : undefined;
}

function problems(seeds: number, rules: ResumeRules, changes: Changes = {}): string[] {
  const { copies = 100_000 } = changes;
  const found: string[] = [];
  for (let seed = 1; seed <= seeds; seed += 1) {
    const outcome = worldOf(seed, rules, changes);
    const isTooSmall = copies < 100 || outcome.lost === NOTHING_WRITTEN;
    if (outcome.lost !== undefined && !isTooSmall) found.push(`seed ${seed}: ${outcome.lost}`);
    const problem = outcome.crashes > 0 ? problemOfCrashed(outcome) : problemOf(outcome);
    if (problem !== undefined) found.push(`seed ${seed}: ${problem}`);
  }
  return found;
}

describe("a session whose network fails all the time", () => {
  it.each(LEVELS)("loses, doubles and reorders nothing: %s", (_level, rules, changes) => {
    expect(problems(1_500, rules, changes)).toEqual([]);
  });

  it("is reset often enough for that to mean something, and ends only where it says so", () => {
    const outcomes = Array.from({ length: 200 }, (_, seed) => worldOf(seed, RULES));
    const resets = outcomes.reduce((sum, outcome) => sum + outcome.resets, 0);
    const carried = outcomes.reduce((sum, { down, up }) => sum + down.got.length + up.got.length, 0);
    expect([resets > 2_000, carried > 20_000]).toEqual([true, true]);
    expect(outcomes.filter(({ lost }) => lost !== undefined)).toEqual([]);
  });

  it("says that it is lost when the ring or the copies are too small, and has lied to nobody before", () => {
    const small = { ...RULES, ring: { messages: 4, bytes: 1_000 } };
    expect(problems(1_000, small, { copies: 4 })).toEqual([]);
    const ends = new Set(Array.from({ length: 1_000 }, (_, seed) => worldOf(seed, small, { copies: 4 }).lost));
    expect([...ends].map(String).sort()).toEqual([
      "4410 what is missing is not kept any more",
      "4413 more came for this session than can be held",
      "copies are gone",
      "no room for copies",
    ]);
  });
});

describe("the check itself", () => {
  it.each([
    ["counts-late-messages", RULES, false],
    ["replays-one-too-few", RULES, false],
    ["replays-one-too-many", RULES, false],
    ["resends-all", RULES, false],
    ["trusts-an-old-status", RULES, false],
    ["forgets-on-detach", RULES, false],
    ["acks-before-writing", { ...RULES, control: true, stored: true }, false],
    ["keeps-what-waits", { ...RULES, stored: true }, false],
    ["greets-behind-the-replay", RULES, true],
    ["counts-the-greeting", RULES, true],
    ["obeys-a-late-greeting", RULES, true],
  ] as const)("notices a relay or client that %s", (defect, rules, greets) => {
    expect(problems(300, rules, { defect, greets }).length).toBeGreaterThan(0);
  });
});
