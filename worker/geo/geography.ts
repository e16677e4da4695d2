import type { Place } from "../../schemas/index.ts";

/** Stands for a country that isn't known, as in Cloudflare's own fields. */
const UNKNOWN_COUNTRY = "XX";

/** What requests from a place get. */
export interface PlaceRule<Value> {
  readonly place: Place;
  readonly value: Value;
}

/** What a request says of where it comes from: `request.cf`, as it may really be. */
export type Whereabouts = Readonly<Record<string, unknown>> | null | undefined;

/** Finds what requests from somewhere get. */
export interface Geography<Value> {
  /**
   * The value of the most specific rule that is usable: the data center's, the region's, the country's, the continent's, and last the
   * default. Nothing is allocated.
   *
   * @param isUsable passes over what can't be had at the moment. Default: everything can.
   * @returns undefined when nothing is left.
   */
  find(whereabouts: Whereabouts, isUsable?: (value: Value) => boolean): Value | undefined;
}

/**
 * Compiles rules into tables. The order of the rules doesn't matter: the narrower place wins, as with Cloudflare's load balancer
 * (`pop_pools`, `country_pools`, `region_pools`, default).
 *
 * @param rules each place once; of two for one the later holds.
 * @param fallback for everyone whom no rule serves; undefined: they get nothing.
 */
export function compileGeography<Value extends {}>(
  rules: readonly PlaceRule<Value>[],
  fallback: Value | undefined,
): Geography<Value> {
  const colos = new Map<string, Value>();
  /** By country and then by code: a joined key would have to be made for each lookup. */
  const regions = new Map<string, Map<string, Value>>();
  const countries = new Map<string, Value>();
  const continents = new Map<string, Value>();
  for (const { place, value } of rules) {
    if (place.kind === "colo") colos.set(place.code, value);
    if (place.kind === "country") countries.set(place.code, value);
    if (place.kind === "continent") continents.set(place.code, value);
    if (place.kind !== "region") continue;
    const ofCountry = regions.get(place.country) ?? new Map<string, Value>();
    regions.set(place.country, ofCountry.set(place.code, value));
  }
  return { find };

  function find(whereabouts: Whereabouts, isUsable: (value: Value) => boolean = always): Value | undefined {
    const country = textOf(whereabouts?.["country"]) ?? UNKNOWN_COUNTRY;
    const byColo = valueOf(colos, whereabouts?.["colo"]);
    if (byColo !== undefined && isUsable(byColo)) return byColo;
    const ofCountry = regions.get(country);
    const byRegion = ofCountry === undefined ? undefined : valueOf(ofCountry, whereabouts?.["regionCode"]);
    if (byRegion !== undefined && isUsable(byRegion)) return byRegion;
    const byCountry = countries.get(country);
    if (byCountry !== undefined && isUsable(byCountry)) return byCountry;
    const byContinent = valueOf(continents, whereabouts?.["continent"]);
    if (byContinent !== undefined && isUsable(byContinent)) return byContinent;
    return fallback !== undefined && isUsable(fallback) ? fallback : undefined;
  }
}

function valueOf<Value>(values: ReadonlyMap<string, Value>, code: unknown): Value | undefined {
  return typeof code === "string" ? values.get(code) : undefined;
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function always(): boolean {
  return true;
}
