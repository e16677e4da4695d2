import type * as v from "valibot";
import type { ConfigProblem } from "../config-types.ts";
import { describeValue } from "./describe-value.ts";
import { formatPath, valueAt, type Path } from "./path.ts";

/**
 * Turns valibot's issues into problems. Every schema here says what it wants as its message, so a message is a `wanted`.
 * Of a union that failed, the alternative that was meant is the one that got further than its first look.
 *
 * @param root where in the document the schema was applied.
 */
export function toProblems(
  issues: readonly v.BaseIssue<unknown>[],
  document: unknown,
  root: Path = [],
): readonly ConfigProblem[] {
  const problems = new Map<string, ConfigProblem>();
  for (const { path, issue } of issues.flatMap((found) => leaves(found, root))) {
    const value = valueAt(document, path);
    const isAboutKey = issue.path?.at(-1)?.origin === "key" && value !== undefined;
    const got = isAboutKey ? `the key ${describeValue(path.at(-1))}` : describeValue(value);
    const problem = { path: formatPath(path), got, wanted: issue.message };
    problems.set(`${problem.path}\n${problem.wanted}`, problem);
  }
  return [...problems.values()];
}

interface Leaf {
  readonly path: Path;
  readonly issue: v.BaseIssue<unknown>;
}

function leaves(issue: v.BaseIssue<unknown>, root: Path): readonly Leaf[] {
  const path = [...root, ...keysOf(issue)];
  const deeper = issue.issues?.filter((inner) => keysOf(inner).length > 0) ?? [];
  if (deeper.length === 0) return [{ path, issue }];
  return deeper.flatMap((inner) => leaves(inner, path));
}

function keysOf(issue: v.BaseIssue<unknown>): Path {
  return (issue.path ?? []).map(({ key }) => (typeof key === "number" ? key : String(key)));
}
