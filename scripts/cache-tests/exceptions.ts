/** Why a required test of the suite isn't passed. */
export interface Exception {
  /**
   * `impossible`: no answer at all could pass it. `runtime`: workerd's own HTTP doesn't let the message through. `standard`: what is
   * specified says otherwise. `choice`: it could be passed, and we don't want to.
   */
  readonly because: "impossible" | "runtime" | "standard" | "choice";
  readonly reason: string;
  readonly tests: readonly string[];
}

/**
 * Every required test of http-cache-tests 0.4.5 that the gateway doesn't pass, with the shipped defaults and in the suite profile alike.
 * docs/guide/cache-conformance.md says the same at length.
 */
export const EXCEPTIONS: readonly Exception[] = [
  {
    because: "impossible",
    reason: "the origin closes the connection, and only a response that this origin made would count as not cached",
    tests: ["must-revalidate", "proxy-revalidate", "no-cache", "s-maxage=2"].map((name) => `stale-close-${name}`),
  },
  {
    because: "standard",
    reason: "an Age that is no whole number is ignored, and of several the first counts (RFC 9111, section 5.1)",
    tests: [
      "nonnumeric",
      "negative",
      "float",
      "parameter",
      "numeric-parameter",
      "prefix-twoline",
      "dup-0",
      "dup-0-twoline",
      "dup-old",
    ].map((name) => `age-parse-${name}`),
  },
  {
    because: "standard",
    reason: "its max-age is for a device of another name (W3C, Edge Architecture Specification), and we announce none",
    tests: ["surrogate-fresh-cc-nostore"],
  },
  {
    because: "runtime",
    reason: "workerd refuses the method M-SEARCH with 501, and an answer with an unknown Transfer-Encoding",
    tests: ["invalidate-M-SEARCH", "invalidate-M-SEARCH-cl", "headers-store-Transfer-Encoding"],
  },
  {
    because: "choice",
    reason: "a response that sets a cookie is for one client: it is never kept with it, whatever a route says",
    tests: ["Set-Cookie", "Set-Cookie2"].flatMap((name) => [
      `headers-store-${name}`,
      `304-etag-update-response-${name}`,
    ]),
  },
];
