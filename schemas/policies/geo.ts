import * as v from "valibot";
import { closedObject } from "../document/closed-object.ts";
import { eachOnce } from "../document/each-once.ts";
import { formatPath } from "../document/path.ts";
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
    eachOnce(
      (rules) =>
        rules.flatMap(({ places }, rule) =>
          places.map((place, index) => ({ name: formatPlace(place), path: [rule, "places", index] })),
        ),
      (_, first) => `each place once: rules${formatPath(first.path)} is this one`,
    ),
  ),
});

/** `geo`: the policy, or `false`. */
export const GeoPolicySchema = removable(GeoSchema, 'an object with "rules", or false to remove the policy');

/** What a level says of places; undefined: all are alike. */
export function resolveGeo(policy: v.InferOutput<typeof GeoPolicySchema> | undefined): GeoPolicy | undefined {
  if (!isOn(policy)) return undefined;
  return { rules: policy.rules.flatMap(({ places, backend }) => places.map((one) => ({ place: one, backend }))) };
}
