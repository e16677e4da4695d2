import * as v from "valibot";
import type { RoutePath } from "../config-types.ts";
import { pathFault } from "../values/url-path.ts";

/** A prefix: it matches itself and everything below it, and is stripped before the target's path is joined. */
export const prefix = v.pipe(
  v.string('a path that starts with "/"'),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const isPattern = dataset.value.includes("*") || dataset.value.includes("/:");
    const message = isPattern ? 'a literal prefix; write ":name" and "*" in "path" instead' : pathFault(dataset.value);
    if (message !== undefined) addIssue({ message });
  }),
);

/** A pattern for a whole path: `:name` stands for one segment, a last `*` for all that follow. */
export const pattern = v.pipe(
  v.string('a path that starts with "/"'),
  v.rawCheck(({ dataset, addIssue }) => {
    const message = dataset.typed ? (pathFault(dataset.value) ?? patternFault(dataset.value)) : undefined;
    if (message !== undefined) addIssue({ message });
  }),
);

/**
 * Equal for paths that take the same requests: names of parameters and a trailing slash make no difference, and a
 * pattern's last star takes what a prefix takes.
 */
export function canonicalPath({ kind, value }: RoutePath): string {
  if (kind === "prefix") return value.replace(/\/+$/, "");
  const path = value.replace(/\/+$/, "").replace(/\/:[^/]+/g, "/:");
  return path.endsWith("/*") ? path.slice(0, -2) : `=${path}`;
}

function patternFault(path: string): string | undefined {
  const segments = path.split("/").slice(1);
  if (segments.slice(0, -1).some((segment) => segment.includes("*")) || /[^/]\*|\*./.test(path)) {
    return 'a pattern whose only "*" is the whole last segment';
  }
  const names = segments.filter((segment) => segment.startsWith(":")).map((segment) => segment.slice(1));
  if (names.some((name) => !/^[A-Za-z_]\w{0,63}$/.test(name)))
    return 'parameters such as ":id": letters, digits and underscores';
  if (new Set(names).size !== names.length) return "a name of its own for each parameter";
  return undefined;
}
