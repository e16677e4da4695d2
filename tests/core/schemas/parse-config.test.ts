import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { DEFAULT_CACHE } from "../../../schemas/cache-policy.ts";
import { defaultDocument } from "../../../schemas/default-config.ts";
import { parseConfig, parseConfigText } from "../../../schemas/index.ts";
import {
  BACKEND_DEFAULTS,
  BREAKER_DEFAULTS,
  configOf,
  CONTRACT_TEXT,
  LIMIT_DEFAULTS,
  problemsOf,
  ROUTE,
  routeOf,
  warningsOf,
} from "./documents.ts";

const SHARED_LIMIT = {
  ...LIMIT_DEFAULTS,
  id: "default",
  name: "default",
  requestsPerWindow: 300,
  windowMs: 300_000,
  burst: 300,
};

const DEFAULT_SIZES = {
  maxBodySize: 10_485_760,
  maxUrlLength: 8192,
  maxHeaderSize: 32_768,
  maxHeaderCount: 100,
  methods: undefined,
};

describe("a document", () => {
  it("loads as the contract writes it, and says what does not act yet", () => {
    expect(parseConfigText(CONTRACT_TEXT)).toEqual({
      ok: true,
      config: {
        routes: [
          {
            id: "/api/data",
            path: { kind: "prefix", value: "/api/data" },
            hosts: undefined,
            methods: undefined,
            headers: [],
            query: [],
            backend: "route:/api/data",
            alternatives: [],
            sizeLimits: DEFAULT_SIZES,
            timeouts: { headers: 10_000, total: 30_000, idle: 60_000, requestBody: 30_000 },
            rateLimits: [SHARED_LIMIT],
            circuitBreaker: BREAKER_DEFAULTS,
            cache: { ...DEFAULT_CACHE, ttlMs: 300_000 },
            deduplication: { windowMs: 5_000, coalesce: "fresh" },
          },
        ],
        backends: new Map([
          [
            "route:/api/data",
            {
              ...BACKEND_DEFAULTS,
              name: "route:/api/data",
              circuitBreaker: BREAKER_DEFAULTS,
              targets: [{ url: "https://your-backend.com/api/data", weight: 1, drain: false }],
            },
          ],
        ]),
        clientIp: undefined,
        admin: { enabled: true, prefix: "/admin", tap: true },
        endpoints: { healthz: "/healthz", readyz: "/readyz", health: "/health" },
        logging: { enabled: true },
        limiter: { tableEntries: 1000 },
        allowPrivateTargets: false,
      },
      warnings: [{ path: "metrics", message: "accepted but does not act yet" }],
    });
  });

  it("may be the bundled one, which has no routes", () => {
    expect(warningsOf(defaultDocument)).toEqual([
      { path: "routes", message: "no routes: every request is answered 404 route-not-found" },
    ]);
  });

  it("may use every word of the vocabulary", () => {
    const anywhere = ["auth", "ipControl", "cors", "securityHeaders"];
    const policies = [...anywhere, "async", "transform"];
    const level = Object.fromEntries(policies.map((name) => [name, {}]));
    const document = {
      ...level,
      metrics: {},
      consumers: [],
      securityTxt: { contact: "mailto:security@example.com" },
      endpoints: { jobs: "/tasks", batch: false },
      backends: {
        main: { targets: [{ url: "https://a.example.com" }] },
      },
      routes: [{ prefix: "/a", backend: "main", ...level }],
    };
    const pending = [
      "metrics",
      "consumers",
      "securityTxt",
      "endpoints.jobs",
      ...policies,
      ...policies.map((name) => `routes[0].${name}`),
    ];
    const warnings = warningsOf(document);
    expect(warnings.map(({ path }) => path).toSorted()).toEqual(pending.toSorted());
    expect(new Set(warnings.map(({ message }) => message))).toEqual(new Set(["accepted but does not act yet"]));
  });

  it("says nothing about policies that are switched off", () => {
    expect(
      warningsOf({ routes: [ROUTE], metrics: false, cors: false, cache: { enabled: false }, auth: { enabled: false } }),
    ).toEqual([]);
  });
});

describe("the examples", () => {
  const limits = readdirSync(new URL("../../../examples/limits", import.meta.url)).map((file) => `limits/${file}`);
  it.each(["minimal.jsonc", "full.jsonc", "web-sockets/gateway.jsonc", ...limits])(
    "load without a warning: %s",
    (file) => {
      const text = readFileSync(new URL(`../../../examples/${file}`, import.meta.url), "utf8");
      expect(parseConfigText(text)).toEqual({ ok: true, config: expect.anything(), warnings: [] });
    },
  );

  it("hold the contract's document", () => {
    const text = readFileSync(new URL("../../../examples/contract.jsonc", import.meta.url), "utf8");
    expect(parseConfigText(text)).toEqual(parseConfigText(CONTRACT_TEXT));
  });

  it("in the guide load, without a warning", () => {
    const text = readFileSync(new URL("../../../docs/guide/configuration.md", import.meta.url), "utf8");
    const blocks = [...text.matchAll(/```jsonc\n([^]*?)```/g)].map(([, block = ""]) => block);
    expect(blocks.length).toBeGreaterThan(5);
    for (const block of blocks) {
      expect(parseConfigText(block), block).toEqual({ ok: true, config: expect.anything(), warnings: [] });
    }
  });
});

