import { expect, it } from "vitest";
import { parseList } from "structured-headers";
import { cacheStatus, xCache, type CacheOutcome } from "../../../worker/cache/cache-status.ts";

const FORWARDED = {
  kind: "forwarded",
  why: "uri-miss",
  status: undefined,
  ttlMs: undefined,
  isStored: false,
  isCollapsed: undefined,
  detail: undefined,
} as const satisfies CacheOutcome;

it.each<[CacheOutcome, string, string]>([
  [{ kind: "hit", ttlMs: 376_999, detail: "colo" }, "sluice;hit;ttl=376;detail=colo", "HIT"],
  [{ kind: "hit", ttlMs: -12_000, detail: "swr" }, "sluice;hit;ttl=-12;detail=swr", "STALE"],
  [{ kind: "hit", ttlMs: 1, detail: undefined }, "sluice;hit;ttl=0", "HIT"],
  [{ ...FORWARDED, isStored: true }, "sluice;fwd=uri-miss;stored", "MISS"],
  [{ ...FORWARDED, isCollapsed: true }, "sluice;fwd=uri-miss;collapsed", "MISS"],
  [
    { ...FORWARDED, isCollapsed: false, detail: "hit-for-miss" },
    "sluice;fwd=uri-miss;collapsed=?0;detail=hit-for-miss",
    "MISS",
  ],
  [
    { ...FORWARDED, why: "stale", status: 304, ttlMs: 60_000, isStored: true },
    "sluice;fwd=stale;fwd-status=304;ttl=60;stored",
    "REVALIDATED",
  ],
  [{ ...FORWARDED, why: "stale", status: 200, isStored: true }, "sluice;fwd=stale;fwd-status=200;stored", "MISS"],
  [{ ...FORWARDED, why: "vary-miss" }, "sluice;fwd=vary-miss", "MISS"],
  [{ ...FORWARDED, why: "request", status: 304 }, "sluice;fwd=request;fwd-status=304", "REVALIDATED"],
  [{ ...FORWARDED, why: "bypass", detail: "cookie" }, "sluice;fwd=bypass;detail=cookie", "BYPASS"],
  [{ ...FORWARDED, why: "method" }, "sluice;fwd=method", "BYPASS"],
])("%j", (outcome, line, short) => {
  expect([cacheStatus(null, outcome), xCache(outcome)]).toEqual([line, short]);
});

it("stands behind what caches before us said, with the key for those who may see it", () => {
  const line = cacheStatus("origin;hit", { ...FORWARDED, detail: "no such token" }, 'a"b');
  expect(line).toBe('origin;hit, sluice;fwd=uri-miss;key="a\\"b";detail="no such token"');
  expect(parseList(line)).toHaveLength(2);
});
