import { describe, expect, it } from "vitest";
import { targetReplyProblem, watchReplyProblem } from "../../../objects/circuit-breaker/target-messages.ts";
import { reply } from "./fixtures.ts";

const NEWS = { downForMs: null, isDraining: false, wellForMs: 5 };
const V = "1; deploy the Worker and its objects together";
const NEWS_WANTED = "two times or null, and whether it drains";

describe("an owner's answer to a report", () => {
  const answer = { ...reply({ permit: { id: 1, deadlineMs: 11_000 } }), news: NEWS };

  it("is taken with members that nobody here knows", () => {
    const later = { ...answer, later: true };
    expect(targetReplyProblem(later)).toBe(undefined);
  });

  it.each<[string, object, string]>([
    ["another version", { v: 2 }, `v: got 2, wanted ${V}`],
    ["a time that is missing", { reportMs: undefined }, "reportMs: got undefined, wanted an integer >= 0"],
    ["a time that is no number", { remainingMs: NaN }, "remainingMs: got NaN, wanted an integer >= 0"],
    ["a state of later days", { circuit: "ramping" }, "circuit: got ramping, wanted the name of a state"],
    ["a permit without end", { permit: { id: 1 } }, "permit: got an object, wanted an id and a deadline"],
    ["a permit that is a number", { permit: 7 }, "permit: got 7, wanted an object or null"],
    ["no news", { news: undefined }, "news: got undefined, wanted an object"],
    ["news of other times", { news: { ...NEWS, wellForMs: "long" } }, `news: got an object, wanted ${NEWS_WANTED}`],
  ])("is not taken with %s", (_title, changes, problem) => {
    expect(targetReplyProblem({ ...answer, ...changes })).toBe(problem);
  });
});

describe("an owner's answer to a watcher", () => {
  const answer = { v: 1, isolates: 3, pollMs: 5_000, news: NEWS } as const;

  it.each<[string, object, string | undefined]>([
    ["is taken with members that nobody here knows", { later: true }, undefined],
    ["is not taken in another version", { v: 2 }, `v: got 2, wanted ${V}`],
    ["is not taken without a pause", { pollMs: undefined }, "pollMs: got undefined, wanted an integer >= 0"],
    ["is not taken without a count", { isolates: -1 }, "isolates: got -1, wanted an integer >= 0"],
    ["is not taken without news", { news: null }, "news: got null, wanted an object"],
  ])("%s", (_title, changes, problem) => {
    expect(watchReplyProblem({ ...answer, ...changes })).toBe(problem);
  });
});
