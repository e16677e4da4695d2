import { describe, expect, it } from "vitest";
import { DEFAULT_ABORT } from "../../../schemas/policies/canary.ts";
import { configOf, problemsOf, warningsOf } from "./documents.ts";

const backends = {
  eu: { targets: [{ url: "https://eu.example.com" }], timeouts: { headers: "2s", total: "3s" } },
  us: { targets: [{ url: "https://us.example.com" }], circuitBreaker: { failureThreshold: 9 } },
  main: { targets: [{ url: "https://main.example.com" }] },
};
const PLACE =
  'a place in capitals: "DE" (a country; "XX" an unknown one, "T1" Tor), "US-TX" (a region), "FRA" (a data center) or "continent:EU"';

function documentOf(route: object, more: object = {}) {
  return { backends, routes: [{ id: "r", prefix: "/", backend: "main", ...route }], ...more };
}

function routeOf(route: object, more: object = {}) {
  const [found] = configOf(documentOf(route, more)).routes;
  if (found === undefined) throw new Error("the document has a route");
  return found;
}

function placesOf(...places: readonly string[]) {
  return routeOf({ geo: { rules: [{ places, backend: "eu" }] } }).geo?.rules.map(({ place }) => place);
}

describe("a place", () => {
  it.each([
    ["DE", { kind: "country", code: "DE" }],
    ["XX", { kind: "country", code: "XX" }],
    ["T1", { kind: "country", code: "T1" }],
    ["EU", { kind: "continent", code: "EU" }],
    ["OC", { kind: "continent", code: "OC" }],
    ["AN", { kind: "continent", code: "AN" }],
    ["FRA", { kind: "colo", code: "FRA" }],
    ["US-TX", { kind: "region", country: "US", code: "TX" }],
    ["IN-07", { kind: "region", country: "IN", code: "07" }],
    ["GB-ENG", { kind: "region", country: "GB", code: "ENG" }],
    ["country:NA", { kind: "country", code: "NA" }],
    ["continent:NA", { kind: "continent", code: "NA" }],
    ["continent:AF", { kind: "continent", code: "AF" }],
    ["colo:SIN", { kind: "colo", code: "SIN" }],
    ["region:DE-BY", { kind: "region", country: "DE", code: "BY" }],
  ])("%s is %j", (text, expected) => {
    expect(placesOf(text)).toEqual([expected]);
  });

  it.each([
    ["AF", '"country:AF" or "continent:AF": either may be meant'],
    ["AS", '"country:AS" or "continent:AS": either may be meant'],
    ["NA", '"country:NA" or "continent:NA": either may be meant'],
    ["SA", '"country:SA" or "continent:SA": either may be meant'],
    ["", PLACE],
    ["de", PLACE],
    ["Germany", PLACE],
    ["D", PLACE],
    ["12", PLACE],
    ["continent:DE", PLACE],
    ["continent:XX", PLACE],
    ["colo:DE", PLACE],
    ["country:DEU", PLACE],
    ["US-", PLACE],
    ["US-TEXAS", PLACE],
    ["USA-TX", PLACE],
    ["region:TX", PLACE],
    ["planet:EU", PLACE],
    ["EU ", PLACE],
  ])("%j is refused", (text, wanted) => {
    const problem = { path: "routes[0].geo.rules[0].places[0]", got: JSON.stringify(text), wanted };
    expect(problemsOf(documentOf({ geo: { rules: [{ places: [text], backend: "eu" }] } }))).toEqual([problem]);
  });

  it.each([
    ["UK", '"UK" is no code of ISO 3166-1, the United Kingdom is "GB"'],
    ["country:EU", 'Europe is no country but "continent:EU"'],
    ["ZZ", '"ZZ" is no country\'s code in ISO 3166-1'],
    ["ZZ-1", '"ZZ" is no country\'s code in ISO 3166-1'],
  ])("%s, where nobody is, is warned of", (text, hint) => {
    const message = `no request is ever from here: ${hint}`;
    const geo = { rules: [{ places: ["DE", text], backend: "eu" }] };
    const targets = [{ url: "https://a.example.com", regions: [text] }, { url: "https://b.example.com" }];
    const routes = [
      { prefix: "/", backend: "main", geo },
      { prefix: "/a", backend: "us" },
      { prefix: "/b", backend: "a" },
    ];
    expect(warningsOf({ backends: { ...backends, a: { targets } }, routes })).toEqual([
      { path: "routes[0].geo.rules[0].places[1]", message },
      { path: "backends.a.targets[0].regions[0]", message },
    ]);
  });

  it("is known where there is a country, Kosovo, Tor and nowhere among them", () => {
    const rules = [{ places: ["GB", "country:AF", "XK", "T1", "XX", "FR-IDF"], backend: "eu" }];
    expect(
      warningsOf({
        backends: { eu: backends.eu, main: backends.main },
        routes: [{ prefix: "/", backend: "main", geo: { rules } }],
      }),
    ).toEqual([]);
  });

  it("has one rule", () => {
    const rules = [
      { places: ["DE", "FRA"], backend: "eu" },
      { places: ["country:DE"], backend: "us" },
    ];
    expect(problemsOf(documentOf({ geo: { rules } }))).toMatchObject([
      {
        path: "routes[0].geo.rules[1].places[0]",
        got: '"country:DE"',
        wanted: "each place once: rules[0].places[0] is this one",
      },
    ]);
  });
});

