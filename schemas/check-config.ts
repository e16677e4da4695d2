import type { ConfigProblem } from "./config-types.ts";
import { quote } from "./document/describe-value.ts";
import { nearestName } from "./document/nearest-name.ts";
import { formatPath } from "./document/path.ts";
import type { Draft } from "./draft.ts";
import { resolveAdmin, resolveEndpoints } from "./endpoints.ts";
import { canonicalMatch } from "./routes/route-match.ts";
import { isPrivateHost } from "./values/private-host.ts";

/** What is wrong between the parts of a document: names that meet nothing, routes that cannot be told apart, private targets. */
export function checkConfig(draft: Draft): readonly ConfigProblem[] {
  return [
    ...duplicateIds(draft),
    ...identicalMatches(draft),
    ...unknownBackends(draft),
    ...privateTargets(draft),
    ...sharedEndpoints(draft),
  ];
}

function duplicateIds({ routes }: Draft): readonly ConfigProblem[] {
  return repeated(routes.map(({ id }) => id)).map(({ value, index, first }) => ({
    path: `routes[${index}].id`,
    got: quote(value),
    wanted: `an id of its own; routes[${first}] has this one`,
  }));
}

function identicalMatches({ routes }: Draft): readonly ConfigProblem[] {
  const matches = routes.map(({ match }) => (match === undefined ? undefined : canonicalMatch(match)));
  return repeated(matches).map(({ index, first }) => ({
    path: `routes[${index}]`,
    got: `the same match as routes[${first}] (${routes[first]?.match?.path.value ?? ""})`,
    wanted: "a match of its own: this route would never be reached; remove one or tell them apart",
  }));
}

interface Repetition {
  readonly value: string;
  readonly index: number;
  readonly first: number;
}

function repeated(values: readonly (string | undefined)[]): readonly Repetition[] {
  const seen = new Map<string, number>();
  return values.flatMap((value, index) => {
    if (value === undefined) return [];
    const first = seen.get(value);
    if (first !== undefined) return [{ value, index, first }];
    seen.set(value, index);
    return [];
  });
}

function unknownBackends({ routes, backends, fallbacks, placements, mirrors }: Draft): readonly ConfigProblem[] {
  const names = backends.map(({ name }) => name);
  const known = new Set(names);
  const named = [
    ...routes.map(({ backend }, index) => ({ backend, path: ["routes", index, "backend"] })),
    ...fallbacks,
    ...placements,
    ...mirrors,
  ];
  return named.flatMap(({ backend, path }) => {
    if (backend === undefined || known.has(backend)) return [];
    const nearest = nearestName(backend, names);
    const all = names.length === 0 ? 'there are no "backends"' : `one of: ${names.join(", ")}`;
    const hint = nearest === undefined ? all : `did you mean "${nearest}"?`;
    return [{ path: formatPath(path), got: quote(backend), wanted: `the name of a backend; ${hint}` }];
  });
}

function privateTargets({ routes, backends, allowPrivateTargets }: Draft): readonly ConfigProblem[] {
  if (allowPrivateTargets) return [];
  const targets = [
    ...routes.map(({ target }, index) => ({ url: target, path: ["routes", index, "target"] })),
    ...backends.flatMap(({ name, urls }) =>
      urls.map((url, index) => ({ url, path: ["backends", name, "targets", index, "url"] })),
    ),
  ];
  return targets.flatMap(({ url, path }) => {
    if (url === undefined || !isPrivateHost(new URL(url).hostname)) return [];
    const wanted =
      'a public host; for a private, loopback or link-local one set "allowPrivateTargets": true at the top level';
    return [{ path: formatPath(path), got: quote(url), wanted }];
  });
}

function sharedEndpoints(draft: Draft): readonly ConfigProblem[] {
  const admin = resolveAdmin(draft.admin);
  const paths: [name: string, path: string | undefined][] = Object.entries(resolveEndpoints(draft.endpoints)).map(
    ([name, path]) => [`endpoints.${name}`, path],
  );
  const { batch } = draft.endpoints ?? {};
  if (typeof batch === "string") paths.push(["endpoints.batch", batch]);
  if (admin.enabled) paths.push(["admin.prefix", admin.prefix]);
  return paths.flatMap(([name, path], index) => {
    const other = paths.slice(0, index).find(([, taken]) => taken === path);
    if (path === undefined || other === undefined) return [];
    return [{ path: name, got: quote(path), wanted: `a path of its own; ${other[0]} has this one` }];
  });
}
