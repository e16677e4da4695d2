/** What a limit of a route is, with every default filled in. */

/** How a limit counts. What each promises, and at what price: docs/guide/limits.md. */
export type LimitAlgorithm =
  | "token-bucket"
  | "sliding-window"
  | "approximate-sliding-window"
  | "fixed-window"
  | "concurrency";

/** One counter per client. */
export interface RateLimit {
  /**
   * Names the counter: `default` for the shared top-level one, `route:<routeId>` or `route:<routeId>:<name>` for a route's
   * own; with `/1000` behind it where it counts in thousandths.
   */
  readonly id: string;
  /** The policy's name in `RateLimit-Policy` and `RateLimit`; unique within its route. */
  readonly name: string;
  /** In tokens. With `concurrency` the same as `maxConcurrent`. */
  readonly requestsPerWindow: number;
  /** The length of the window; with `calendar` its nominal length (a month is 31 days), with `concurrency` one second, which means nothing. */
  readonly windowMs: number;
  /** Most tokens that may be taken at once; `requestsPerWindow` unless a token bucket says otherwise. Units times `windowMs` are at most 2^53. */
  readonly burst: number;
  /** What makes a client; composed in this order when several. Default the address. */
  readonly by: readonly LimitKey[];
  readonly algorithm: LimitAlgorithm;
  /** `strict`: the owner decides about each request. Always so where nothing can be lent: approximate windows, `settle`, `countWhen`. */
  readonly mode: "leased" | "strict";
  /** With `fixed-window`: the window is cut by the clocks of a time zone instead of every `windowMs`. */
  readonly calendar: Calendar | undefined;
  /** With `concurrency` alone: requests in flight at once. */
  readonly maxConcurrent: number | undefined;
  /** What a request costs before it is served, in tokens, before `multiplier`. Default 1. */
  readonly cost: CostRule;
  /** The route's `rateLimitMultiplier`: what every cost is multiplied by. Default 1; always 1 under a route's own limits. */
  readonly multiplier: number;
  /** Units that make a token, so that every cost is whole: 1, or 1,000 where a cost has decimal places. Owners count in units, headers in tokens. */
  readonly unitsPerToken: number;
  /** What a request turns out to have cost; undefined: what was taken for it. */
  readonly settle: SettleRule | undefined;
  /** How far below zero settled costs may take a client, in tokens. Default the burst; 0 without `settle`. */
  readonly maxDebt: number;
  /** Undefined: every request counts. */
  readonly countWhen: CountWhen | undefined;
  /** Who meets this limit not at all. */
  readonly exempt: Exemptions;
  /** Whether a response from the cache counts. Default true. */
  readonly countCacheHits: boolean;
  /** Undefined: nobody is banned. */
  readonly ban: BanPolicy | undefined;
  /** What happens when the owner does not answer in time: an in-isolate count, 503, or letting it pass. Default `local`. */
  readonly onError: "local" | "closed" | "open";
  /** Whether identities share owner objects (`pooled`) or have one each (`own`). Default `own` for verified identities, else `pooled`. */
  readonly clients: "pooled" | "own";
  /** Decide, count and report, never refuse. Default false. */
  readonly shadow: boolean;
  /** Also send `X-RateLimit-*`. Default false. */
  readonly legacyHeaders: boolean;
  /** How long the owner may take to answer. Default 150. */
  readonly deadlineMs: number;
}

/** One part of a client's identity. Header names are lower-cased; names of cookies and claims are not. */
export type LimitKey =
  | { readonly kind: "ip" | "all" | "route" | "principal" | "consumer" }
  | { readonly kind: "header" | "cookie" | "claim"; readonly name: string };

/** A window by the clocks of an IANA time zone; a week begins on Monday. */
export interface Calendar {
  readonly unit: "minute" | "hour" | "day" | "week" | "month";
  readonly timeZone: string;
}

/** What a request costs before it is served, in tokens; decimals with at most three places. */
export type CostRule =
  | { readonly kind: "static"; readonly cost: number }
  | {
      /**
       * A field of the request, for a gateway or service in front that knows. A client could write it too: `min` and
       * `max` bound what it may claim. Missing or not a decimal number: `otherwise`. Lower-cased.
       */
      readonly kind: "header";
      readonly name: string;
      readonly min: number;
      readonly max: number;
      readonly otherwise: number;
    }
  | {
      /** The longest prefix wins, by whole segments: `/search` holds `/search/all` and not `/searches`. */
      readonly kind: "paths";
      readonly costs: readonly { readonly prefix: string; readonly cost: number }[];
      readonly otherwise: number;
    };

/** What a request turns out to have cost once it is served; without a rule, what was reserved. */
export type SettleRule =
  | {
      readonly kind: "header";
      /** Lower-cased. */
      readonly name: string;
      readonly max: number;
      /** Whether the field is taken out of the response. Default false. */
      readonly strip: boolean;
    }
  | { readonly kind: "bytes"; readonly bytesPerToken: number };

/** Which responses count. Others cost nothing, once they are known. */
export interface CountWhen {
  /** Ranges of status codes, both ends included. */
  readonly statuses: readonly { readonly from: number; readonly to: number }[];
  /** Whether errors of the gateway itself may count, by their status. Default false: only what the origin said counts. */
  readonly gatewayErrors: boolean;
}

/** Clients that a limit does not concern: no counter, no call, no header. */
export interface Exemptions {
  /** CIDR blocks. */
  readonly cidrs: readonly string[];
  /** As authentication names them. */
  readonly principals: readonly string[];
}

/** When a client that goes on far beyond its limit is shut out altogether. */
export interface BanPolicy {
  /** How many times the limit, in attempts within a window. Default 5. */
  readonly factor: number;
  /** How long, and how long the next times; the last is repeated. Default 24 hours. */
  readonly durationsMs: readonly number[];
  /** How long after a ban's end the next one is still the next in the list. Default 24 hours. */
  readonly rememberMs: number;
  /** Principals who are never banned. */
  readonly exemptPrincipals: readonly string[];
}
