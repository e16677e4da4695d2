import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Route } from "../../../schemas/index.ts";
import { compileRoutes, type RouteRequest } from "../../../worker/routing/compile-routes.ts";

const NO_LIMITS = {
  backend: "b",
  sizeLimits: undefined,
  timeouts: { headers: 1, total: 1, idle: 1, requestBody: 1 },
  rateLimits: [],
  circuitBreaker: undefined,
  cache: undefined,
  deduplication: undefined,
  idempotency: undefined,
  alternatives: [],
  geo: undefined,
  canary: undefined,
  priority: undefined,
  mirror: undefined,
  webSocket: undefined,
};

function route(id: string, path: string, more: Partial<Route> = {}): Route {
  const kind = path.includes(":") || path.includes("*") || more.path?.kind === "pattern" ? "pattern" : "prefix";
  return {
    id,
    path: { kind, value: path },
    hosts: undefined,
    methods: undefined,
    headers: [],
    query: [],
    ...NO_LIMITS,
    ...more,
  };
}

function request(path: string, more: Partial<RouteRequest> = {}): RouteRequest {
  return { method: "GET", host: "api.example.com", path, query: "", headers: new Headers(), ...more };
}

function matcherOf(routes: readonly Route[]): (asked: RouteRequest) => string {
  const matcher = compileRoutes(routes.map((each) => ({ route: each, entry: each.id })));
  return (asked) => {
    const match = matcher.match(asked);
    if (match.kind === "found") return match.entry;
    return match.kind === "method-not-allowed" ? `allow ${match.allow.join(",")}` : match.kind;
  };
}

