import * as v from "valibot";
import type { Place } from "../placement-types.ts";

const WANTED =
  'a place in capitals: "DE" (a country; "XX" an unknown one, "T1" Tor), "US-TX" (a region), "FRA" (a data center) or "continent:EU"';
const CONTINENTS: ReadonlySet<string> = new Set(["AF", "AN", "AS", "EU", "NA", "OC", "SA"]);
/** Afghanistan or Africa, American Samoa or Asia, Namibia or North America, Saudi Arabia or South America. */
const AMBIGUOUS: ReadonlySet<string> = new Set(["AF", "AS", "NA", "SA"]);

/**
 * A place as users write it: `KIND:CODE`, or the code alone where it can mean one thing. Three letters are a data center, two with a
 * dash a region, two a country; `EU`, `OC` and `AN` are continents, as no country has these codes.
 */
export const placeName = v.pipe(
  v.string(WANTED),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const found = readPlace(dataset.value);
    if (typeof found !== "string") return found;
    addIssue({ message: found });
    return NEVER;
  }),
);

/** A place as it is written in full, the same for the same place. */
export function formatPlace(one: Place): string {
  return one.kind === "region" ? `region:${one.country}-${one.code}` : `${one.kind}:${one.code}`;
}

/** The place, or what is wanted instead. */
function readPlace(text: string): Place | string {
  const [, stated, code = ""] = /^(?:(colo|region|country|continent):)?([A-Z0-9-]{2,6})$/.exec(text) ?? [];
  if (stated === undefined && AMBIGUOUS.has(code))
    return `"country:${code}" or "continent:${code}": either may be meant`;
  const kind = stated ?? kindOf(code);
  if (kind === "continent" && CONTINENTS.has(code)) return { kind, code };
  if (kind === "country" && /^(?:[A-Z]{2}|T1)$/.test(code)) return { kind, code };
  if (kind === "colo" && /^[A-Z]{3}$/.test(code)) return { kind, code };
  const [, country, part] = /^([A-Z]{2})-([A-Z0-9]{1,3})$/.exec(code) ?? [];
  return kind === "region" && country !== undefined && part !== undefined ? { kind, country, code: part } : WANTED;
}

function kindOf(code: string): Place["kind"] {
  if (code.includes("-")) return "region";
  if (code.length === 3) return "colo";
  return CONTINENTS.has(code) ? "continent" : "country";
}
