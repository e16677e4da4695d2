import { describe, expect, it } from "vitest";
import type { RateLimit } from "../../../schemas/index.ts";
import { costOfServed, dependsOnBody } from "../../../worker/limits/asked/settled-cost.ts";
import { routeOf } from "../schemas/documents.ts";

const LIMIT = { requestsPerWindow: 100, window: "1m" };
const RESERVED = 7;

function limitOf(fields: object, multiplier: number = 1): RateLimit {
  const [limit] = routeOf({ rateLimitMultiplier: multiplier }, { rateLimit: { ...LIMIT, ...fields } }).rateLimits;
  if (limit === undefined) throw new Error("no limit");
  return limit;
}

interface Answer {
  readonly status?: number;
  readonly isGatewayError?: boolean;
  readonly isHit?: boolean;
  readonly isAbandoned?: boolean;
  readonly bytes?: number;
  readonly headers?: Record<string, string>;
}

function served({ status = 200, isGatewayError = false, bytes, headers = {}, ...rest }: Answer) {
  return { status, isGatewayError, bytes, header: (name: string) => headers[name] ?? null, ...rest };
}

describe("what the cache answered", () => {
  it.each<[object, Answer, number]>([
    [{ countCacheHits: false }, { isHit: true }, 0],
    [{ countCacheHits: false }, { isHit: true, isAbandoned: true }, 0],
    [{ countCacheHits: false }, { isHit: false }, RESERVED],
    [{ countCacheHits: false }, { isHit: false, isAbandoned: true }, RESERVED],
    [{ countCacheHits: false, countWhen: "4xx" }, { isHit: true, status: 404 }, 0],
    [{ countCacheHits: false, countWhen: "4xx" }, { isHit: false, status: 404 }, RESERVED],
    [{ countCacheHits: false, settle: { bytesPerToken: 1 } }, { isHit: true, bytes: 5_000 }, 0],
    [{ countCacheHits: true, countWhen: "4xx" }, { isHit: true, status: 404 }, RESERVED],
    [{ settle: { bytesPerToken: "1KiB" } }, { isHit: true, bytes: 2049 }, 3],
  ])("under %j, %j costs %i", (fields, answer, cost) => {
    expect(costOfServed(limitOf(fields), RESERVED, served(answer))).toBe(cost);
  });

  it("is not waited for to its end where it costs nothing", () => {
    const limit = limitOf({ countCacheHits: false, settle: { bytesPerToken: 1 } });
    expect([true, false].map((isHit) => dependsOnBody(limit, served({ isHit })))).toEqual([false, true]);
  });
});

describe("what counts", () => {
  it.each<[unknown, Answer, number]>([
    [undefined, { status: 500 }, RESERVED],
    [undefined, { status: 502, isGatewayError: true }, RESERVED],
    [401, { status: 401 }, RESERVED],
    [401, { status: 200 }, 0],
    [401, { status: 403 }, 0],
    ["4xx", { status: 400 }, RESERVED],
    ["4xx", { status: 499 }, RESERVED],
    ["4xx", { status: 399 }, 0],
    ["4xx", { status: 500 }, 0],
    [[401, 403, "5xx"], { status: 403 }, RESERVED],
    [[401, 403, "5xx"], { status: 503 }, RESERVED],
    [[401, 403, "5xx"], { status: 402 }, 0],
    ["5xx", { status: 502, isGatewayError: true }, 0],
    [{ statuses: ["5xx"] }, { status: 502, isGatewayError: true }, 0],
    [{ statuses: ["5xx"], gatewayErrors: true }, { status: 502, isGatewayError: true }, RESERVED],
    [{ statuses: ["5xx"], gatewayErrors: true }, { status: 413, isGatewayError: true }, 0],
  ])("when countWhen is %j, %j costs %i", (countWhen, answer, cost) => {
    expect(costOfServed(limitOf({ countWhen }), RESERVED, served(answer))).toBe(cost);
  });
});

describe("what it costs", () => {
  const byHeader = { header: "X-Tokens", max: 500 };
  const byBytes = { bytesPerToken: "1KiB" };
  it.each<[object, Answer, number]>([
    [{ settle: byHeader }, { headers: { "x-tokens": "42" } }, 42],
    [{ settle: byHeader }, { headers: { "x-tokens": "0" } }, 0],
    [{ settle: byHeader }, { headers: { "x-tokens": "501" } }, 500],
    [{ settle: byHeader }, { headers: { "x-tokens": "1.2" } }, 2],
    [{ settle: byHeader }, { headers: { "x-tokens": "lots" } }, RESERVED],
    [{ settle: byHeader }, {}, RESERVED],
    [{ settle: byHeader }, { status: 502, isGatewayError: true }, RESERVED],
    [{ settle: byBytes }, { bytes: 2049 }, 3],
    [{ settle: byBytes }, { bytes: 0 }, 0],
    [{ settle: byBytes }, {}, RESERVED],
    [{ settle: byBytes, countWhen: "2xx" }, { bytes: 2049 }, 3],
    [{ settle: byBytes, countWhen: "2xx" }, { status: 404, bytes: 2049 }, 0],
    [{ settle: byHeader, cost: 0.5 }, { headers: { "x-tokens": "1.2" } }, 1200],
  ])("under %j, %j costs %i units", (fields, answer, cost) => {
    expect(costOfServed(limitOf(fields), RESERVED, served(answer))).toBe(cost);
  });

  it("is multiplied as the route says, but not what was reserved, which is already", () => {
    const limit = limitOf({ settle: byHeader }, 2);
    expect(costOfServed(limit, RESERVED, served({ headers: { "x-tokens": "42" } }))).toBe(84);
    expect(costOfServed(limit, RESERVED, served({}))).toBe(RESERVED);
  });
});

it.each<[object, Answer, boolean]>([
  [{ settle: { bytesPerToken: 1 } }, {}, true],
  [{ settle: { bytesPerToken: 1 }, countWhen: "2xx" }, { status: 404 }, false],
  [{ settle: { bytesPerToken: 1 } }, { status: 502, isGatewayError: true }, false],
  [{ settle: { header: "x-tokens" } }, {}, false],
  [{ countWhen: 401 }, { status: 401 }, false],
])("under %j the cost of %j waits for the body: %s", (fields, answer, waits) => {
  expect(dependsOnBody(limitOf(fields), served(answer))).toBe(waits);
});
