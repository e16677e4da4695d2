import * as v from "valibot";
import type { AdminPolicy, Endpoints } from "./config-types.ts";
import { closedObject } from "./document/closed-object.ts";
import { isOn, removable } from "./policies/policy.ts";
import { flag } from "./values/primitives.ts";
import { ownPath } from "./values/url-path.ts";

const WANTED = 'a path such as "/healthz", or false to switch the endpoint off';
const movable = v.optional(v.union([v.literal(false, WANTED), ownPath], WANTED));

/** Where the gateway's own endpoints are. */
export const EndpointsSchema = closedObject({
  healthz: movable,
  readyz: movable,
  health: movable,
  jobs: movable,
  batch: movable,
});

/** The admin API. */
export const AdminSchema = closedObject({
  enabled: v.optional(flag),
  prefix: v.optional(ownPath),
  tap: v.optional(flag),
});

/** `admin`: its settings, or false. */
export const AdminPolicySchema = removable(AdminSchema);

/** The endpoints' paths, with defaults. */
export function resolveEndpoints(input: v.InferOutput<typeof EndpointsSchema> | undefined): Endpoints {
  return {
    healthz: pathOf(input?.healthz, "/healthz"),
    readyz: pathOf(input?.readyz, "/readyz"),
    health: pathOf(input?.health, "/health"),
  };
}

/** Where several requests are taken in one; undefined: switched off. */
export function batchPath(input: v.InferOutput<typeof EndpointsSchema> | undefined): string | undefined {
  return pathOf(input?.batch, "/batch");
}

/** The admin API's settings, with defaults. */
export function resolveAdmin(input: v.InferOutput<typeof AdminPolicySchema> | undefined): AdminPolicy {
  const { prefix = "/admin", tap = true } = input === undefined || input === false ? {} : input;
  return { enabled: input === undefined || isOn(input), prefix, tap };
}

function pathOf(path: string | false | undefined, standard: string): string | undefined {
  return path === false ? undefined : (path ?? standard);
}