describe("a route by place and by lot", () => {
  it("has an alternative for each other backend, with that one's timeouts and breaker", () => {
    const geo = {
      rules: [
        { places: ["EU"], backend: "eu" },
        { places: ["US"], backend: "us" },
        { places: ["DE"], backend: "main" },
      ],
    };
    const canary = { variants: [{ backend: "us", percent: 5 }] };
    const { alternatives, ...own } = routeOf({ geo, canary });
    expect(alternatives).toEqual([
      { ...own, alternatives: [], backend: "eu", timeouts: { ...own.timeouts, headers: 2_000 } },
      {
        ...own,
        alternatives: [],
        backend: "us",
        circuitBreaker: expect.objectContaining({ policy: expect.objectContaining({ failureThreshold: 9 }) }),
      },
    ]);
  });

  it("takes its own breaker along, and no fallback to where it is", () => {
    const geo = { rules: [{ places: ["EU"], backend: "eu" }] };
    const route = { geo, circuitBreaker: { fallback: { backend: "eu" } } };
    const { circuitBreaker, alternatives } = routeOf(route);
    expect(alternatives.map((one) => one.circuitBreaker)).toEqual([{ ...circuitBreaker, fallback: undefined }]);
  });

  it("takes both from the top level, and removes them", () => {
    const top = {
      geo: { rules: [{ places: ["EU"], backend: "eu" }] },
      canary: { variants: [{ backend: "us", percent: 5 }] },
    };
    const { geo, canary } = routeOf({}, top);
    expect([geo?.rules.length, canary?.variants.length]).toEqual([1, 1]);
    const removed = routeOf({ geo: false, canary: { ...top.canary, enabled: false } }, top);
    expect(removed).toMatchObject({ geo: undefined, canary: undefined, alternatives: [] });
  });

  it("may only name backends that there are", () => {
    const geo = { rules: [{ places: ["EU"], backend: "eux" }] };
    const canary = { variants: [{ backend: "next", percent: 5 }] };
    expect(problemsOf(documentOf({ geo }, { canary })).map(({ path, got }) => [path, got])).toEqual([
      ["canary.variants[0].backend", '"next"'],
      ["routes[0].geo.rules[0].backend", '"eux"'],
    ]);
  });
});

