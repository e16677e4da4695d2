import { DEFAULT_LIMITER, LimiterSchema } from "../policies/limiter.ts";
import { BanSchema, DEFAULT_BAN, ExemptSchema } from "../policies/rate-limit/ban.ts";
import { CostSchema, SettleSchema } from "../policies/rate-limit/cost.ts";
import { CountWhenSchema } from "../policies/rate-limit/count-when.ts";
import { RateLimitSchema } from "../policies/rate-limit/rate-limit.ts";
import { DEFAULT_DEADLINE_MS } from "../policies/rate-limit/resolve.ts";
import { enabled, section } from "./section.ts";

const rateLimit = section(
  "RateLimit",
  RateLimitSchema,
  "How many requests a client may make: one counter per client for the whole fleet, owned by one Durable Object. Refused requests get 429 `quota-exceeded` with `Retry-After`. At the top level it is one counter per client that all routes without limits of their own share; on a route it is that route's own. Which algorithm, which identity, and what is promised: [limits](../guide/limits.md).",
  {
    enabled,
    name: {
      meaning:
        "The policy's name in the `RateLimit-Policy` and `RateLimit` headers. Required in `rateLimits`, where it also names the counter: renaming a limit starts it anew.",
      standard: '`"default"` at the top level, `"route"` on a route',
    },
    algorithm: {
      meaning:
        '`"token-bucket"`: a steady rate with bursts. `"sliding-window"`: never more than `requestsPerWindow` in any window, wherever it begins. `"approximate-sliding-window"`: about that, in less space. `"fixed-window"`: a quota that starts anew with each window. `"concurrency"`: requests in flight at once.',
      standard: '`"token-bucket"`',
    },
    requestsPerWindow: {
      meaning:
        'Tokens gained per window, or the most that a window lets through. Required, but not with `"concurrency"`.',
    },
    windowSeconds: {
      meaning:
        'Length of the window; a bare number counts seconds. Exactly one of this and `window` is required, with `"fixed-window"` exactly one of this, `window` and `calendar`.',
    },
    window: { meaning: 'Length of the window, as a duration such as `"5m"`.' },
    calendar: {
      meaning:
        'With `"fixed-window"`, instead of a length: each minute, hour, day, week (from Monday) or month of `timeZone` is a window.',
    },
    timeZone: {
      meaning: "IANA name of the zone whose clocks cut the calendar. Daylight saving is followed.",
      standard: '`"UTC"`',
    },
    burst: {
      meaning:
        "With a token bucket, the most that may be taken at once after a pause. `burst` times the window in milliseconds is at most 2^53, so that the bucket counts exactly.",
      standard: "`requestsPerWindow`",
    },
    maxConcurrent: { meaning: 'With `"concurrency"`: how many requests of a client may be in flight. Required there.' },
    by: {
      meaning:
        'What makes a client: `"ip"` (IPv6 by /64), `"principal"`, `"consumer"`, `"claim:NAME"`, `"header:NAME"`, `"cookie:NAME"`, `"route"`, or an array of these, which composes them in the order written; `"all"`: one counter for everybody. A client without the header, cookie, claim, principal or consumer is told apart by its address.',
      standard: '`"ip"`',
    },
    exempt: { meaning: "Clients whom the limit does not concern: no counter, no call, no header." },
    cost: {
      meaning:
        "What a request takes, in tokens: a number with at most three decimal places, or a rule. Costs beyond what the limit ever holds are refused. The first decimal place of a limit, or taking the last one away, starts its counters anew.",
      standard: "`1`",
    },
    settle: {
      meaning:
        "What a request turns out to have cost, once it is served: `cost` is reserved before, and the difference given back or taken then.",
    },
    maxDebt: {
      meaning:
        "With `settle`: how many tokens below zero a settled cost may take a client. What goes beyond is forgiven.",
      standard: "`burst`",
    },
    countWhen: {
      meaning:
        'Which responses count: a status (`401`), a class (`"4xx"`), an array of these, or an object. Others give back what was taken for them.',
      standard: "every request",
    },
    countCacheHits: {
      meaning: "`false`: a response from the cache costs nothing; what was taken for it is given back.",
      standard: "`true`",
    },
    ban: {
      meaning:
        'Shuts a client out that goes on far beyond its limit: `true`, or an object. Not with `countWhen`, `countCacheHits: false`, `"concurrency"`, fewer than 10 `requestsPerWindow`, or `by` `"all"` or `"route"` alone.',
      standard: "nobody is banned",
    },
    mode: {
      meaning:
        '`"strict"`: the owner is asked for each request. `"leased"`: isolates spend tokens that the owner has lent them, with the same bound. Approximate windows, `settle`, `countWhen` and `countCacheHits: false` are always strict, permits always leased.',
      standard: '`"leased"`',
    },
    onError: {
      meaning:
        'When the owner does not answer within `deadline`: `"local"` counts in this isolate alone, `"closed"` answers 503 `dependency-unavailable`, `"open"` lets the request pass.',
      standard: '`"local"`',
    },
    clients: {
      meaning:
        '`"pooled"`: clients share a bounded number of owners, so that a flood of made-up clients makes no flood of objects. `"own"`: each has its own.',
      standard: '`"own"` by `"principal"`, `"consumer"` and `"claim:NAME"` alone, else `"pooled"`',
    },
    shadow: { meaning: "Decide, count and report, but never refuse.", standard: "`false`" },
    legacyHeaders: {
      meaning:
        "Also send `X-RateLimit-Limit`, `-Remaining` and `-Reset` (in seconds from now); where several limits want them, those of the first.",
      standard: "`false`",
    },
    deadline: {
      meaning: "How long the owner may take; a bare number counts milliseconds. At most 30 s.",
      standard: `\`${DEFAULT_DEADLINE_MS}\``,
    },
  },
);

