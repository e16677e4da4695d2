import { expect, it } from "vitest";
import { ROUTE, routeOf, routeProblems, warningsOf } from "./documents.ts";

const DEFAULTS = { windowMs: 5_000, coalesce: "fresh" };

it.each<readonly [object, object, object | undefined]>([
  [{}, {}, undefined],
  [{ deduplication: true }, {}, DEFAULTS],
  [{}, { deduplication: {} }, DEFAULTS],
  [{ deduplication: true }, { deduplication: false }, undefined],
  [{ deduplication: true }, { deduplication: { enabled: false } }, undefined],
  [{}, { deduplication: { windowMs: 0 } }, { ...DEFAULTS, windowMs: 0 }],
  [
    { deduplication: { windowMs: "1s" } },
    { deduplication: { coalesce: "arrived-before-headers" } },
    {
      ...DEFAULTS,
      coalesce: "arrived-before-headers",
    },
  ],
])("%j with %j is %j", (level, route, settings) => {
  expect(routeOf(route, level).deduplication).toEqual(settings);
});

it.each([
  [{ windowMs: "2m" }, "windowMs"],
  [{ windowMs: -1 }, "windowMs"],
  [{ coalesce: "always" }, "coalesce"],
  [{ window: 5 }, "window"],
])("%j is refused", (deduplication, field) => {
  expect(routeProblems({ ...ROUTE, deduplication }).map(({ path }) => path)).toEqual([
    `routes[0].deduplication.${field}`,
  ]);
});

it("says that it does nothing where the backend binds clients by a cookie", () => {
  const backends = {
    main: { targets: [{ url: "https://a.example.com" }, { url: "https://b.example.com" }], sticky: "cookie" },
  };
  const document = { backends, routes: [{ prefix: "/a", backend: "main", deduplication: true }] };
  expect(warningsOf(document).map(({ path }) => path)).toEqual(["routes[0].deduplication"]);
});
