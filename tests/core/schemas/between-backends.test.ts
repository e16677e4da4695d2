import { describe, expect, it } from "vitest";
import { BREAKER_DEFAULTS, configOf, problemsOf, warningsOf } from "./documents.ts";

const ONE = { url: "https://a.example.com" };
const TWO = { url: "https://b.example.com" };
const SAME = "say the same in both places";

/** A fallback to a backend. */
function to(backend: string) {
  return { circuitBreaker: { fallback: { backend } } };
}

describe("two breakers for one target", () => {
  it("are told at both places, with every field that differs", () => {
    const document = {
      routes: [
        { prefix: "/a", target: ONE.url, circuitBreaker: { failureThreshold: 3, timeout: "30s" } },
        { prefix: "/b", target: ONE.url, circuitBreaker: { failureStatuses: 503 } },
      ],
    };
    const [a, b] = ["routes[0].circuitBreaker", "routes[1].circuitBreaker"];
    const three = "failureThreshold 3, timeout 30s, failureStatuses 500 502 503 504";
    const five = "failureThreshold 5, timeout 1m, failureStatuses 503";
    const same = `for this target: one target has one breaker; ${SAME}`;
    expect(problemsOf(document)).toEqual([
      { path: a, got: `${three} for "${ONE.url}"`, wanted: `${five}, as ${b} has it ${same}` },
      { path: b, got: `${five} for "${ONE.url}"`, wanted: `${three}, as ${a} has it ${same}` },
    ]);
  });

  it.each([
    [
      "of a route and its backend's other routes",
      {
        backends: { b: { targets: [ONE], circuitBreaker: true } },
        routes: [
          { prefix: "/a", backend: "b" },
          { prefix: "/b", backend: "b", circuitBreaker: { jitter: 0 } },
        ],
      },
      ["backends.b.circuitBreaker", "routes[1].circuitBreaker"],
    ],
    [
      "of the top level and a route",
      {
        circuitBreaker: true,
        routes: [
          { prefix: "/a", target: ONE.url },
          { prefix: "/b", target: ONE.url, circuitBreaker: { minimumCalls: 5 } },
        ],
      },
      ["circuitBreaker", "routes[1].circuitBreaker"],
    ],
    [
      "of a backend that stands in for another",
      {
        backends: {
          main: { targets: [ONE], circuitBreaker: { fallback: { backend: "spare" } } },
          spare: { targets: [TWO], circuitBreaker: { timeout: "5s" } },
        },
        routes: [
          { prefix: "/a", backend: "main" },
          { prefix: "/b", target: TWO.url, circuitBreaker: true },
        ],
      },
      ["routes[1].circuitBreaker", "backends.spare.circuitBreaker"],
    ],
  ])("are a problem when they are %s", (_, document, paths) => {
    expect(problemsOf(document).map(({ path }) => path)).toEqual(paths);
  });

  it.each([
    [
      "say the same in other words",
      [{ circuitBreaker: true }, { circuitBreaker: { failureThreshold: 5, timeout: "60s" } }],
    ],
    ["differ in their fallback and shadow", [{ circuitBreaker: { shadow: true } }, { circuitBreaker: answering() }]],
    ["are one and none", [{ circuitBreaker: true }, { circuitBreaker: false }]],
  ])("are fine when they %s", (_, levels) => {
    const routes = levels.map((level, index) => ({ prefix: `/${index}`, target: ONE.url, ...level }));
    expect(problemsOf({ routes })).toEqual([]);
  });

  it("of a backend that nobody uses are nobody's concern", () => {
    const document = {
      backends: { idle: { targets: [ONE], circuitBreaker: { timeout: "5s" } } },
      routes: [{ prefix: "/a", target: ONE.url, circuitBreaker: true }],
    };
    expect(problemsOf(document)).toEqual([]);
  });
});

