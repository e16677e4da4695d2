import { ClientIpHeaderSchema } from "../client-ip.ts";
import { ConfigSchema } from "../config.ts";
import { AdminSchema, EndpointsSchema } from "../endpoints.ts";
import { MatchesSchema } from "../routes/field-match.ts";
import { RouteSchema } from "../routes/route.ts";
import { backendPolicies, backendSections } from "./backends.ts";
import { placementSections } from "./placement.ts";
import { policySections } from "./policies.ts";
import { pending, section, type Section } from "./section.ts";
import { batchPolicy, concurrencyPolicy, trafficPolicies, trafficSections } from "./traffic.ts";

const policies = {
  rateLimit: { meaning: "How many requests a client may make; `false` removes the limits.", standard: "no limit" },
  rateLimits: { meaning: "Several limits, checked and deducted together, each with a `name`; instead of `rateLimit`." },
  sizeLimits: {
    meaning: 'What a request may weigh; `"hardened"` for the strict preset, `false` for no limits.',
    standard: "its defaults",
  },
  timeouts: { meaning: "Deadlines.", standard: "its defaults" },
  cache: { meaning: "Keeping responses; `true` for the defaults.", standard: "nothing is kept" },
  deduplication: {
    meaning: "One upstream request for identical ones in flight: `true` for the defaults, an object, or `false`.",
    standard: "each request is made by itself",
  },
  circuitBreaker: backendPolicies.circuitBreaker,
  auth: pending("API keys, tokens and signatures."),
  ipControl: pending("Addresses that may, and may not, use a route."),
  cors: pending("Answering preflight requests."),
  securityHeaders: pending("Security headers on responses."),
  idempotency: {
    meaning: "One effect per `Idempotency-Key`: `true` for the defaults, an object, or `false`.",
    standard: "keys are passed on",
  },
  ...trafficPolicies,
  geo: { meaning: "Backends by where requests come from.", standard: "the route's own backend" },
  canary: { meaning: "Trying versions out on a part of the clients.", standard: "one version" },
  webSocket: {
    meaning: "Relaying WebSockets: `true` for the defaults, an object, or `false`.",
    standard: "an upgrade is an ordinary request",
  },
  async: pending("Answering 202 and doing the work later."),
  transform: pending("Changing requests and responses."),
} as const;

const document = section(
  "Configuration",
  ConfigSchema,
  "The whole document. A policy written here is the default of every route; a route's own replaces it, and `false` or `enabled: false` removes it.",
  {
    $schema: { meaning: "Address of the JSON Schema, so that an editor completes the file. Not read by the gateway." },
    routes: {
      meaning: "What the gateway serves. The most specific route wins; of equally specific ones, the first.",
      standard: "`[]`",
    },
    backends: { meaning: "Origin servers by name, for routes to name in `backend`.", standard: "`{}`" },
    ...policies,
    retry: backendPolicies.retry,
    concurrency: concurrencyPolicy,
    batch: batchPolicy,
    metrics: pending("Fleet-wide figures."),
    logging: { meaning: "One JSON line per exchange.", standard: "on" },
    limiter: { meaning: "How much an isolate remembers of the clients that it serves.", standard: "its defaults" },
    clientIp: {
      meaning:
        'Where the client\'s address comes from: `"cloudflare"` (the edge sets `CF-Connecting-IP`), `"socket"` (the peer of the connection), or a header that named proxies write.',
      standard: "the variable `CLIENT_IP_SOURCE`",
    },
    admin: {
      meaning: "The admin API; `false` switches it off. Without an admin token it answers 404 in any case.",
      standard: "on, at `/admin`",
    },
    endpoints: { meaning: "Where the gateway's own endpoints are." },
    allowPrivateTargets: {
      meaning:
        "Lets targets be private, loopback and link-local addresses and names. The check looks at the URL as written: a public name that resolves to a private address passes, since a Worker cannot see what a name resolves to.",
      standard: "`false`",
    },
    consumers: pending("Known clients, with limits of their own."),
    securityTxt: pending("`/.well-known/security.txt` (RFC 9116)."),
  },
);

