import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { EXCEPTIONS } from "../../../scripts/cache-tests/exceptions.ts";
import { complaintsOf } from "../../../scripts/cache-tests/report.ts";
import { scoreOf, verdictsOf, type Results, type SuiteTest } from "../../../scripts/cache-tests/score.ts";

const required = (id: string, ...dependsOn: readonly string[]): SuiteTest => ({ id, kind: "required", dependsOn });

it("counts what passed where all that it depends on did, however far away", () => {
  const tests = [
    required("a"),
    required("b", "a"),
    required("c", "b"),
    required("d", "failed"),
    required("e", "d"),
    required("failed"),
    required("setup"),
    required("forgotten"),
    required("f", "forgotten"),
  ];
  const failed: readonly string[] = ["Assertion", "Response 2 comes from cache"];
  const results: Results = { a: true, b: true, c: true, d: true, e: true, failed, setup: ["Setup", "retry"], f: true };
  const verdicts = verdictsOf(tests, results);
  expect([...verdicts].map(([id, { kind }]) => `${id}: ${kind}`).sort()).toEqual([
    "a: pass",
    "b: pass",
    "c: pass",
    "d: dependency",
    "e: dependency",
    "f: dependency",
    "failed: fail",
    "forgotten: untested",
    "setup: setup",
  ]);
  expect(scoreOf(tests, verdicts, "required")).toEqual({ passed: 3, tests: 9 });
});

it("complains of a required test that fails for no listed reason, and of one that passes for a listed one", () => {
  const excepted = EXCEPTIONS.flatMap(({ tests }) => tests);
  const [first = "", ...others] = excepted;
  const good = Array.from({ length: 200 }, (_, at) => `good-${at}`);
  const tests = [...excepted, ...good, "bad"].map((id) => required(id));
  const results: Results = Object.fromEntries([
    ...[first, ...good].map((id) => [id, true] as const),
    ...[...others, "bad"].map((id) => [id, ["Assertion", "no"]] as const),
  ]);
  const verdicts = verdictsOf(tests, results);
  expect(complaintsOf(tests, [verdicts, verdicts])).toEqual(
    ["shipped defaults", "suite profile"].flatMap((profile) => [
      `${profile}: bad is not passed, and no exception says why: no`,
      `${profile}: ${first} is passed: take it out of the exceptions`,
    ]),
  );
});

it("the guide lists every exception, and nothing else", () => {
  const guide = readFileSync(new URL("../../../docs/guide/cache-conformance.md", import.meta.url), "utf8");
  const [, section = ""] = /## Required tests that are not passed([^]*?)\n## /.exec(guide) ?? [];
  const listed = [...section.matchAll(/^\| `([^`]+)`/gm)].map(([, id = ""]) => id);
  expect(listed.sort()).toEqual(EXCEPTIONS.flatMap(({ tests }) => tests).sort());
});