describe("a canary", () => {
  it("that says who gets what alone has defaults for the rest", () => {
    expect(routeOf({ canary: { variants: [{ backend: "us", percent: 5 }] } }).canary).toEqual({
      name: "r",
      variants: [{ name: "us", backend: "us", percent: 5 }],
      by: [{ kind: "ip" }],
      header: undefined,
      cookie: undefined,
      abort: DEFAULT_ABORT,
    });
  });

  it("has what it says", () => {
    const canary = {
      name: "search-2",
      variants: [
        { name: "b", backend: "us", percent: 12.5 },
        { name: "c", backend: "us", percent: 0 },
      ],
      by: ["header:X-User", "cookie:Session"],
      header: "X-Canary",
      cookie: "Canary",
      abort: { window: "10s", minimumRequests: 20, falseAborts: 0.01, errors: { ratio: 2 }, latency: false },
    };
    expect(routeOf({ canary }).canary).toEqual({
      name: "search-2",
      variants: canary.variants,
      by: [
        { kind: "header", name: "x-user" },
        { kind: "cookie", name: "Session" },
      ],
      header: "x-canary",
      cookie: "Canary",
      abort: {
        windowMs: 10_000,
        minimumRequests: 20,
        falseAborts: 0.01,
        errors: { ratio: 2, gap: 0.01 },
        times: null,
      },
    });
  });

  it.each([
    [true, DEFAULT_ABORT],
    [{}, DEFAULT_ABORT],
    [false, null],
    [{ enabled: false }, null],
    [{ errors: false }, { ...DEFAULT_ABORT, errors: null }],
    [{ latency: { quantile: 0.5 } }, { ...DEFAULT_ABORT, times: { quantile: 0.5, ratio: 1.5 } }],
  ])("with the abort %j judges by %j", (abort, expected) => {
    expect(routeOf({ canary: { variants: [{ backend: "us", percent: 5 }], abort } }).canary?.abort).toEqual(expected);
  });

  const variant = { backend: "us", percent: 5 };
  it.each<[object, string]>([
    [{ variants: [] }, "canary.variants"],
    [{ variants: [variant, { backend: "eu", percent: 95.1 }] }, "canary.variants"],
    [{ variants: Array.from({ length: 8 }, (_, index) => ({ ...variant, name: `v${index}` })) }, "canary.variants"],
    [{ variants: [{ ...variant, percent: "5" }] }, "canary.variants[0].percent"],
    [{ variants: [{ ...variant, percent: -1 }] }, "canary.variants[0].percent"],
    [{ variants: [variant], by: "all" }, "canary.by"],
    [{ variants: [variant], by: "route" }, "canary.by"],
    [{ variants: [variant], header: "not a name" }, "canary.header"],
    [{ variants: [variant], abort: { window: "500ms" } }, "canary.abort.window"],
    [{ variants: [variant], abort: { falseAborts: 0 } }, "canary.abort.falseAborts"],
    [{ variants: [variant], abort: { errors: { ratio: 0.9 } } }, "canary.abort.errors.ratio"],
    [{ variants: [variant], abort: { latency: { quantile: 1 } } }, "canary.abort.latency.quantile"],
  ])("%j is refused", (canary, path) => {
    expect(problemsOf(documentOf({ canary })).map((problem) => problem.path)).toEqual([`routes[0].${path}`]);
  });

  const REST = "the route's own backend has what they leave";
  it.each<[object | number, string, string, string]>([
    [
      { variants: [variant, variant] },
      "variants[1].backend",
      '"us"',
      'a name that no other has: variants[0] is called so, so say one in "name"',
    ],
    [
      { variants: [variant, { ...variant, name: "us" }] },
      "variants[1].name",
      '"us"',
      "a name that no other has: variants[0] is called so",
    ],
    [
      { variants: [{ ...variant, name: "control" }] },
      "variants[0].name",
      '"control"',
      "a name that no other has: the route's own backend is called so",
    ],
    [
      {
        variants: [
          { ...variant, percent: 60.1 },
          { ...variant, name: "b", percent: 50 },
        ],
      },
      "variants",
      "an array of 2",
      `at most 100 percent in all, not 110.1: ${REST}`,
    ],
    [
      { variants: [{ ...variant, percent: 101 }] },
      "variants[0].percent",
      "101",
      "a number from 0 to 100 with at most 3 decimal places",
    ],
  ])("%j is told what is wrong with it", (canary, path, got, wanted) => {
    expect(problemsOf(documentOf({ canary }))).toEqual([{ path: `routes[0].canary.${path}`, got, wanted }]);
  });

  it("that is no object is told what it should be", () => {
    expect(problemsOf(documentOf({ canary: 5 }))).toEqual([
      { path: "routes[0].canary", got: "5", wanted: 'an object with "variants", or false to remove the policy' },
    ]);
  });

  it("by what nobody vouches for yet is a warning", () => {
    expect(warningsOf(documentOf({ canary: { variants: [variant], by: "principal" } }))).toContainEqual({
      path: "routes[0].canary.by",
      message: "nothing identifies clients yet: until authentication acts, principal means the address",
    });
  });
});

it("regions of the only target are a warning", () => {
  const alone = { targets: [{ url: "https://main.example.com", regions: ["EU"] }] };
  expect(warningsOf({ backends: { main: alone }, routes: [{ prefix: "/", backend: "main" }] })).toEqual([
    { path: "backends.main.targets[0].regions", message: "with one target there is nothing to choose" },
  ]);
});
