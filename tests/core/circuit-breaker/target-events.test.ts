import { describe, expect, it } from "vitest";
import { command, newBreaker, open } from "../../../objects/circuit-breaker/circuit.ts";
import { eventsBetween, type Kept } from "../../../objects/circuit-breaker/target-events.ts";
import { newRecord } from "../../../objects/circuit-breaker/target-record.ts";
import { MIDDLE, probing, START } from "./fixtures.ts";

const record = newRecord("http://127.0.0.1:9", START);
const quiet: Kept = { breaker: newBreaker(), record };
const down = { ...record, verdict: { isDown: true, against: 0, since: START } };

describe("what happened to a target", () => {
  it("is nothing where nothing has changed", () => {
    expect(eventsBetween(quiet, quiet, START, null)).toEqual([]);
    expect(eventsBetween({ ...quiet, record: undefined }, quiet, START, null)).toEqual([]);
    expect(eventsBetween(quiet, { ...quiet, record: undefined }, START, null)).toEqual([]);
  });

  it("is every transition since, in order, though several come at once", () => {
    const after = { ...quiet, breaker: probing() };
    expect(eventsBetween(quiet, after, START, null)).toEqual([
      { at: START, kind: "circuit", from: "closed", to: "open", cause: "failure-ratio", by: null },
      { at: START + 60_000, kind: "circuit", from: "open", to: "half-open", cause: "open-time-over", by: null },
    ]);
    expect(eventsBetween(after, after, START, null)).toEqual([]);
  });

  it("is what an operator ordered, with his name", () => {
    const breaker = command(open(newBreaker(), "slow-calls", START, MIDDLE), "closed", START + 1);
    const before = { ...quiet, breaker: open(newBreaker(), "slow-calls", START, MIDDLE) };
    expect(eventsBetween(before, { breaker, record: { ...record, isDraining: true } }, START + 1, "ann")).toEqual([
      { at: START + 1, kind: "circuit", from: "open", to: "forced-closed", cause: "operator", by: "ann" },
      { at: START + 1, kind: "drain", from: "off", to: "on", cause: "operator", by: "ann" },
    ]);
  });

  it.each([
    ["a check that failed", { health: null, lastCheck: null }, null, "no longer checked"],
    ["a reset", {}, "ann", "reset"],
  ])("is why a target is called up: %s", (_title, changes, by, cause) => {
    const after = { ...quiet, record: { ...record, ...changes } };
    expect(eventsBetween({ ...quiet, record: down }, after, START, by)).toEqual([
      { at: START, kind: "health", from: "down", to: "up", cause, by },
    ]);
  });
});
