import { formatPlace, placeProblem, UNKNOWN_COUNTRY, type Place } from "./place.ts";

/** What requests from a place get. */
export interface PlaceRule<Value> {
  readonly place: Place;
  readonly value: Value;
}

/** What a request says of where it comes from: `request.cf`, as it may really be. */
export type Placement = Readonly<Record<string, unknown>> | null | undefined;

/** Finds what requests from a placement get. */
export interface Geography<Value> {
  /**
   * The value of the most specific rule that is usable: the data center's, the region's, the country's, the continent's, and last the
   * default. Nothing is allocated.
   *
   * @param isUsable passes over what can't be had at the moment. Default: everything can.
   * @returns undefined when nothing is left.
   */
  find(placement: Placement, isUsable?: (value: Value) => boolean): Value | undefined;
}

/** All problems at once, in words. */
export type CompiledGeography<Value> =
  | { readonly ok: true; readonly geography: Geography<Value> }
  | { readonly ok: false; readonly problems: readonly string[] };

/**
 * Compiles rules into tables. The order of the rules doesn't matter: the narrower place wins, as with Cloudflare's load balancer
 * (`pop_pools`, `country_pools`, `region_pools`, default). Two rules for one place are a problem, and so is a code that no place can have.
 *
 * @param fallback for everyone whom no rule serves; undefined: they get nothing.
 */
export function compileGeography<Value extends {}>(
  rules: readonly PlaceRule<Value>[],
  fallback: Value | undefined,
): CompiledGeography<Value> {
  const problems = problemsOf(rules.map(({ place }) => place));
  if (problems.length > 0) return { ok: false, problems };
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
  return { ok: true, geography: { find } };

  function find(placement: Placement, isUsable: (value: Value) => boolean = always): Value | undefined {
    const country = textOf(placement?.["country"]) ?? UNKNOWN_COUNTRY;
    const byColo = valueOf(colos, placement?.["colo"]);
    if (byColo !== undefined && isUsable(byColo)) return byColo;
    const ofCountry = regions.get(country);
    const byRegion = ofCountry === undefined ? undefined : valueOf(ofCountry, placement?.["regionCode"]);
    if (byRegion !== undefined && isUsable(byRegion)) return byRegion;
    const byCountry = countries.get(country);
    if (byCountry !== undefined && isUsable(byCountry)) return byCountry;
    const byContinent = valueOf(continents, placement?.["continent"]);
    if (byContinent !== undefined && isUsable(byContinent)) return byContinent;
    return fallback !== undefined && isUsable(fallback) ? fallback : undefined;
  }
}

function problemsOf(places: readonly Place[]): readonly string[] {
  const problems: string[] = [];
  const seen = new Set<string>();
  for (const place of places) {
    const name = formatPlace(place);
    const problem = placeProblem(place) ?? (seen.has(name) ? `${name}: got two rules, wanted one` : undefined);
    if (problem !== undefined) problems.push(problem);
    seen.add(name);
  }
  return problems;
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
