import { describe, expect, it } from "vitest";
import { DEFAULT_BREAKER } from "../../../objects/circuit-breaker/breaker-policy.ts";
import { targetReportProblem } from "../../../objects/circuit-breaker/target-messages.ts";
import { MAX_POLICY_LENGTH } from "../../../objects/message-checks.ts";
import { ROUTE, configOf, problemsOf, routeOf, routeProblems } from "./documents.ts";

const { target } = ROUTE;

/** What an isolate tells the owner of a target. */
const REPORT = {
  v: 1,
  isolate: "i",
  configVersion: 1,
  seq: 1,
  epoch: 1,
  isolates: 1,
  ok: 1,
  failed: 0,
  slow: 0,
  isFailing: false,
  wantsPermit: false,
  policy: DEFAULT_BREAKER,
  probes: [],
  target,
  health: null,
} as const;

function idOf(match: object): string | undefined {
  return configOf({ routes: [{ target, ...match }] }).routes[0]?.id;
}

describe("a route's match", () => {
  it("is normalised: methods in upper case, hosts and header names in lower case", () => {
    const route = routeOf({
      methods: ["get", "POST"],
      hosts: ["API.Example.com", "*.Bücher.example", "[2001:DB8::1]:8080"],
      headers: { "X-Tenant": "Acme", "x-beta": true, "X-Version": { matches: "^v[0-9]+$" } },
      query: { Page: "1", flag: true, q: { matches: "^(a|b)$" } },
    });
    expect({ methods: route.methods, hosts: route.hosts, headers: route.headers, query: route.query }).toEqual({
      methods: ["GET", "POST"],
      hosts: ["api.example.com", "*.xn--bcher-kva.example", "[2001:db8::1]:8080"],
      headers: [
        { name: "x-tenant", kind: "exact", value: "Acme" },
        { name: "x-beta", kind: "present", value: "" },
        { name: "x-version", kind: "regex", value: "^v[0-9]+$" },
      ],
      query: [
        { name: "Page", kind: "exact", value: "1" },
        { name: "flag", kind: "present", value: "" },
        { name: "q", kind: "regex", value: "^(a|b)$" },
      ],
    });
  });

  it.each([
    [{ target }, "routes[0].prefix", "nothing", 'exactly one of "prefix" and "path"'],
    [{ prefix: "/a", path: "/b", target }, "routes[0].prefix", '"/a"', 'exactly one of "prefix" and "path"'],
    [{ prefix: "/a" }, "routes[0].target", "nothing", 'exactly one of "target" and "backend"'],
    [{ ...ROUTE, headers: [] }, "routes[0].headers", "an empty array", "an object"],
    [
      { ...ROUTE, healthCheck: "/h" },
      "routes[0].healthCheck",
      'the key "healthCheck"',
      'a key of a route: this one stands in a backend of "backends", which routes name in "backend"',
    ],
    [
      { ...ROUTE, retry: true },
      "routes[0].retry",
      'the key "retry"',
      'a key of a route: this one stands in a backend of "backends", which routes name in "backend", or at the top level',
    ],
    [
      { ...ROUTE, headers: { "X-A": "1", "x-a": "2" } },
      "routes[0].headers",
      "an object with X-A, x-a",
      "each header once, in whichever case",
    ],
    [
      { ...ROUTE, headers: { "a b": true } },
      'routes[0].headers["a b"]',
      'the key "a b"',
      'the name of a header, such as "x-api-key"',
    ],
    [
      { ...ROUTE, headers: { a: false } },
      "routes[0].headers.a",
      "false",
      'a text (the exact value), true (present), or { "matches": "pattern" }',
    ],
    [
      { ...ROUTE, query: { q: { match: "x" } } },
      "routes[0].query.q.match",
      'the key "match"',
      'a known key; did you mean "matches"?',
    ],
    [{ ...ROUTE, methods: [] }, "routes[0].methods", "an empty array", "an array of methods, at least one"],
    [
      { ...ROUTE, id: "a b" },
      "routes[0].id",
      '"a b"',
      "a name: letters, digits, dots, dashes and underscores, at most 64",
    ],
  ])("is refused when it is %j", (route, path, got, wanted) => {
    expect(routeProblems(route)).toContainEqual({ path, got, wanted });
  });

  it.each([
    ["example.com."],
    ["*"],
    ["*.*.example.com"],
    ["a.*.example.com"],
    ["*.10.0.0.1"],
    ["https://example.com"],
    ["example.com/path"],
    ["user@example.com"],
    ["example.com:99999"],
    ["example.com:"],
    ["exa mple.com"],
    [""],
  ])("has no host %j", (host) => {
    expect(routeProblems({ ...ROUTE, hosts: [host] })).toEqual([
      {
        path: "routes[0].hosts[0]",
        got: JSON.stringify(host),
        wanted: 'a host such as "api.example.com", "api.example.com:8443" or "*.example.com"',
      },
    ]);
  });
});

