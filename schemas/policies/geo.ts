import * as v from "valibot";
import { closedObject } from "../document/closed-object.ts";
import type { GeoPolicy } from "../placement-types.ts";
import { formatPlace, placeName } from "../values/place.ts";
import { entityName, flag, listOf } from "../values/primitives.ts";
import { isOn, removable } from "./policy.ts";

/** Where the requests of some places go. */
export const GeoRuleSchema = closedObject({
  places: listOf(placeName, "an array of places"),
  backend: entityName,
});

/** Backends by place. */
export const GeoSchema = closedObject({
  enabled: v.optional(flag),
  rules: v.pipe(
    listOf(GeoRuleSchema, "an array of rules"),
    v.check((rules) => {
      const names = rules.flatMap(({ places }) => places.map(formatPlace));
      return new Set(names).size === names.length;
    }, "each place once"),
  ),
});

/** `geo`: the policy, or `false`. */
export const GeoPolicySchema = removable(GeoSchema);

/** What a level says of places; undefined: all are alike. */
export function resolveGeo(policy: v.InferOutput<typeof GeoPolicySchema> | undefined): GeoPolicy | undefined {
  if (!isOn(policy)) return undefined;
  return { rules: policy.rules.flatMap(({ places, backend }) => places.map((one) => ({ place: one, backend }))) };
}
