import { expect, it } from "vitest";
import { keyedStorm } from "../support/keyed-storm.ts";

it("gives each key one effect through a kill -9 in the middle of a burst, and says what is known", async () => {
  const {
    told,
    effects,
    finally: last,
    contradicted,
    underWay,
  } = await keyedStorm({
    isolates: 4,
    posts: 1_000,
    keys: 50,
    connections: 24,
  });
  expect(effects).toEqual({ 1: 50 });
  expect(contradicted).toEqual([]);
  // Of what was at the origin at the kill nobody can tell; all else has an answer.
  expect(last).toEqual({ "200 replayed": 50 - underWay, "409 idempotency-outcome-unknown": underWay });
  const known = ["200", "200 replayed", "409 idempotency-in-flight", "409 idempotency-outcome-unknown"];
  expect(Object.keys(told).filter((what) => ![...known, "lost"].includes(what))).toEqual([]);
  expect(told["200"]).toBe(50 - underWay);
  expect(told["lost"]).toBeGreaterThanOrEqual(underWay);
}, 120_000);
