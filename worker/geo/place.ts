/** Somewhere on the map, from the narrowest to the widest. Codes in capitals. */
export type Place =
  /** A data center of Cloudflare's, by the IATA code of its airport: where the request came in, not where the client is. */
  | { readonly kind: "colo"; readonly code: string }
  /** By the part of ISO 3166-2 after the country: Texas is TX of the US. */
  | { readonly kind: "region"; readonly country: string; readonly code: string }
  /** ISO 3166-1, two letters; T1 is Tor, XX an unknown one. */
  | { readonly kind: "country"; readonly code: string }
  | { readonly kind: "continent"; readonly code: string };

/** Stands for a country that isn't known, as in Cloudflare's own fields. */
export const UNKNOWN_COUNTRY = "XX";

const COLO = /^[A-Z]{3}$/;
const COUNTRY = /^(?:[A-Z]{2}|T1)$/;
const REGION = /^[A-Z0-9]{1,3}$/;
/** T1 is Tor's: nobody knows on which it is. */
const CONTINENTS: readonly string[] = ["AF", "AN", "AS", "EU", "NA", "OC", "SA", "T1"];

/** What is wrong with a place, in words; undefined: nothing. */
export function placeProblem(place: Place): string | undefined {
  const { kind, code } = place;
  switch (kind) {
    case "colo":
      return COLO.test(code) ? undefined : wanted("colo", code, "three capitals, such as FRA");
    case "region":
      if (!COUNTRY.test(place.country)) return countryWanted(place.country);
      return REGION.test(code) ? undefined : wanted("region", code, "one to three capitals or digits, such as TX");
    case "country":
      return COUNTRY.test(code) ? undefined : countryWanted(code);
    case "continent":
      return CONTINENTS.includes(code) ? undefined : wanted("continent", code, `one of ${CONTINENTS.join(", ")}`);
  }
}

/** A place in words, the same for the same place. */
export function formatPlace(place: Place): string {
  return place.kind === "region" ? `region ${place.country}-${place.code}` : `${place.kind} ${place.code}`;
}

function countryWanted(got: string): string {
  return wanted("country", got, "two capitals, such as DE, or T1 for Tor");
}

function wanted(what: string, got: string, want: string): string {
  return `${what}: got ${got.slice(0, 80)}, wanted ${want}`;
}
