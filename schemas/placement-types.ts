import type { LimitKey } from "./rate-limit-types.ts";

/** Where requests go by where they come from, and by lot. */

/** Somewhere on the map, from the narrowest to the widest. Codes in capitals. */
export type Place =
  /** A data center of Cloudflare's, by the IATA code of its airport: where the request came in, not where the client is. */
  | { readonly kind: "colo"; readonly code: string }
  /** By the part of ISO 3166-2 after the country: Texas is TX of the US. */
  | { readonly kind: "region"; readonly country: string; readonly code: string }
  /** ISO 3166-1, two letters; T1 is Tor, XX an unknown one. */
  | { readonly kind: "country"; readonly code: string }
  | { readonly kind: "continent"; readonly code: string };

/** Which places' requests go to other backends than the route's own. */
export interface GeoPolicy {
  /** Each place once. */
  readonly rules: readonly GeoRule[];
}

/** What requests from a place get. */
export interface GeoRule {
  readonly place: Place;
  /** Key of `Config.backends`. */
  readonly backend: string;
}

/** Versions that are tried out beside the one that a route has, which is the control. */
export interface CanaryPolicy {
  /** Draws the lots: the same clients in every release of this name. Default the route's id. */
  readonly name: string;
  /** Without the control, which has what they leave. */
  readonly variants: readonly CanaryVariant[];
  /** What makes a client. Default the address. */
  readonly by: readonly LimitKey[];
  /** Lower-cased; the field whose value names the variant that a request asks for. Undefined: none may ask so. */
  readonly header: string | undefined;
  /** The cookie that does. */
  readonly cookie: string | undefined;
  /** null: nothing is aborted but by order. */
  readonly abort: AbortPolicy | null;
}

/** One version that is tried out. */
export interface CanaryVariant {
  /** Unique, and never `control`. */
  readonly name: string;
  /** Key of `Config.backends`. */
  readonly backend: string;
  /** Of all clients; at most 100 together. */
  readonly percent: number;
}

/** When a variant is taken back without anybody's order. */
export interface AbortPolicy {
  /** The probability, for the whole life of a release, that one without a regression is aborted; in (0, 0.5]. Default 0.001. */
  readonly falseAborts: number;
  /** A regression that can be seen in it is acted on by its end; a tenth of it is a round. Default 30 s. */
  readonly windowMs: number;
  /** Of the variant, before anything is held against it. Default 50. */
  readonly minimumRequests: number;
  /** null: errors are not looked at. */
  readonly errors: ErrorBound | null;
  /** null: times are not looked at. */
  readonly times: TimeBound | null;
}

/** How much worse than the control's errors may be. */
export interface ErrorBound {
  /** Odds of an error, times the control's; >= 1. Default 1.5. */
  readonly ratio: number;
  /** And the rate of errors at least so much above the control's, of 1. Default 0.01. */
  readonly gap: number;
}

/** How much slower than the control's answers may be. */
export interface TimeBound {
  /** Of the times, in (0, 1). Default 0.95. */
  readonly quantile: number;
  /** Times the control's; >= 1, rounded up to the next quarter of a doubling. Default 1.5. */
  readonly ratio: number;
}
