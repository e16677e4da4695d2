import { createServer, type Server } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../support/backend-fleet.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";

/** Where a request comes from: colo, country, code of the region, continent. */
type Where = Readonly<Record<string, unknown>>;

const AT_PLACES = [
  ["frankfurt", ["FRA"]],
  ["houston", ["colo:IAH"]],
  ["texas", ["US-TX"]],
  ["bavaria", ["region:DE-BY"]],
  ["delhi", ["IN-07"]],
  ["germany", ["DE"]],
  ["britain", ["country:GB"]],
  ["usa", ["US"]],
  ["namibia", ["country:NA"]],
  ["arabia", ["country:SA"]],
  ["tor", ["T1"]],
  ["europe", ["EU"]],
  ["america", ["continent:NA", "continent:SA"]],
  ["asia", ["continent:AS"]],
] as const;

const PLACEMENTS: readonly (readonly [what: string, where: Where, expected: string])[] = [
  ["a colo before its region, country and continent", at("FRA", "DE", "BY", "EU"), "frankfurt"],
  ["a colo alone", { colo: "FRA" }, "frankfurt"],
  ["a colo, for a client from elsewhere", at("FRA", "US", "TX", "NA"), "frankfurt"],
  ["a colo written with its kind", at("IAH", "MX", "NLE", "NA"), "houston"],
  ["a region before its country", at("DFW", "US", "TX", "NA"), "texas"],
  ["a region written with its kind", at("MUC", "DE", "BY", "EU"), "bavaria"],
  ["a region of digits", at("DEL", "IN", "07", "AS"), "delhi"],
  ["a region without a rule", at("JFK", "US", "NY", "NA"), "usa"],
  ["a region's code in another country", at("MUC", "US", "BY", "NA"), "usa"],
  ["a region in small letters", at("DFW", "US", "tx", "NA"), "usa"],
  ["a region without its country", { regionCode: "TX", continent: "NA" }, "america"],
  ["a region that is missing", { country: "US", continent: "NA" }, "usa"],
  ["a region that is a number", { country: "IN", regionCode: 7, continent: "AS" }, "asia"],
  ["a region that is empty", at("DFW", "US", "", "NA"), "usa"],
  ["a country before its continent", at("LHR", "GB", "ENG", "EU"), "britain"],
  ["a country alone", { country: "DE" }, "germany"],
  ["a country in small letters", { country: "de", continent: "EU" }, "europe"],
  ["a country of three letters", { country: "DEU", continent: "EU" }, "europe"],
  ["a country without a rule", at("WAW", "PL", "14", "EU"), "europe"],
  ["a country with a continent's code", at("WDH", "NA", "KH", "AF"), "namibia"],
  ["a continent with a country's code", at("YYZ", "CA", "ON", "NA"), "america"],
  ["Saudi Arabia, which is in Asia", at("RUH", "SA", "01", "AS"), "arabia"],
  ["South America", at("GRU", "BR", "SP", "SA"), "america"],
  ["Tor", at("AMS", "T1", undefined, "T1"), "tor"],
  ["Tor in a colo with a rule", at("FRA", "T1", undefined, "T1"), "frankfurt"],
  ["an unknown country of a known continent", { country: "XX", continent: "EU" }, "europe"],
  ["an unknown country", { country: "XX" }, "anywhere"],
  ["a country that is missing", { continent: "EU" }, "europe"],
  ["a country that is empty", { country: "", continent: "AS" }, "asia"],
  ["a country that is null", { country: null, continent: "EU" }, "europe"],
  ["a country that is an object", { country: { code: "DE" }, continent: "EU" }, "europe"],
  ["nothing at all", {}, "anywhere"],
  ["a continent alone of a country that has no rule", { country: "KR", continent: "AS" }, "asia"],
  ["a continent without a rule", at("SYD", "AU", "NSW", "OC"), "anywhere"],
  ["Africa", at("CPT", "ZA", "WC", "AF"), "anywhere"],
  ["Antarctica", { country: "AQ", continent: "AN" }, "anywhere"],
  ["a continent in small letters", { country: "FR", continent: "eu" }, "anywhere"],
  ["a continent that is a list", { country: "FR", continent: ["EU"] }, "anywhere"],
  ["an unknown colo", at("ZZZ", "AU", "NSW", "OC"), "anywhere"],
  ["a colo in small letters", at("fra", "AU", "NSW", "OC"), "anywhere"],
  ["a colo that is a number", { colo: 1, country: "DE" }, "germany"],
  ["names that every object has", at("constructor", "__proto__", "toString", "valueOf"), "anywhere"],
];

/** Answers with the first segment of the path that it is asked for, which says whose target it is, and how often it was asked. */
let origin: Server;
let asked: Record<string, number> = {};
let gateway: Gateway;