describe("routing", () => {
  it("matches a prefix at segment boundaries only", () => {
    const match = matcherOf([route("api", "/api")]);
    expect(["/api", "/api/", "/api/x/y", "/apis", "/ap"].map((path) => match(request(path)))).toEqual([
      "api",
      "api",
      "api",
      "not-found",
      "not-found",
    ]);
  });

  it("prefers the literal to the parameter to the star to the prefix", () => {
    const match = matcherOf([
      route("root", "/"),
      route("files", "/files/*"),
      route("file", "/files/:name"),
      route("readme", "/files/readme", { path: { kind: "pattern", value: "/files/readme" } }),
    ]);
    expect(["/files/readme", "/files/other", "/files/a/b", "/else"].map((path) => match(request(path)))).toEqual([
      "readme",
      "file",
      "files",
      "root",
    ]);
  });

  it("comes back from a literal branch that leads nowhere", () => {
    const match = matcherOf([
      route("me", "/users/me/settings", { path: { kind: "pattern", value: "/users/me/settings" } }),
      route("posts", "/users/:id/posts"),
    ]);
    expect(match(request("/users/me/posts"))).toBe("posts");
  });

  it("prefers the exact host to the longest wildcard to any host", () => {
    const match = matcherOf([
      route("any", "/"),
      route("wide", "/", { hosts: ["*.example.com"] }),
      route("narrow", "/", { hosts: ["*.eu.example.com"] }),
      route("exact", "/", { hosts: ["api.example.com"] }),
    ]);
    const hosts = [
      "api.example.com",
      "api.example.com:8443",
      "x.example.com",
      "a.eu.example.com",
      "example.com",
      "other.test",
    ];
    expect(hosts.map((host) => match(request("/x", { host })))).toEqual([
      "exact",
      "exact",
      "wide",
      "narrow",
      "any",
      "any",
    ]);
  });

  it("prefers a host that names the port, exact or wildcard", () => {
    const match = matcherOf([
      route("wide", "/", { hosts: ["*.example.com"] }),
      route("wide-port", "/", { hosts: ["*.example.com:8443"] }),
      route("port", "/", { hosts: ["api.example.com:8443"] }),
    ]);
    const hosts = ["api.example.com:8443", "x.example.com:8443", "x.example.com:9", "api.example.com"];
    expect(hosts.map((host) => match(request("/x", { host })))).toEqual(["port", "wide-port", "wide", "wide"]);
  });

  it("says misdirected when every route names hosts and none is this one", () => {
    expect(matcherOf([route("a", "/", { hosts: ["a.test"] })])(request("/"))).toBe("misdirected");
  });

  it("answers a known path with the methods it takes, HEAD with GET", () => {
    const match = matcherOf([
      route("read", "/x", { methods: ["GET"] }),
      route("write", "/x", { methods: ["POST", "PUT"] }),
    ]);
    expect(["GET", "HEAD", "PUT", "DELETE"].map((method) => match(request("/x", { method })))).toEqual([
      "read",
      "read",
      "write",
      "allow GET,HEAD,POST,PUT",
    ]);
  });

  it("prefers more conditions, and the first written among equals", () => {
    const beta = { name: "x-version", kind: "exact", value: "beta" } as const;
    const match = matcherOf([
      route("first", "/x"),
      route("second", "/x"),
      route("beta", "/x", { headers: [beta] }),
      route("beta-debug", "/x", { headers: [beta], query: [{ name: "debug", kind: "present", value: "" }] }),
      route("semver", "/x", { headers: [{ name: "x-version", kind: "regex", value: "^v[0-9]+$" }] }),
    ]);
    const versions = ["beta", "v12", "vx", undefined].map((value) =>
      match(request("/x", { headers: new Headers(value === undefined ? {} : { "x-version": value }) })),
    );
    expect(versions).toEqual(["beta", "semver", "first", "first"]);
    expect(match(request("/x", { query: "?debug", headers: new Headers({ "x-version": "beta" }) }))).toBe("beta-debug");
  });

  it.each(["/__proto__", "/constructor", "/toString", "/hasOwnProperty/x"])(
    "has no route at %s unless there is one",
    (path) => {
      expect(matcherOf([route("api", "/api")])(request(path))).toBe("not-found");
      expect(matcherOf([route("odd", path)])(request(path))).toBe("odd");
    },
  );

  it("finds what a reader of the rules would find, whatever the routes", () => {
    const segment = fc.constantFrom("a", "b", "c");
    const path = fc.array(segment, { maxLength: 4 }).map((parts) => `/${parts.join("/")}`);
    const pattern = fc
      .array(fc.constantFrom("a", "b", "c", ":p"), { minLength: 1, maxLength: 4 })
      .chain((parts) => fc.constantFrom(`/${parts.join("/")}`, `/${parts.join("/")}/*`));
    const written = fc.oneof(
      path.map((value) => ({ kind: "prefix", value }) as const),
      pattern.map((value) => ({ kind: "pattern", value }) as const),
    );
    fc.assert(
      fc.property(fc.array(written, { maxLength: 12 }), path, (paths, asked) => {
        const routes = paths.map((value, index) => route(String(index), "/", { path: value }));
        const expected = routes
          .filter((each) => covers(each, asked))
          .toSorted((x, y) => compareRank(rank(x, asked), rank(y, asked)) || Number(x.id) - Number(y.id))[0];
        expect(matcherOf(routes)(request(asked))).toBe(expected?.id ?? "not-found");
      }),
      { numRuns: 3000 },
    );
  });
});

function segmentsOf(path: string): readonly string[] {
  return path.split("/").filter((segment) => segment !== "");
}

function covers(candidate: Route, path: string): boolean {
  const asked = segmentsOf(path);
  const own = segmentsOf(candidate.path.value);
  const open = candidate.path.kind === "prefix" || own.at(-1) === "*";
  const fixed = own.filter((segment) => segment !== "*");
  if (open ? asked.length < fixed.length : asked.length !== fixed.length) return false;
  return fixed.every(
    (segment, index) => (candidate.path.kind === "pattern" && segment === ":p") || segment === asked[index],
  );
}

/** Per segment of the asked path: 0 literal, 1 parameter, 2 left open; then whether the end is exact. Smaller is more specific. */
function rank(candidate: Route, path: string): readonly number[] {
  const own = segmentsOf(candidate.path.value).filter((segment) => segment !== "*");
  const open = candidate.path.kind === "prefix" || candidate.path.value.endsWith("*");
  const each = segmentsOf(path).map((_, index) => {
    const segment = own[index];
    if (segment === undefined) return 2;
    return candidate.path.kind === "pattern" && segment === ":p" ? 1 : 0;
  });
  return [...each, open ? 1 : 0];
}

function compareRank(a: readonly number[], b: readonly number[]): number {
  for (const [index, value] of a.entries()) {
    const difference = value - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