const route = section(
  "Route",
  RouteSchema,
  "What a request must look like, where it goes, and what happens on the way.",
  {
    id: {
      meaning:
        "Names the route in logs, metrics and counters. Without one it is derived from methods, hosts, path and conditions, so that it stays the same when other routes come and go.",
      standard: "derived, such as `/api/data` or `GET:api.example.com:/api/data`",
    },
    prefix: {
      meaning:
        "Matches this path and everything below it, by whole segments. It is stripped, and the rest is joined to the target's path. Exactly one of `prefix` and `path` is required.",
    },
    path: {
      meaning:
        "Matches a whole path: `:name` stands for one segment, a last `*` for all that follow. The path is forwarded whole, below the target's path.",
    },
    methods: { meaning: "Methods; `GET` includes `HEAD`.", standard: "any" },
    hosts: {
      meaning: "Hosts: `api.example.com`, or `*.example.com` for every name below a domain. Without a port, any port.",
      standard: "any",
    },
    headers: {
      meaning:
        'Conditions by header name, all of which must hold: a text (the exact value), `true` (present), or `{ "matches": "pattern" }`.',
    },
    query: {
      meaning:
        "Conditions by parameter name, written like those on headers; one value of a repeated parameter is enough.",
    },
    target: {
      meaning:
        "URL of the origin server, http or https, without user info, query and fragment. Exactly one of `target` and `backend` is required.",
    },
    backend: { meaning: "Name of a backend." },
    ...policies,
    rateLimitMultiplier: {
      meaning:
        "What a request of this route costs under the limits of the top level, times its `cost`; at most three decimal places. Permits (`concurrency`) are always one a request. Refused beside limits of the route's own, which say in `cost` what a request costs.",
      standard: "`1`",
    },
  },
);

const matches = section("Matches", MatchesSchema, "A condition by regular expression.", {
  matches: {
    meaning:
      "A regular expression with the `u` flag, searched for in the value; `^` and `$` anchor it. At most 256 characters, and refused (`unsafe-pattern`) unless it is shown to match in linear time: no back-references and lookaround, and no repetition that could take the same text in two ways.",
  },
});

const clientIp = section(
  "ClientIpHeader",
  ClientIpHeaderSchema,
  "A header that proxies in front of the gateway write.",
  {
    header: { meaning: "Such as `X-Forwarded-For`. Required." },
    trustedProxies: {
      meaning:
        "CIDR blocks of those proxies. The rightmost address in the header that is in none of them is the client's. Required; `0.0.0.0/0` and `::/0` are refused.",
    },
  },
);

const endpoints = section(
  "Endpoints",
  EndpointsSchema,
  "Paths of the gateway's own endpoints; `false` switches one off. They win over routes.",
  {
    healthz: { meaning: "Liveness, without I/O.", standard: '`"/healthz"`' },
    readyz: { meaning: "Whether a configuration is active and an object answers.", standard: '`"/readyz"`' },
    health: { meaning: "`application/health+json`.", standard: '`"/health"`' },
    jobs: pending("Asynchronous requests."),
    batch: { meaning: "Several requests in one, where `batch` is configured.", standard: '`"/batch"`' },
  },
);

const admin = section("Admin", AdminSchema, "The admin API.", {
  enabled: { meaning: "`false` switches it off.", standard: "`true`" },
  prefix: { meaning: "Path that it is below.", standard: '`"/admin"`' },
  tap: {
    meaning: "Whether whoever has the token may see what passes in WebSocket sessions. `false`: 403 `forbidden`.",
    standard: "`true`",
  },
});

/** Everything that the reference and the JSON Schema describe; the document first. */
export const sections: readonly Section[] = [
  document,
  route,
  matches,
  ...backendSections,
  clientIp,
  endpoints,
  admin,
  ...policySections,
  ...placementSections,
  ...trafficSections,
];
