import { describe, expect, it } from "vitest";
import { sharingOf, type HeadFacts } from "../../../objects/dedup/sharing.ts";

describe("whom a response is for", () => {
  const FRESH: HeadFacts = {
    status: 200,
    vary: ["a"],
    hasSetCookie: false,
    isPrivate: false,
    isNoStore: false,
    isNoCache: false,
    isStorable: true,
    ttlMs: 5_000,
    staleWhileRevalidateMs: 0,
  };

  it.each<[string, Partial<HeadFacts>, string, string]>([
    ["fresh", {}, "all", "all"],
    ["fresh and not to be kept", { isStorable: false }, "alone", "waiting"],
    ["stale, within its window", { ttlMs: -1_000, staleWhileRevalidateMs: 5_000 }, "all", "all"],
    ["stale, after its window", { ttlMs: -5_000, staleWhileRevalidateMs: 5_000 }, "alone", "waiting"],
    ["with a cookie", { hasSetCookie: true }, "alone", "alone"],
    ["private", { isPrivate: true }, "alone", "alone"],
    ["no-store", { isNoStore: true }, "alone", "alone"],
    ["no-cache", { isNoCache: true }, "alone", "alone"],
    ["of everything", { vary: "*" }, "alone", "alone"],
    ["101", { status: 101 }, "alone", "alone"],
    ["206", { status: 206 }, "alone", "alone"],
    ["304", { status: 304 }, "alone", "alone"],
    ["401", { status: 401 }, "alone", "alone"],
    ["407", { status: 407 }, "alone", "alone"],
    ["404", { status: 404 }, "all", "all"],
    ["500", { status: 500 }, "error", "error"],
    ["503", { status: 503 }, "error", "error"],
  ])("%s", (_title, head, fresh, waiting) => {
    const kinds = (["fresh", "arrived-before-headers"] as const).map(
      (coalesce) => sharingOf({ ...FRESH, ...head }, { coalesce }).kind,
    );
    expect(kinds).toEqual([fresh, waiting]);
  });
});

it("a response is shared while it is fresh, or while it may be used stale", () => {
  const facts = { status: 200, vary: [], hasSetCookie: false, isPrivate: false, isNoStore: false, isNoCache: false };
  const forMs = (ttlMs: number) => {
    const head = { ...facts, isStorable: true, ttlMs, staleWhileRevalidateMs: 9_000 };
    const sharing = sharingOf(head, { coalesce: "fresh" });
    return sharing.kind === "all" ? sharing.forMs : undefined;
  };
  expect([forMs(5_000), forMs(-1_000), forMs(-9_000)]).toEqual([5_000, 8_000, undefined]);
});