describe("a route's path", () => {
  it.each([["/"], ["/a"], ["/a/"], ["/v1.0/x:batch"], ["/caf%C3%A9"], ["/~user/@me"]])(
    "may have the prefix %s",
    (prefix) => {
      expect(routeOf({ prefix }).path).toEqual({ kind: "prefix", value: prefix });
    },
  );

  it.each([["/"], ["/users/:id"], ["/users/:user_id/posts/:post"], ["/files/*"], ["/*"], ["/v1/things:batch"]])(
    "may have the pattern %s",
    (path) => {
      const [route] = configOf({ routes: [{ path, target }] }).routes;
      expect(route?.path).toEqual({ kind: "pattern", value: path });
    },
  );

  it.each([
    ["a", 'a path that starts with "/"'],
    ["", 'a path that starts with "/"'],
    ["/a?b", 'a path without a query and a fragment; match parameters with "query"'],
    ["/a#b", 'a path without a query and a fragment; match parameters with "query"'],
    ["/a b", "a path in URL characters; write others percent-encoded"],
    ["/é", "a path in URL characters; write others percent-encoded"],
    ["/a\\b", "a path in URL characters; write others percent-encoded"],
    ["/%zz", 'a path whose every "%" is followed by two hexadecimal digits'],
    ["/a//b", "a path without empty segments"],
    ["/a/../b", 'a path without "." and ".." segments'],
    ["/a/%2e%2E/b", 'a path without "." and ".." segments'],
    [`/${"a".repeat(1024)}`, "a path of at most 1,024 characters"],
  ])("is refused when it is %j", (path, wanted) => {
    expect(
      problemsOf({
        routes: [
          { prefix: path, target },
          { path, target },
        ],
      }),
    ).toMatchObject([
      { path: "routes[0].prefix", wanted },
      { path: "routes[1].path", wanted },
    ]);
  });

  it.each([["/files/*"], ["/users/:id"], ["/*"]])("is a literal as a prefix: %s is not", (prefix) => {
    expect(routeProblems({ prefix, target })).toMatchObject([
      { path: "routes[0].prefix", wanted: 'a literal prefix; write ":name" and "*" in "path" instead' },
    ]);
  });

  it.each([
    ["/*/a", 'a pattern whose only "*" is the whole last segment'],
    ["/a*", 'a pattern whose only "*" is the whole last segment'],
    ["/**", 'a pattern whose only "*" is the whole last segment'],
    ["/:", 'parameters such as ":id": letters, digits and underscores'],
    ["/:a-b", 'parameters such as ":id": letters, digits and underscores'],
    ["/:a/:a", "a name of its own for each parameter"],
  ])("is refused as a pattern when it is %s", (path, wanted) => {
    expect(routeProblems({ path, target })).toMatchObject([{ path: "routes[0].path", wanted }]);
  });
});