describe("two health checks for one target", () => {
  const documentOf = (a: object, b: object) => ({
    backends: { a: { targets: [ONE, TWO], ...a }, b: { targets: [TWO], ...b } },
    routes: [
      { prefix: "/a", backend: "a" },
      { prefix: "/b", backend: "b" },
    ],
  });

  it("are told at both places", () => {
    const document = documentOf(
      { healthCheck: "/a" },
      { healthCheck: { path: "/b", statuses: [200, "3xx"], bodyIncludes: "ok" } },
    );
    const a = 'path "/a", statuses 200-399, bodyIncludes anything';
    const b = 'path "/b", statuses 200 300-399, bodyIncludes "ok"';
    const same = `for this target: one target has one health check; ${SAME}`;
    expect(problemsOf(document)).toEqual([
      {
        path: "backends.a.healthCheck",
        got: `${a} for "${TWO.url}"`,
        wanted: `${b}, as backends.b.healthCheck has it ${same}`,
      },
      {
        path: "backends.b.healthCheck",
        got: `${b} for "${TWO.url}"`,
        wanted: `${a}, as backends.a.healthCheck has it ${same}`,
      },
    ]);
  });

  it.each([
    ["the same", { healthCheck: "/h" }, { healthCheck: { path: "/h", rise: 2 } }],
    ["one and none", { healthCheck: "/h" }, {}],
  ])("are fine when they are %s", (_, one, other) => {
    expect(problemsOf(documentOf(one, other))).toEqual([]);
  });
});

describe("a fallback", () => {
  it("of the top level is not for the backend that it names itself", () => {
    const document = {
      ...to("spare"),
      backends: { main: { targets: [ONE] }, spare: { targets: [TWO] } },
      routes: [
        { prefix: "/", backend: "main" },
        { prefix: "/spare", backend: "spare" },
      ],
    };
    const { routes, backends } = configOf(document);
    const [main, spare] = [backends.get("main"), backends.get("spare")];
    const fallbacks = [routes[0], main, routes[1], spare].map((level) => level?.circuitBreaker?.fallback);
    const toSpare = { kind: "backend", backend: "spare" };
    expect(fallbacks).toEqual([toSpare, toSpare, undefined, undefined]);
    expect(spare?.circuitBreaker).toEqual(BREAKER_DEFAULTS);
  });

  it("may name a backend, which is in use then", () => {
    const document = {
      backends: { main: { targets: [ONE], ...to("spare") }, spare: { targets: [TWO] } },
      routes: [{ prefix: "/", backend: "main" }],
    };
    expect(configOf(document).routes[0]?.circuitBreaker?.fallback).toEqual({ kind: "backend", backend: "spare" });
    expect(warningsOf(document)).toEqual([]);
  });

  it("names a backend that there is, wherever it is written", () => {
    const document = {
      ...to("nowhere"),
      backends: { main: { targets: [ONE], ...to("spar") }, spare: { targets: [TWO] } },
      routes: [{ prefix: "/", backend: "main", timeouts: { headers: "soon" }, ...to("mian") }],
    };
    const unknown = problemsOf(document).filter(({ path }) => path.endsWith("fallback.backend"));
    expect(unknown).toEqual([
      {
        path: "circuitBreaker.fallback.backend",
        got: '"nowhere"',
        wanted: "the name of a backend; one of: main, spare",
      },
      {
        path: "routes[0].circuitBreaker.fallback.backend",
        got: '"mian"',
        wanted: 'the name of a backend; did you mean "main"?',
      },
      {
        path: "backends.main.circuitBreaker.fallback.backend",
        got: '"spar"',
        wanted: 'the name of a backend; did you mean "spare"?',
      },
    ]);
  });

  it.each([
    ["on the backend", to("main"), {}, "backends.main.circuitBreaker.fallback.backend"],
    ["on a route", {}, to("main"), "routes[0].circuitBreaker.fallback.backend"],
  ])("may not be the backend itself, when it is written %s", (_, backend, route, path) => {
    const document = {
      backends: { main: { targets: [ONE], ...backend } },
      routes: [{ prefix: "/", backend: "main", ...route }],
    };
    const wanted = "another backend than the one that it stands in for";
    expect(problemsOf(document)).toEqual([{ path, got: '"main"', wanted }]);
  });

  it("may be mutual, since a request meets one at most", () => {
    const document = {
      backends: { main: { targets: [ONE], ...to("spare") }, spare: { targets: [TWO], ...to("main") } },
      routes: ["main", "spare"].map((backend) => ({ prefix: `/${backend}`, backend })),
    };
    expect(problemsOf(document)).toEqual([]);
    expect(warningsOf(document)).toEqual([]);
  });
});

