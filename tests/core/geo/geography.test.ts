import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Place } from "../../../schemas/index.ts";
import { compileGeography, type PlaceRule, type Whereabouts } from "../../../worker/geo/geography.ts";

const colo = (code: string): Place => ({ kind: "colo", code });
const region = (country: string, code: string): Place => ({ kind: "region", country, code });
const country = (code: string): Place => ({ kind: "country", code });
const continent = (code: string): Place => ({ kind: "continent", code });

const RULES: readonly PlaceRule<string>[] = [
  { place: continent("EU"), value: "europe" },
  { place: continent("NA"), value: "north-america" },
  { place: continent("AS"), value: "asia" },
  { place: continent("SA"), value: "south-america" },
  { place: country("DE"), value: "germany" },
  { place: country("GB"), value: "britain" },
  { place: country("US"), value: "usa" },
  { place: country("NA"), value: "namibia" },
  { place: country("SA"), value: "saudi-arabia" },
  { place: country("T1"), value: "tor" },
  { place: country("XX"), value: "unknown" },
  { place: region("US", "TX"), value: "texas" },
  { place: region("US", "CA"), value: "california" },
  { place: region("DE", "BY"), value: "bavaria" },
  { place: region("FR", "IDF"), value: "paris" },
  { place: region("IN", "07"), value: "delhi" },
  { place: colo("FRA"), value: "frankfurt" },
  { place: colo("IAH"), value: "houston" },
];

describe("a placement", () => {
  const geography = compileGeography(RULES, "default");

  it.each<[string, Whereabouts, string]>([
    ["colo before region, country and continent", at("FRA", "DE", "BY", "EU"), "frankfurt"],
    ["colo alone", { colo: "FRA" }, "frankfurt"],
    ["colo of a client from elsewhere", at("FRA", "US", "TX", "NA"), "frankfurt"],
    ["another colo with a rule", at("IAH", "MX", "NLE", "NA"), "houston"],
    ["region before country", at("DFW", "US", "TX", "NA"), "texas"],
    ["another region of that country", at("SJC", "US", "CA", "NA"), "california"],
    ["region without a rule", at("JFK", "US", "NY", "NA"), "usa"],
    ["region of a country without a rule", at("CDG", "FR", "IDF", "EU"), "paris"],
    ["region with digits", at("DEL", "IN", "07", "AS"), "delhi"],
    ["region code of another country", at("MUC", "US", "BY", "NA"), "usa"],
    ["the same code in its own country", at("MUC", "DE", "BY", "EU"), "bavaria"],
    ["region in small letters", at("DFW", "US", "tx", "NA"), "usa"],
    ["region without a country", { regionCode: "TX", continent: "NA" }, "unknown"],
    ["region that is missing", { country: "US", continent: "NA" }, "usa"],
    ["region that is a number", { country: "IN", regionCode: 7, continent: "AS" }, "asia"],
    ["region that is empty", at("DFW", "US", "", "NA"), "usa"],
    ["country before continent", at("LHR", "GB", "ENG", "EU"), "britain"],
    ["country alone", { country: "DE" }, "germany"],
    ["country in small letters", { country: "de", continent: "EU" }, "europe"],
    ["country without a rule", at("WAW", "PL", "14", "EU"), "europe"],
    ["country of three letters", { country: "DEU", continent: "EU" }, "europe"],
    ["country that is a continent's code", at("WDH", "NA", "KH", "AF"), "namibia"],
    ["continent that is a country's code", at("YYZ", "CA", "ON", "NA"), "north-america"],
    ["country SA, which is Asian", at("RUH", "SA", "01", "AS"), "saudi-arabia"],
    ["continent SA", at("GRU", "BR", "SP", "SA"), "south-america"],
    ["Tor", at("AMS", "T1", undefined, "T1"), "tor"],
    ["Tor in a colo with a rule", at("FRA", "T1", undefined, "T1"), "frankfurt"],
    ["unknown country, known continent", { country: "XX", continent: "EU" }, "unknown"],
    ["unknown country", { country: "XX" }, "unknown"],
    ["country that is missing", { continent: "EU" }, "unknown"],
    ["country that is empty", { country: "", continent: "EU" }, "unknown"],
    ["country that is null", { country: null, continent: "EU" }, "unknown"],
    ["country that is an object", { country: { code: "DE" }, continent: "EU" }, "unknown"],
    ["nothing at all", {}, "unknown"],
    ["no cf", undefined, "unknown"],
    ["cf that is null", null, "unknown"],
    ["continent alone of a known country", { country: "KR", continent: "AS" }, "asia"],
    ["continent without a rule", at("SYD", "AU", "NSW", "OC"), "default"],
    ["Africa", at("CPT", "ZA", "WC", "AF"), "default"],
    ["Antarctica", { country: "AQ", continent: "AN" }, "default"],
    ["continent in small letters", { country: "FR", continent: "eu" }, "default"],
    ["continent that is a list", { country: "FR", continent: ["EU"] }, "default"],
    ["colo that is unknown", at("ZZZ", "AU", "NSW", "OC"), "default"],
    ["colo in small letters", at("fra", "AU", "NSW", "OC"), "default"],
    ["colo that is a number", { colo: 1, country: "DE" }, "germany"],
    ["a name of every object's", at("constructor", "__proto__", "toString", "valueOf"), "default"],
  ])("%s", (_what, placement, expected) => {
    expect(geography.find(placement)).toBe(expected);
  });

  it("without any rule that fits, and without a default, gets nothing", () => {
    expect(compileGeography(RULES, undefined).find(at("SYD", "AU", "NSW", "OC"))).toBeUndefined();
  });

  it("of an unknown country falls to its continent where XX has no rule", () => {
    const rules = RULES.filter(({ value }) => value !== "unknown");
    expect([
      compileGeography(rules, undefined).find({ continent: "EU" }),
      compileGeography(rules, undefined).find({}),
    ]).toEqual(["europe", undefined]);
  });
});

