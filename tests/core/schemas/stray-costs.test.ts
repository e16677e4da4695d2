import { describe, expect, it } from "vitest";
import { ROUTE, warningsOf } from "./documents.ts";

function warnings(prefix: string, costly: string): readonly string[] {
  const rateLimit = { requestsPerWindow: 60, window: "1m", cost: { paths: { [costly]: 5 } } };
  return warningsOf({ routes: [{ ...ROUTE, prefix, rateLimit }] }).map(({ path, message }) => `${path}: ${message}`);
}

describe("a cost for a path", () => {
  it.each([
    ["/api", "/export"],
    ["/api", "/apis"],
    ["/api", "/api%2Fexport"],
  ])("that no request below %s has is worth a warning: %s", (prefix, costly) => {
    expect(warnings(prefix, costly)).toEqual([
      `routes[0].rateLimit.cost.paths${JSON.stringify([costly])}: no request of this route has this path: write it as clients do, with the route's prefix ${prefix}`,
    ]);
  });

  it.each([
    ["/api", "/api"],
    ["/api", "/api/export"],
    ["/api/v1", "/api"],
    ["/%61pi", "/api/export"],
    ["/", "/export"],
  ])("below %s that may be asked for is not: %s", (prefix, costly) => {
    expect(warnings(prefix, costly)).toEqual([]);
  });
});