describe("a policy of the top level", () => {
  it("is every route's that has none of its own", () => {
    const document = { routes: [ROUTE], sizeLimits: "hardened", timeouts: { idle: "5s" } };
    expect(configOf(document).routes[0]).toMatchObject({
      sizeLimits: {
        maxBodySize: 2_097_152,
        maxUrlLength: 2048,
        maxHeaderSize: 8192,
        maxHeaderCount: 100,
        methods: ["GET", "POST", "OPTIONS", "HEAD"],
      },
      timeouts: { headers: 10_000, total: 30_000, idle: 5000, requestBody: 30_000 },
    });
  });

  it("is replaced whole by the route's own", () => {
    const { sizeLimits } = routeOf({ sizeLimits: { maxBodySize: "1KiB" } }, { sizeLimits: "hardened" });
    expect(sizeLimits).toEqual({ ...DEFAULT_SIZES, maxBodySize: 1024 });
  });

  it.each([[false], [{ enabled: false }]])("is removed by %j on the route", (off) => {
    const topLevel = { rateLimit: { requestsPerWindow: 1, window: "1s" }, sizeLimits: "hardened" };
    const { sizeLimits, rateLimits } = routeOf({ sizeLimits: off, rateLimit: off }, topLevel);
    expect({ sizeLimits, rateLimits }).toEqual({ sizeLimits: undefined, rateLimits: [] });
  });

  it("gives way field by field where it is timeouts: route, then backend, then top level", () => {
    const { routes } = configOf({
      timeouts: { headers: 1, total: 2, idle: 3 },
      backends: { b: { targets: [{ url: "https://b.example.com" }], timeouts: { total: 20, idle: 30 } } },
      routes: [{ prefix: "/", backend: "b", timeouts: { idle: 300 } }],
    });
    expect(routes[0]?.timeouts).toEqual({ headers: 1, total: 20, idle: 300, requestBody: 30_000 });
  });
});

describe("sizeLimits", () => {
  it("takes the preset's values for what it leaves out", () => {
    expect(routeOf({ sizeLimits: { preset: "hardened", maxBodySize: "1GiB" } }).sizeLimits).toEqual({
      maxBodySize: 1_073_741_824,
      maxUrlLength: 2048,
      maxHeaderSize: 8192,
      maxHeaderCount: 100,
      methods: ["GET", "POST", "OPTIONS", "HEAD"],
    });
  });

  it("warns that shadow does not act yet", () => {
    expect(warningsOf({ routes: [ROUTE], sizeLimits: { shadow: true } })).toEqual([
      { path: "sizeLimits.shadow", message: "accepted but does not act yet: the limits refuse" },
    ]);
  });
});

describe("the gateway's own endpoints", () => {
  it("can be moved and switched off", () => {
    const { endpoints, admin } = configOf({
      endpoints: { healthz: "/live/", readyz: false },
      admin: { prefix: "/ops/admin", enabled: false },
    });
    expect({ endpoints, admin }).toEqual({
      endpoints: { healthz: "/live", readyz: undefined, health: "/health" },
      admin: { enabled: false, prefix: "/ops/admin", tap: true },
    });
  });

  it.each([
    [{ prefix: "/healthz" }, {}, "/healthz is at or below the gateway's own /healthz"],
    [{ path: "/admin/users/:id" }, {}, "/admin/users/:id is at or below the gateway's own /admin"],
    [{ prefix: "/live/x" }, { endpoints: { readyz: "/live" } }, "/live/x is at or below the gateway's own /live"],
  ])("win over the route %j, which is a warning", (match, topLevel, message) => {
    const cure = ', which wins; move it in "endpoints" or "admin", or switch it off';
    expect(warningsOf({ ...topLevel, routes: [{ ...match, target: "https://a.example.com" }] })).toEqual([
      { path: "routes[0]", message: `${message}${cure}` },
    ]);
  });

  it.each([
    [{ prefix: "/" }, {}],
    [{ prefix: "/healthz2" }, {}],
    [{ prefix: "/administration" }, {}],
    [{ prefix: "/admin/x" }, { admin: false }],
    [{ prefix: "/healthz" }, { endpoints: { healthz: false } }],
  ])("leave the route %j alone", (match, topLevel) => {
    expect(warningsOf({ ...topLevel, routes: [{ ...match, target: "https://a.example.com" }] })).toEqual([]);
  });

  it("have paths of their own", () => {
    expect(problemsOf({ endpoints: { readyz: "/health" }, admin: { prefix: "/healthz" } })).toEqual([
      { path: "endpoints.health", got: '"/health"', wanted: "a path of its own; endpoints.readyz has this one" },
      { path: "admin.prefix", got: '"/healthz"', wanted: "a path of its own; endpoints.healthz has this one" },
    ]);
  });
});