describe("a route without an id", () => {
  it.each([
    [{ prefix: "/" }, "/"],
    [{ prefix: "/api/data" }, "/api/data"],
    [{ path: "/users/:id" }, "=/users/:id"],
    [{ prefix: "/a", methods: ["get", "post"] }, "GET,POST::/a"],
    [{ prefix: "/a", hosts: ["API.example.com"] }, ":api.example.com:/a"],
    [
      { path: "/a", methods: ["GET"], hosts: ["a.example.com", "b.example.com"] },
      "GET:a.example.com,b.example.com:=/a",
    ],
    [{ prefix: "/a", headers: { "X-Beta": true } }, "/a~c508dd03"],
    [{ prefix: "/a", query: { beta: "1" } }, "/a~07ab6ee3"],
  ])("gets a readable one: %j", (match, id) => {
    expect(idOf(match)).toBe(id);
  });

  it("gets a short one however long its match is, and another for each", () => {
    const long = `/${"a".repeat(600)}`;
    const matches = [
      { prefix: long },
      { prefix: `${long}b` },
      { path: long },
      { prefix: long, methods: ["GET"] },
      { prefix: "/", hosts: Array.from({ length: 9 }, (_, index) => `${"h".repeat(60)}${index}.example.com`) },
      { prefix: long, headers: { a: "1" } },
    ];
    const ids = matches.map(idOf);
    expect(ids.map((id) => id?.length)).toEqual(matches.map(() => 200));
    expect(new Set(ids).size).toBe(matches.length);
    expect(matches.map(idOf)).toEqual(ids);
  });

  it("has limits and a backend whose names their owners take", () => {
    const name = "n".repeat(32);
    const limit = { name, requestsPerWindow: 5, window: "1s", cost: 0.5 };
    const route = routeOf({ prefix: `/${"a".repeat(1_000)}`, rateLimits: [limit] });
    expect(route.rateLimits[0]?.id).toBe(`route:${route.id}:${name}/1000`);
    expect(route.rateLimits[0]?.id.length).toBeLessThanOrEqual(MAX_POLICY_LENGTH);
    expect(targetReportProblem({ ...REPORT, backend: route.backend })).toBeUndefined();
  });

  it("keeps it when other routes come and go, and when its conditions change places", () => {
    const route = { ...ROUTE, headers: { a: "1", b: "2" } };
    const moved = { ...ROUTE, headers: { b: "2", a: "1" } };
    const { routes } = configOf({ routes: [{ ...ROUTE, prefix: "/other" }, { ...ROUTE, headers: { c: "1" } }, moved] });
    expect(routes[2]?.id).toBe(configOf({ routes: [route] }).routes[0]?.id);
  });
});

describe("two routes", () => {
  it("have ids of their own", () => {
    const routes = [
      { ...ROUTE, id: "a" },
      { ...ROUTE, prefix: "/b", id: "b" },
      { ...ROUTE, prefix: "/c", id: "a" },
    ];
    expect(problemsOf({ routes })).toEqual([
      { path: "routes[2].id", got: '"a"', wanted: "an id of its own; routes[0] has this one" },
    ]);
  });

  it.each([
    [{ prefix: "/a" }, { prefix: "/a/" }],
    [{ path: "/u/:id" }, { path: "/u/:name" }],
    [{ path: "/files/*" }, { prefix: "/files" }],
    [
      { prefix: "/a", methods: ["GET", "POST"] },
      { prefix: "/a", methods: ["post", "get"] },
    ],
    [
      { prefix: "/a", hosts: ["a.example.com", "b.example.com"] },
      { prefix: "/a", hosts: ["B.example.com", "a.example.com"] },
    ],
    [
      { prefix: "/a", headers: { "X-A": "1", b: true } },
      { prefix: "/a", headers: { b: true, "x-a": "1" } },
    ],
    [
      { prefix: "/a", id: "one" },
      { prefix: "/a", id: "two" },
    ],
  ])("cannot match the same: %j and %j", (first, second) => {
    const routes = [
      { target, ...first },
      { target, ...second },
    ];
    expect(problemsOf({ routes })).toEqual([
      {
        path: "routes[1]",
        got: expect.stringMatching(/^the same match as routes\[0\] /),
        wanted: "a match of its own: this route would never be reached; remove one or tell them apart",
      },
    ]);
  });

  it.each([
    [{ prefix: "/a" }, { path: "/a" }],
    [{ prefix: "/a" }, { prefix: "/a", methods: ["GET"] }],
    [{ prefix: "/a" }, { prefix: "/a", hosts: ["a.example.com"] }],
    [
      { prefix: "/a", headers: { v: "1" } },
      { prefix: "/a", headers: { v: "2" } },
    ],
    [
      { prefix: "/a", headers: { v: true } },
      { prefix: "/a", query: { v: true } },
    ],
    [
      { prefix: "/a", headers: { v: "" } },
      { prefix: "/a", headers: { v: true } },
    ],
    [{ path: "/u/:id" }, { path: "/u/me" }],
  ])("may differ in one thing: %j and %j", (first, second) => {
    const { routes } = configOf({
      routes: [
        { target, ...first },
        { target, ...second },
      ],
    });
    expect(new Set(routes.map(({ id }) => id)).size).toBe(2);
  });
});