beforeAll(async () => {
  origin = createServer((request, response) => {
    const name = (request.url ?? "").split("/")[1] ?? "";
    asked[name] = (asked[name] ?? 0) + 1;
    response.setHeader("cache-control", "max-age=60");
    response.end(name);
  });
  await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
  const address = origin.address();
  if (address === null || typeof address === "string") throw new Error("the origin has no port");
  const urlOf = (name: string) => `http://127.0.0.1:${address.port}/${name}`;
  const names = [...AT_PLACES.map(([name]) => name), "anywhere", "near", "far"];
  const guarded = { circuitBreaker: true };
  gateway = await startGateway({
    entry: "tests/support/cf-entry.ts",
    config: {
      allowPrivateTargets: true,
      routes: [
        {
          id: "backends",
          prefix: "/backends",
          backend: "anywhere",
          geo: { rules: AT_PLACES.map(([backend, places]) => ({ places, backend })) },
        },
        { id: "targets", prefix: "/targets", backend: "targets" },
        {
          id: "kept",
          prefix: "/kept",
          backend: "anywhere",
          cache: { ttl: 60 },
          geo: { rules: [{ places: ["EU"], backend: "near" }] },
        },
        {
          id: "fallbacks",
          prefix: "/fallbacks",
          backend: "home",
          geo: {
            rules: [
              { places: ["EU"], backend: "continental" },
              { places: ["DE"], backend: "national" },
            ],
          },
        },
        { id: "spilling", prefix: "/spilling", backend: "spilling" },
      ],
      backends: {
        ...Object.fromEntries(names.map((name) => [name, { targets: [{ url: urlOf(name) }] }])),
        targets: {
          targets: [
            { url: urlOf("anywhere") },
            ...AT_PLACES.map(([name, places]) => ({ url: urlOf(name), regions: places })),
          ],
        },
        home: { targets: [{ url: urlOf("home") }], ...guarded },
        continental: { targets: [{ url: urlOf("continental") }], ...guarded },
        national: { targets: [{ url: urlOf("national") }], ...guarded },
        spilling: {
          targets: [
            { url: urlOf("german"), regions: ["DE"] },
            { url: urlOf("european"), regions: ["EU"] },
            { url: urlOf("american"), regions: ["US"] },
          ],
          ...guarded,
        },
      },
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  origin.closeAllConnections();
  origin.close();
});

async function ask(path: string, where: Where, method = "GET"): Promise<string> {
  const headers = { "x-test-cf": JSON.stringify(where) };
  return (await fetch(`${gateway.url}${path}`, { method, headers })).text();
}

async function order(path: string, body: object = {}): Promise<void> {
  const headers = { authorization: `Bearer ${gateway.adminToken}` };
  const init = { method: "POST", headers, body: JSON.stringify(body) };
  const { status } = await fetch(`${gateway.url}/admin${path}`, init);
  expect(status).toBe(200);
}

describe("a request from somewhere", () => {
  it.each(PLACEMENTS)("goes to the backend of its place: %s", async (_what, where, expected) => {
    expect(await ask("/backends/a", where)).toBe(expected);
  });

  it.each(PLACEMENTS)("goes to the target that is for its place: %s", async (_what, where, expected) => {
    expect(await ask("/targets/a", where)).toBe(expected);
  });

  it("is in the log with the place by whose rule it was placed", async () => {
    await ask("/backends/logged", at("FRA", "DE", "BY", "EU"));
    await ask("/backends/logged", {});
    await eventually("both lines", () => placesOf("/backends/logged").length === 2);
    expect(placesOf("/backends/logged")).toEqual(["colo:FRA", "default"]);
  });

  it("without anything that says where it comes from is served by default", async () => {
    expect(await (await fetch(`${gateway.url}/backends/a`)).text()).toBe("anywhere");
  });
});

describe("what can't be had", () => {
  const german = at("MUC", "DE", "BY", "EU");

  it("is passed over for a wider place's backend, for the route's own at last, and refused where nothing is left; had again when it can be", async () => {
    expect(await ask("/fallbacks/a", german)).toBe("national");
    await order("/backends/national/open");
    await eventually("the nation's to be passed over", async () => (await ask("/fallbacks/a", german)) !== "national");
    expect(await ask("/fallbacks/a", german)).toBe("continental");
    await order("/backends/continental/open");
    await eventually("the continent's, too", async () => (await ask("/fallbacks/a", german)) === "home");
    await order("/backends/home/open");
    // The backend of its place says so then.
    await eventually("a refusal", async () => (await ask("/fallbacks/a", german)).includes("breaker-open"));
    for (const name of ["national", "continental", "home"]) await order(`/backends/${name}/auto`);
    await eventually("all to be back", async () => (await ask("/fallbacks/a", german)) === "national");
  });

  it("is passed over among targets: for a wider place's, at last for another's", async () => {
    const urlOf = (name: string) => `${originUrl()}/${name}`;
    expect(await ask("/spilling/a", german)).toBe("german");
    await order("/backends/spilling/open", { target: urlOf("german") });
    await eventually("the next", async () => (await ask("/spilling/a", german)) === "european");
    await order("/backends/spilling/open", { target: urlOf("european") });
    await eventually("any", async () => (await ask("/spilling/a", german)) === "american");
    await order("/backends/spilling/auto");
    await eventually("the first again", async () => (await ask("/spilling/a", german)) === "german");
  });
});

describe("what is kept", () => {
  it("is for one placement alone, and gone from all of them by a request with an effect", async () => {
    const european = { country: "FR", continent: "EU" };
    const american = { country: "US", continent: "NA" };
    asked = {};
    for (let times = 0; times < 2; times++) {
      expect(await ask("/kept/a", european)).toBe("near");
      expect(await ask("/kept/a", american)).toBe("anywhere");
    }
    expect(asked).toEqual({ near: 1, anywhere: 1 });
    await ask("/kept/a", american, "POST");
    asked = {};
    await eventually("what is kept to be gone", async () => {
      await Promise.all([ask("/kept/a", european), ask("/kept/a", american)]);
      return asked["near"] === 1 && asked["anywhere"] === 1;
    });
  });
});

function originUrl(): string {
  const address = origin.address();
  if (address === null || typeof address === "string") throw new Error("the origin has no port");
  return `http://127.0.0.1:${address.port}`;
}

function placesOf(path: string): readonly unknown[] {
  const lines = gateway.logs().filter((line) => line["path"] === path);
  return lines.map((line) => line["place"]);
}

function at(colo: string, country: string, regionCode: string | undefined, continent: string): Where {
  return { colo, country, regionCode, continent };
}