describe("what can't be had", () => {
  it.each([
    [[], "frankfurt"],
    [["frankfurt"], "bavaria"],
    [["frankfurt", "bavaria"], "germany"],
    [["frankfurt", "bavaria", "germany"], "europe"],
    [["bavaria", "germany", "europe"], "frankfurt"],
    [["frankfurt", "bavaria", "germany", "europe"], "default"],
    [["frankfurt", "bavaria", "germany", "europe", "default"], undefined],
  ])("%j is passed over for the next", (gone, expected) => {
    const geography = compileGeography(RULES, "default");
    expect(geography.find(at("FRA", "DE", "BY", "EU"), (value) => !gone.includes(value))).toBe(expected);
  });
});

describe("any rules", () => {
  const anyPlace = fc.oneof(
    fc.constantFrom("FRA", "LHR").map(colo),
    fc.tuple(fc.constantFrom("DE", "US"), fc.constantFrom("BY", "TX")).map(([of, code]) => region(of, code)),
    fc.constantFrom("DE", "US", "XX").map(country),
    fc.constantFrom("EU", "NA").map(continent),
  );
  const anyWhereabouts = fc.record({
    colo: fc.constantFrom("FRA", "LHR", "SYD", undefined),
    country: fc.constantFrom("DE", "US", "FR", "XX", undefined),
    regionCode: fc.constantFrom("BY", "TX", "NY", undefined),
    continent: fc.constantFrom("EU", "NA", "AF", undefined),
  });

  it("give the narrowest usable one, whatever their order", () => {
    const anyRules = fc.uniqueArray(anyPlace, { selector: (place) => JSON.stringify(place), maxLength: 9 });
    fc.assert(
      fc.property(anyRules, anyWhereabouts, fc.nat(4), (places, placement, unusable) => {
        const rules = places.map((place, index) => ({ place, value: { place, index } }));
        const usable = ({ index }: { index: number }) => index !== unusable;
        const { country: of = "XX" } = placement;
        const fits = (place: Place) =>
          (place.kind === "colo" && place.code === placement.colo) ||
          (place.kind === "region" && place.country === of && place.code === placement.regionCode) ||
          (place.kind === "country" && place.code === of) ||
          (place.kind === "continent" && place.code === placement.continent);
        const order = ["colo", "region", "country", "continent"];
        const expected = rules
          .filter(({ place, value }) => fits(place) && usable(value))
          .sort((a, b) => order.indexOf(a.place.kind) - order.indexOf(b.place.kind))[0]?.value;
        expect(compileGeography(rules, undefined).find(placement, usable)).toBe(expected);
        expect(compileGeography(rules.toReversed(), undefined).find(placement, usable)).toBe(expected);
      }),
      { numRuns: 2_000 },
    );
  });
});

function at(code: string, of: string, part: string | undefined, onContinent: string): Whereabouts {
  return { colo: code, country: of, regionCode: part, continent: onContinent };
}