describe("clientIp", () => {
  it.each([
    ["cloudflare", { source: "cloudflare" }],
    ["socket", { source: "socket" }],
    [
      { header: "X-Forwarded-For", trustedProxies: ["10.0.0.0/8", "2001:db8::1"] },
      { source: "header", header: "x-forwarded-for", trustedProxies: ["10.0.0.0/8", "2001:db8::1"] },
    ],
  ])("%j is read", (clientIp, normalised) => {
    expect(configOf({ clientIp }).clientIp).toEqual(normalised);
  });

  it.each([
    ["nginx", "clientIp", '"nginx"', '"cloudflare", "socket", or an object with "header" and "trustedProxies"'],
    [
      { header: "x f", trustedProxies: ["10.0.0.0/8"] },
      "clientIp.header",
      '"x f"',
      'the name of a header, such as "x-api-key"',
    ],
    [
      { header: "Forwarded", trustedProxies: ["10.0.0.0/8"] },
      "clientIp.header",
      '"Forwarded"',
      'a header that lists addresses, such as "X-Forwarded-For"; "Forwarded" (RFC 7239) is not read',
    ],
    [{ header: "x" }, "clientIp.trustedProxies", "nothing", "a value: the field is required"],
    [
      { header: "x", trustedProxies: [] },
      "clientIp.trustedProxies",
      "an empty array",
      "an array of CIDR blocks, at least one",
    ],
    [
      { header: "x", trustedProxies: ["10.0.0.0/33"] },
      "clientIp.trustedProxies[0]",
      '"10.0.0.0/33"',
      'a CIDR block such as "10.0.0.0/8" or "2001:db8::/32", or a single address',
    ],
    [
      { header: "x", trustedProxies: ["::/0"] },
      "clientIp.trustedProxies[0]",
      '"::/0"',
      "a block of your own proxies: trusting every address lets any client choose its own",
    ],
  ])("%j is refused", (clientIp, path, got, wanted) => {
    expect(problemsOf({ clientIp })).toEqual([{ path, got, wanted }]);
  });
});

describe("backends", () => {
  const target = { url: "https://b.example.com" };

  it("have what is said of each target, and defaults for the rest", () => {
    const document = {
      backends: { b: { targets: [target, { url: "https://c.example.com", weight: 3, drain: true }] } },
      routes: [{ prefix: "/", backend: "b" }],
    };
    expect(parseConfig(document)).toEqual({
      ok: true,
      config: expect.objectContaining({
        backends: new Map([
          [
            "b",
            {
              ...BACKEND_DEFAULTS,
              name: "b",
              targets: [
                { url: "https://b.example.com", weight: 1, drain: false },
                { url: "https://c.example.com", weight: 3, drain: true },
              ],
            },
          ],
        ]),
      }),
      warnings: [],
    });
  });

  it("that no route uses are a warning", () => {
    expect(warningsOf({ routes: [ROUTE], backends: { spare: { targets: [target] } } })).toEqual([
      { path: "backends.spare", message: "no route uses this backend" },
    ]);
  });

  it("that a route names and nobody describes are an error, with the nearest name", () => {
    const document = { backends: { orders: { targets: [target] } }, routes: [{ prefix: "/", backend: "order" }] };
    expect(problemsOf(document)).toEqual([
      { path: "routes[0].backend", got: '"order"', wanted: 'the name of a backend; did you mean "orders"?' },
    ]);
  });

  it("that is nothing like any is told which there are", () => {
    const document = { backends: { a: { targets: [target] } }, routes: [{ prefix: "/", backend: "b" }] };
    expect(problemsOf(document)).toEqual([
      { path: "routes[0].backend", got: '"b"', wanted: "the name of a backend; one of: a" },
    ]);
  });

  it("are told where a key stands that is none of theirs", () => {
    const document = {
      backends: { a: { targets: [target], cache: true, url: "x" }, b: "https://b.example.com" },
      routes: [{ prefix: "/", backend: "a", batch: true }],
    };
    expect(problemsOf(document)).toEqual([
      {
        path: "routes[0].batch",
        got: 'the key "batch"',
        wanted: "a key of a route: this one stands at the top level alone",
      },
      {
        path: "backends.a.cache",
        got: 'the key "cache"',
        wanted: "a key of a backend: this one stands in a route, or at the top level",
      },
      { path: "backends.a.url", got: 'the key "url"', wanted: 'a key of a backend: this one stands in its "targets"' },
      { path: "backends.b", got: '"https://b.example.com"', wanted: 'an object with "targets"' },
    ]);
  });

  it("have at least one target that counts", () => {
    expect(problemsOf({ backends: { a: { targets: [] }, b: { targets: [{ ...target, weight: 0 }] } } })).toEqual([
      { path: "backends.a.targets", got: "an empty array", wanted: "an array of at least one target" },
      { path: "backends.b.targets", got: "an array of 1", wanted: 'at least one target with a "weight" above 0' },
    ]);
  });
});

it("gives the same configuration each time", () => {
  expect(parseConfig(JSON.parse(CONTRACT_TEXT))).toEqual(parseConfig(JSON.parse(CONTRACT_TEXT)));
});
