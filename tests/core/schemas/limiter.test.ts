import { expect, it } from "vitest";
import { configOf, problemsOf } from "./documents.ts";

it("remembers 1,000 clients unless it is told how many", () => {
  expect(configOf({}).limiter).toEqual({ tableEntries: 1000 });
  expect(configOf({ limiter: {} }).limiter).toEqual({ tableEntries: 1000 });
  expect(configOf({ limiter: { tableEntries: 20_000 } }).limiter).toEqual({ tableEntries: 20_000 });
});

it.each([
  [{ tableEntries: 0 }, "limiter.tableEntries", "0", "a whole number from 1 to 20000"],
  [{ tableEntries: 20_001 }, "limiter.tableEntries", "20001", "a whole number from 1 to 20000"],
  [{ entries: 5 }, "limiter.entries", 'the key "entries"', "a known key, one of: tableEntries"],
  [false, "limiter", "false", "an object"],
])("a limiter is refused when it is %j", (limiter, path, got, wanted) => {
  expect(problemsOf({ limiter })).toEqual([{ path, got, wanted }]);
});
