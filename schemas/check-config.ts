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
  const ids = routes.map(({ id }) => id);
  return ids.flatMap((id, index) => {
    const first = ids.indexOf(id);
    if (id === undefined || first === index) return [];
    return [{ path: `routes[${index}].id`, got: quote(id), wanted: `an id of its own; routes[${first}] has this one` }];
  });
}

function identicalMatches({ routes }: Draft): readonly ConfigProblem[] {
  const seen = new Map<string, number>();
  return routes.flatMap(({ match }, index) => {
    if (match === undefined) return [];
    const key = canonicalMatch(match);
    const first = seen.get(key);
    if (first === undefined) {
      seen.set(key, index);
      return [];
    }
    const got = `the same match as routes[${first}] (${match.path.value})`;
    return [
      {
        path: `routes[${index}]`,
        got,
        wanted: "a match of its own: this route would never be reached; remove one or tell them apart",
      },
    ];
  });
}

function unknownBackends({ routes, backends }: Draft): readonly ConfigProblem[] {
  const names = backends.map(({ name }) => name);
  return routes.flatMap(({ backend }, index) => {
    if (backend === undefined || names.includes(backend)) return [];
    const nearest = nearestName(backend, names);
    const known = names.length === 0 ? 'there are no "backends"' : `one of: ${names.join(", ")}`;
    const hint = nearest === undefined ? known : `did you mean "${nearest}"?`;
    return [{ path: `routes[${index}].backend`, got: quote(backend), wanted: `the name of a backend; ${hint}` }];
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
  if (admin.enabled) paths.push(["admin.prefix", admin.prefix]);
  return paths.flatMap(([name, path], index) => {
    const other = paths.slice(0, index).find(([, taken]) => taken === path);
    if (path === undefined || other === undefined) return [];
    return [{ path: name, got: quote(path), wanted: `a path of its own; ${other[0]} has this one` }];
  });
}
