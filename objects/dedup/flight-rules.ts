/** What the flights of one key may do. Times in ms. */
export interface FlightRules {
  /** How long a finished flight answers those who come late; the route's `windowMs`. 0: not at all. */
  readonly windowMs: number;
  /** The route's timeout for response headers: a request to the origin that has none by then is given up. */
  readonly headersMs: number;
  /** When those who wait get a second request to the origin beside the first; never a third. */
  readonly lockAgeMs: number;
  /** The longest that somebody waits for another's request. */
  readonly followerWaitMs: number;
  /** How long requests go by themselves after a response that can't be shared; at most 120,000. */
  readonly hitForMissMs: number;
  /** How long a failure answers those who come after it. */
  readonly failureMs: number;
  /** Who may have a response that is stale when it comes: nobody else, or those who came before its headers. */
  readonly coalesce: "fresh" | "arrived-before-headers";
  /** What is kept of one response so that somebody may join late. */
  readonly maxRetainedBytes: number;
  /** The same for all flights of the object: an isolate has 128 MB and may host several. */
  readonly maxObjectBytes: number;
  /** More than so many waiters go by themselves. */
  readonly maxWaiters: number;
  /** More than so many flights at a time, and the others go by themselves. */
  readonly maxFlights: number;
}

/** What holds where a route says nothing else. */
export const FLIGHT_RULES: FlightRules = {
  windowMs: 5_000,
  headersMs: 10_000,
  lockAgeMs: 5_000,
  followerWaitMs: 10_000,
  hitForMissMs: 10_000,
  failureMs: 1_000,
  coalesce: "fresh",
  maxRetainedBytes: 8 << 20,
  maxObjectBytes: 32 << 20,
  maxWaiters: 2_000,
  maxFlights: 32,
};