const cost = section(
  "Cost",
  CostSchema,
  "What a request takes, by its path or by a field that a service in front of the gateway writes.",
  {
    header: {
      meaning:
        "A request header with the cost, a decimal number. A client can write it too, so what it says is kept within `min` and `max`. Exactly one of this and `paths` is required.",
    },
    min: { meaning: "The least that the header may claim.", standard: "`1`" },
    max: { meaning: "The most that the header may claim.", standard: "the limit's burst" },
    paths: {
      meaning:
        "Costs by path prefix, by whole segments; the longest prefix wins. Paths are those that clients ask for, the route's own `prefix` included.",
    },
    otherwise: {
      meaning: "The cost where no prefix fits, or the header is missing or no number.",
      standard: "`1`",
    },
  },
);

const settle = section(
  "Settle",
  SettleSchema,
  "What a request turns out to have cost. A response that does not say costs what was reserved; one that breaks off costs what was sent of it.",
  {
    header: {
      meaning:
        "A response header with the cost, a decimal number. Exactly one of this and `bytesPerToken` is required.",
    },
    max: { meaning: "The most that the header may say.", standard: "burst and `maxDebt` together" },
    strip: { meaning: "Take the header out of the response.", standard: "`false`" },
    bytesPerToken: { meaning: "Bytes of response body that cost one token; parts of a token are rounded up." },
  },
);

const countWhen = section("CountWhen", CountWhenSchema, "Which responses count.", {
  statuses: { meaning: 'Statuses from 200 to 599 and classes such as `"5xx"`. Required.' },
  gatewayErrors: {
    meaning: "Whether errors of the gateway itself, such as 502 `upstream-unreachable`, count by their status too.",
    standard: "`false`",
  },
});

const exempt = section("Exempt", ExemptSchema, "Clients whom a limit does not concern. At least one is required.", {
  cidrs: { meaning: "Addresses and CIDR blocks.", standard: "`[]`" },
  principals: { meaning: "Principals, as authentication names them.", standard: "`[]`" },
});

const ban = section(
  "Ban",
  BanSchema,
  "Shuts a client out with 429 `abnormal-usage-detected` after `factor` times `requestsPerWindow` attempts within one window, refused ones included. Everyone behind one address is banned together: think before banning by `ip`.",
  {
    enabled,
    factor: { meaning: "How many times the limit, 2 or more.", standard: `\`${DEFAULT_BAN.factor}\`` },
    for: {
      meaning:
        'How long: a duration, or an array such as `["5m", "1h", "24h"]` for the first ban, the next, and so on.',
      standard: `\`"24h"\``,
    },
    rememberFor: {
      meaning: "How long after a ban's end the next one is still the next in the array.",
      standard: `\`"24h"\``,
    },
    exemptPrincipals: {
      meaning:
        'Verified principals whom no ban stops and whose attempts count for none; `"*"`: every verified principal.',
      standard: "`[]`",
    },
  },
);

const limiter = section("Limiter", LimiterSchema, "How much an isolate remembers of the clients that it serves.", {
  tableEntries: {
    meaning:
      "Clients whose leases are known at once, and as many whose refusals, bans and attempts are; the one seen longest ago goes.",
    standard: `\`${DEFAULT_LIMITER.tableEntries}\``,
  },
});

/** Limits and what they are made of. */
export const rateLimitSections = [rateLimit, cost, settle, countWhen, exempt, ban, limiter];
