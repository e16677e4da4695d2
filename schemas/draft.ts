import * as v from "valibot";
import type { Path } from "./document/path.ts";
import { AdminPolicySchema, EndpointsSchema } from "./endpoints.ts";
import { matchEntries, resolveMatch, type RouteMatchFields } from "./routes/route-match.ts";
import { entityName } from "./values/primitives.ts";
import { targetUrl } from "./values/target-url.ts";

/**
 * What can be read of a document, right or wrong elsewhere: enough to check its parts against each other, so that a
 * misspelt field does not hide an unknown backend until the next attempt.
 */
export interface Draft {
  readonly routes: readonly DraftRoute[];
  readonly backends: readonly DraftBackend[];
  /** Backends that breakers name, wherever they are written. */
  readonly fallbacks: readonly { readonly path: Path; readonly backend: string }[];
  /** That geography and canaries name. */
  readonly placements: Draft["fallbacks"];
  /** That mirrors name. */
  readonly mirrors: Draft["fallbacks"];
  readonly endpoints: v.InferOutput<typeof EndpointsSchema> | undefined;
  readonly admin: v.InferOutput<typeof AdminPolicySchema> | undefined;
  readonly allowPrivateTargets: boolean;
}

/** Fields that are absent or unreadable are undefined. */
interface DraftRoute {
  readonly id: string | undefined;
  readonly backend: string | undefined;
  readonly target: string | undefined;
  readonly match: RouteMatchFields | undefined;
}

/** A backend by its name, with the URLs of its targets. */
interface DraftBackend {
  readonly name: string;
  readonly urls: readonly (string | undefined)[];
}

const MatchSchema = v.object(matchEntries);
const MirrorNameSchema = v.object({ backend: entityName });
const FallbackNameSchema = v.object({ fallback: v.object({ backend: entityName }) });

/** Reads what can be read. */
export function draftOf(document: unknown): Draft {
  const { routes, backends, endpoints, admin, allowPrivateTargets, circuitBreaker, mirror } = fieldsOf(document);
  return {
    routes: Array.isArray(routes) ? routes.map(draftRoute) : [],
    backends: Object.entries(fieldsOf(backends)).map(([name, backend]) => {
      const { targets } = fieldsOf(backend);
      return {
        name,
        urls: Array.isArray(targets) ? targets.map((target) => read(targetUrl, fieldsOf(target)["url"])) : [],
      };
    }),
    fallbacks: [
      ...draftFallback([], circuitBreaker),
      ...(Array.isArray(routes) ? routes : []).flatMap((route: unknown, index) =>
        draftFallback(["routes", index], fieldsOf(route)["circuitBreaker"]),
      ),
      ...Object.entries(fieldsOf(backends)).flatMap(([name, backend]) =>
        draftFallback(["backends", name], fieldsOf(backend)["circuitBreaker"]),
      ),
    ],
    placements: [
      ...draftPlacements([], document),
      ...(Array.isArray(routes) ? routes : []).flatMap((route: unknown, index) =>
        draftPlacements(["routes", index], route),
      ),
    ],
    mirrors: [
      ...draftMirror([], mirror),
      ...(Array.isArray(routes) ? routes : []).flatMap((route: unknown, index) =>
        draftMirror(["routes", index], fieldsOf(route)["mirror"]),
      ),
    ],
    endpoints: read(EndpointsSchema, endpoints),
    admin: read(AdminPolicySchema, admin),
    allowPrivateTargets: allowPrivateTargets === true,
  };
}

function draftRoute(route: unknown): DraftRoute {
  const { id, backend, target } = fieldsOf(route);
  const match = read(MatchSchema, route);
  return {
    id: read(entityName, id),
    backend: read(entityName, backend),
    target: read(targetUrl, target),
    match: match === undefined ? undefined : resolveMatch(match),
  };
}

function draftFallback(level: Path, circuitBreaker: unknown): Draft["fallbacks"] {
  const named = read(FallbackNameSchema, circuitBreaker);
  if (named === undefined) return [];
  return [{ path: [...level, "circuitBreaker", "fallback", "backend"], backend: named.fallback.backend }];
}

function draftPlacements(level: Path, written: unknown): Draft["placements"] {
  const { geo, canary } = fieldsOf(written);
  const lists = [
    { path: [...level, "geo", "rules"], list: fieldsOf(geo)["rules"] },
    { path: [...level, "canary", "variants"], list: fieldsOf(canary)["variants"] },
  ];
  return lists.flatMap(({ path, list }) =>
    (Array.isArray(list) ? list : []).flatMap((one: unknown, index) => {
      const backend = read(entityName, fieldsOf(one)["backend"]);
      return backend === undefined ? [] : [{ path: [...path, index, "backend"], backend }];
    }),
  );
}

function draftMirror(level: Path, mirror: unknown): Draft["mirrors"] {
  const named = read(MirrorNameSchema, mirror);
  return named === undefined ? [] : [{ path: [...level, "mirror", "backend"], backend: named.backend }];
}

function read<Schema extends v.GenericSchema>(schema: Schema, value: unknown): v.InferOutput<Schema> | undefined {
  const parsed = v.safeParse(schema, value);
  return parsed.success ? parsed.output : undefined;
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}
