import type { Config, ConfigWarning } from "../config-types.ts";
import type { Place } from "../placement-types.ts";
import type { ConfigInput } from "../config.ts";
import { quote } from "../document/describe-value.ts";
import { warning } from "../document/warning.ts";
import { isOn } from "../policies/policy.ts";
import { formatKey, isVerified } from "../policies/rate-limit/limit-key.ts";
import { isCountry } from "../values/country.ts";
import { unidentified } from "./backend-warnings.ts";

/** What places, canaries and mirrors say that has no effect, or not the one that their author may expect. */
export function placementWarnings(input: ConfigInput, { routes, backends }: Config): readonly ConfigWarning[] {
  const ofCanaries = routes.flatMap(({ canary }, index) => {
    const unknown = (canary?.by ?? []).filter((key) => isVerified([key])).map(formatKey);
    const level = input.routes?.[index]?.canary === undefined ? [] : ["routes", index];
    return unknown.length === 0 ? [] : [warning([...level, "canary", "by"], unidentified(unknown))];
  });
  const ofTargets = [...backends.values()].flatMap(({ name, targets }) =>
    targets.length === 1 && targets[0]?.regions !== undefined
      ? [warning(["backends", name, "targets", 0, "regions"], "with one target there is nothing to choose")]
      : [],
  );
  const all = [...ofCanaries, ...ofTargets, ...unknownPlaces(input), ...ownMirrors(input)];
  return [...new Map(all.map((one) => [one.path, one])).values()];
}

/** Countries that no request is ever of, as far as anyone has assigned codes. */
function unknownPlaces({ geo, routes = [], backends = {} }: ConfigInput): readonly ConfigWarning[] {
  const levels = [
    { geo, path: ["geo"] },
    ...routes.map((route, at) => ({ geo: route.geo, path: ["routes", at, "geo"] })),
  ];
  const ofRules = levels.flatMap((level) =>
    isOn(level.geo)
      ? level.geo.rules.map(({ places }, at) => ({ places, path: [...level.path, "rules", at, "places"] }))
      : [],
  );
  const ofTargets = Object.entries(backends).flatMap(([name, { targets }]) =>
    targets.map(({ regions = [] }, at) => ({ places: regions, path: ["backends", name, "targets", at, "regions"] })),
  );
  return [...ofRules, ...ofTargets].flatMap(({ places, path }) =>
    places.flatMap((place, at) => {
      const country = countryOf(place);
      if (country === undefined || isCountry(country)) return [];
      return [warning([...path, at], `no request is ever from here: ${hintAt(country)}`)];
    }),
  );
}

function countryOf(place: Place): string | undefined {
  if (place.kind === "region") return place.country;
  return place.kind === "country" ? place.code : undefined;
}

function hintAt(country: string): string {
  if (country === "UK") return '"UK" is no code of ISO 3166-1, the United Kingdom is "GB"';
  if (country === "EU") return 'Europe is no country but "continent:EU"';
  return `${quote(country)} is no country's code in ISO 3166-1`;
}

/** A mirror that a route says itself, to where it goes anyway. */
function ownMirrors({ routes = [] }: ConfigInput): readonly ConfigWarning[] {
  return routes.flatMap(({ mirror, backend }, at) => {
    if (!isOn(mirror) || mirror.backend !== backend) return [];
    return [warning(["routes", at, "mirror"], "nothing is copied: it names the route's own backend")];
  });
}
