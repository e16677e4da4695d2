import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { HealthAnswer } from "../../../objects/circuit-breaker/health-messages.ts";
import type { HealthTerms, TargetTerms } from "../../../objects/circuit-breaker/target-messages.ts";
import { packTarget, unpackTarget } from "../../../objects/circuit-breaker/target-packed.ts";
import {
  checked,
  heardOf,
  isWatched,
  newRecord,
  newsOf,
  targetForgettableAt,
  type TargetRecord,
} from "../../../objects/circuit-breaker/target-record.ts";
import { START } from "./fixtures.ts";

const TARGET = "http://127.0.0.1:9";
const HEALTH: HealthTerms = { intervalMs: 10_000, timeoutMs: 2_000, rise: 2, fall: 3 };
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

function said(changes: Partial<TargetTerms & { configVersion: number }> = {}) {
  return { target: TARGET, backend: "api", health: HEALTH, configVersion: 1, ...changes };
}

const known = heardOf(undefined, said(), START);

function answered(ok: boolean): HealthAnswer {
  return { kind: "judged", ok, status: ok ? 200 : 500, durationMs: 3, detail: "seen" };
}

/** A record after these checks, a second apart: `+` succeeded, `-` failed, `?` said nothing. */
function after(checks: string, record: TargetRecord = known): TargetRecord {
  return checks.split("").reduce<TargetRecord>((next, check, index) => {
    const answer: HealthAnswer = check === "?" ? { kind: "unknown", detail: "no" } : answered(check === "+");
    return checked(next, answer, START + index * 1_000);
  }, record);
}

describe("a message about a target", () => {
  const MIN_5 = { ...HEALTH, intervalMs: 300_000 };

  it.each<[string, Partial<ReturnType<typeof said>>, Partial<TargetRecord>]>([
    ["says how to check it", {}, { health: HEALTH }],
    ["of a newer configuration counts", { configVersion: 2, health: MIN_5 }, { configVersion: 2, health: MIN_5 }],
    ["of one without a version counts", { configVersion: 0, health: MIN_5 }, { configVersion: 0, health: MIN_5 }],
    ["of the same version, as of documents without one, counts", { health: MIN_5 }, { health: MIN_5 }],
    ["without checks ends none", { configVersion: 2, health: null, backend: "b" }, { backend: "api" }],
    ["of another backend with the same checks is no news", { backend: "b" }, { backend: "api" }],
  ])("%s", (_title, changes, expected) => {
    expect(heardOf(known, said(changes), START)).toEqual({ ...known, ...expected });
  });

  it("of an older configuration changes nothing", () => {
    const newer = heardOf(known, said({ configVersion: 2 }), START);
    expect(heardOf(newer, said({ configVersion: 1, health: MIN_5 }), START)).toBe(newer);
  });

  it("that says nothing new leaves the very record, for a tenth of the time after which silence matters", () => {
    expect(heardOf(known, said(), START + MINUTE_MS)).toBe(known);
    expect(heardOf(known, said(), START + MINUTE_MS + 1)).toEqual({ ...known, heardAt: START + MINUTE_MS + 1 });
    const plain = heardOf(undefined, said({ health: null }), START);
    expect(heardOf(plain, said({ health: null }), START + 0.7 * DAY_MS)).toBe(plain);
    expect(heardOf(plain, said({ health: null }), START + 0.71 * DAY_MS).heardAt).toBe(START + 0.71 * DAY_MS);
  });

  it("names the backend of a target that only an operator had spoken of", () => {
    const ordered = { ...newRecord(TARGET, START), isDraining: true };
    expect(heardOf(ordered, said({ health: null }), START)).toMatchObject({ backend: "api", isDraining: true });
  });
});

describe("interest in a target's health", () => {
  it.each<[string, HealthTerms, number]>([
    ["lasts ten minutes", HEALTH, 10 * MINUTE_MS],
    ["lasts ten intervals where those are longer", { ...HEALTH, intervalMs: DAY_MS }, 10 * DAY_MS],
  ])("%s", (_title, health, ms) => {
    const record = heardOf(undefined, said({ health }), START);
    expect(isWatched(record, START + ms)).toBe(true);
    expect(isWatched(record, START + ms + 1)).toBe(false);
  });

  it("does not last for ever on a clock that stepped back", () => {
    expect(isWatched(known, START - DAY_MS)).toBe(false);
    expect(heardOf(known, said(), START - DAY_MS).heardAt).toBe(START - DAY_MS);
  });
});

describe("what a target's owner tells isolates", () => {
  it.each([
    ["nothing, before any check", "", { downForMs: null, wellForMs: null }],
    ["nothing of one that was never down", "+-+--+", { downForMs: null, wellForMs: null }],
    ["since when it is down", "---", { downForMs: 8_000, wellForMs: null }],
    ["since when it is well again", "---++", { downForMs: null, wellForMs: 6_000 }],
    ["what checks said before those that said nothing", "--??-??", { downForMs: 6_000, wellForMs: null }],
  ])("is %s", (_title, checks, expected) => {
    expect(newsOf(after(checks), START + 10_000)).toEqual({ isDraining: false, ...expected });
  });

  it("is never a time below zero", () => {
    expect(newsOf(after("---"), START - DAY_MS).downForMs).toBe(0);
  });

  it("is that nothing is known, once the configuration has no checks any more", () => {
    const over = checked(after("---"), { kind: "not-configured" }, START);
    expect(newsOf(over, START)).toEqual({ isDraining: false, downForMs: null, wellForMs: null });
    expect(isWatched(over, START)).toBe(false);
    expect(checked(over, answered(false), START)).toBe(over);
  });
});

describe("a target", () => {
  it.each<[string, TargetRecord, number]>([
    ["after a week of silence", heardOf(undefined, said({ health: null }), START), START + 7 * DAY_MS],
    [
      "after ten intervals, if that is longer",
      { ...known, health: { ...HEALTH, intervalMs: DAY_MS } },
      START + 10 * DAY_MS,
    ],
    ["never while an operator drains it", { ...known, isDraining: true }, Infinity],
  ])("may be forgotten %s", (_title, record, at) => {
    expect(targetForgettableAt(record)).toBe(at);
  });

  it("is read back as it was stored, whatever happened to it", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("+", "-", "?"), { maxLength: 10 }), fc.boolean(), (checks, isDraining) => {
        const record = { ...after(checks.join("")), isDraining };
        expect(unpackTarget(packTarget(record))).toEqual(record);
      }),
    );
    const unheard = newRecord(TARGET, START);
    expect(unpackTarget(packTarget(unheard))).toEqual(unheard);
  });

  it("is taken for lost when its text is not what this code writes", () => {
    const packed: Record<string, unknown> = JSON.parse(packTarget(after("--?")));
    expect(unpackTarget(JSON.stringify({ ...packed, later: "version" }))).toEqual(after("--?"));
    const members = ["u", "b", "v", "h", "d", "n", "l", "t"];
    const broken = members.map((member) => Object.assign({}, packed, { [member]: {} }));
    const texts = ["", "null", "7", "[]", "{}", ...broken.map((one) => JSON.stringify(one))];
    expect(texts.map((text) => unpackTarget(text))).toEqual(texts.map(() => undefined));
  });
});