describe("what loads with a warning", () => {
  const backend = (fields: object, route: object = {}) => ({
    backends: { b: { targets: [ONE, TWO], ...fields } },
    routes: [{ prefix: "/", backend: "b", ...route }],
  });
  const unknown = "nothing identifies clients yet: until authentication acts,";

  it.each([
    [
      backend({ targets: [ONE], balance: "round-robin" }),
      "backends.b.balance",
      "with one target there is nothing to choose",
    ],
    [
      backend({ targets: [ONE], sticky: true }),
      "backends.b.sticky",
      "with one target every client stays with it anyway",
    ],
    [
      backend({ targets: [ONE], healthCheck: "/h" }),
      "backends.b.healthCheck",
      "with one target checks tell operators, but take nothing out of use",
    ],
    [
      twoBackends("cookie", { by: "cookie", ttl: 60 }),
      "backends.c.sticky",
      '"b" binds by the cookie sluice_target too: on one host a client of both keeps only the later binding; give each a "name"',
    ],
    [
      twoBackends({ by: "header", name: "X-At" }, { by: "header", name: "x-at" }),
      "backends.c.sticky",
      '"b" binds by the header x-at too: on one host a client of both keeps only the later binding; give each a "name"',
    ],
    [
      backend({ balance: { maxEjection: 0.2 } }),
      "backends.b.balance.maxEjection",
      'without "healthCheck" no target is ever down',
    ],
    [
      backend({ balance: { panicThreshold: 0.2 } }),
      "backends.b.balance.panicThreshold",
      'without "healthCheck" no target is ever down',
    ],
    [
      backend({ balance: { algorithm: "rendezvous", by: ["claim:tenant", "ip"] } }),
      "backends.b.balance.by",
      `${unknown} claim:tenant means the address`,
    ],
    [
      backend({ circuitBreaker: { shadow: true, ...answering() } }),
      "backends.b.circuitBreaker.fallback",
      "a shadowed breaker refuses nothing, so nothing needs a fallback",
    ],
    [
      backend({}, { circuitBreaker: { slowCall: "2s" } }),
      "routes[0].circuitBreaker.slowCall",
      'without "slowCallRate" below 1 slow calls do not open the breaker',
    ],
    [
      backend({ circuitBreaker: { failureStatuses: [429, 503] } }),
      "backends.b.circuitBreaker.failureStatuses",
      "a 429 asks for less, and is no failure even where it is listed",
    ],
    [
      backend({ circuitBreaker: true }, { timeouts: { headers: "20s" } }),
      "backends.b.circuitBreaker.operationTimeout",
      "10s is less than the 20s of timeouts on routes[0]: a call that takes longer has failed",
    ],
    [
      { ...backend({}, { timeouts: { headers: "20s" } }), circuitBreaker: { operationTimeout: "15s" } },
      "circuitBreaker.operationTimeout",
      "15s is less than the 20s of timeouts on routes[0]: a call that takes longer has failed",
    ],
    [
      backend({ retry: true }, { timeouts: { headers: "30s" } }),
      "backends.b.retry",
      "on routes[0] the first try may take all of timeouts.total (30s), which leaves no time for another",
    ],
    [
      { ...backend({}, { timeouts: { total: "5s" } }), retry: { perTryTimeout: "8s" } },
      "retry",
      "on routes[0] the first try may take all of timeouts.total (5s), which leaves no time for another",
    ],
    [
      backend({ hedge: { after: "10s" } }),
      "backends.b.hedge",
      "on routes[0] a request is given up before a second one is sent",
    ],
    [
      {
        circuitBreaker: true,
        routes: [
          { prefix: "/a", target: "https://a.example.com" },
          { prefix: "/b", target: "https://a.example.com/" },
        ],
      },
      "routes[1].target",
      '"https://a.example.com" elsewhere: written differently, these are two targets with a breaker each',
    ],
    [
      backend({ targets: [ONE, { url: "HTTPS://A.example.com" }], healthCheck: "/h" }),
      "backends.b.targets[1].url",
      '"https://a.example.com" elsewhere: written differently, these are two targets with a breaker each',
    ],
  ])("%j", (document, path, message) => {
    expect(warningsOf(document)).toEqual([{ path, message }]);
  });

  it.each([
    [backend({ circuitBreaker: { operationTimeout: "20s" } }, { timeouts: { headers: "20s" } })],
    [backend({ circuitBreaker: { operationTimeout: "2s" } })],
    [backend({ circuitBreaker: { failureStatuses: ["4xx", "5xx"] } })],
    [backend({ circuitBreaker: { slowCall: "5s", slowCallRate: 1 } })],
    [backend({ retry: { perTryTimeout: "2s" } }, { timeouts: { headers: "30s" } })],
    [backend({ hedge: true, balance: { algorithm: "power-of-two", slowStart: "30s" }, sticky: "header" })],
    [backend({ balance: { maxEjection: 0.2, panicThreshold: 0.2 }, healthCheck: "/h" })],
    [backend({ targets: [{ ...ONE, drain: true }, TWO], sticky: true })],
    [backend({ circuitBreaker: { shadow: true } }, { timeouts: { headers: "20s" } })],
    [backend({ retry: true, circuitBreaker: { operationTimeout: "29s" } }, { timeouts: { headers: "29s" } })],
    [backend({ targets: [ONE], balance: { maxEjection: 1, panicThreshold: 0 }, healthCheck: "/h" })],
    [twoBackends("cookie", "header")],
    [twoBackends("cookie", { name: "at_c" })],
    [{ routes: ["/a", "/b/"].map((path) => ({ prefix: path, target: `https://a.example.com${path}` })) }],
  ])("but not %j", (document) => {
    expect(warningsOf(document)).toEqual([]);
  });
});

it("routes share the top level's settings, however many there are", () => {
  const routes = Array.from({ length: 1_000 }, (_, index) => ({
    prefix: `/${index}`,
    target: `https://a.example.com/${index}`,
  }));
  const { routes: read } = configOf({ circuitBreaker: true, routes });
  expect(new Set(read.map(({ circuitBreaker }) => circuitBreaker)).size).toBe(1);
});

/** Two backends of the same targets, each with its way to keep clients. */
function twoBackends(one: unknown, other: unknown) {
  return {
    backends: { b: { targets: [ONE, TWO], sticky: one }, c: { targets: [ONE, TWO], sticky: other } },
    routes: ["b", "c"].map((backend) => ({ prefix: `/${backend}`, backend })),
  };
}

/** A breaker's answer of its own. */
function answering() {
  return { fallback: { response: { status: 503, body: "later" } } };
}

it.each(["balance", "sticky", "healthCheck", "hedge", "quota"])(
  "%s is no default of all backends, and it is said whose it is",
  (key) => {
    const wanted = 'a key of the document: this one stands in a backend of "backends"';
    expect(problemsOf({ [key]: true })).toEqual([{ path: key, got: `the key "${key}"`, wanted }]);
  },
);
