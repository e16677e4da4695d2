import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatPath, valueAt } from "../../../schemas/document/path.ts";
import { parseConfig, parseConfigText } from "../../../schemas/index.ts";
import { CONTRACT_TEXT } from "./documents.ts";

// The same cases every time: leave the seed out to look for others.
fc.configureGlobal({ seed: 20_261_109 });

/** Documents that are nearly right: the contract's, with parts of other types, other names and other values put in. */
const FULL = {
  ...JSON.parse(CONTRACT_TEXT),
  backends: {
    b: {
      targets: [
        { url: "https://b.example.com", weight: 2 },
        { url: "https://c.example.com", drain: true },
      ],
      timeouts: { headers: "1s" },
      circuitBreaker: { fallback: { backend: "c" }, failureStatuses: ["5xx", 500], slowCallRate: 0.5 },
      balance: { algorithm: "rendezvous", by: ["header:x-tenant", "ip"], slowStart: "10s" },
      sticky: { by: "header", name: "x-shard", ttl: 60 },
      healthCheck: { path: "/healthz", interval: "5s", timeout: 500, statuses: 200, bodyIncludes: "ok" },
      retry: { statuses: [503], backoff: { base: 10, max: 20 }, budget: { ratio: 0.1 } },
      hedge: { after: "p95", budget: 0.1 },
      quota: { requests: 20, window: "1m", burst: 5, spacing: "50ms", backoff: { base: 10, max: 20 }, by: "ip" },
    },
    c: { targets: [{ url: "https://d.example.com" }], circuitBreaker: { fallback: { response: { status: 503 } } } },
  },
  retry: true,
  timeouts: { idle: 5 },
  clientIp: { header: "X-Forwarded-For", trustedProxies: ["10.0.0.0/8"] },
  endpoints: { healthz: false },
  admin: { prefix: "/ops" },
};

type Key = string | number;

/** Every place of a document, objects and arrays included. */
function placesOf(value: unknown, path: readonly Key[] = []): readonly (readonly Key[])[] {
  if (typeof value !== "object" || value === null) return [path];
  const entries: [Key, unknown][] = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  return [path, ...entries.flatMap(([key, item]) => placesOf(item, [...path, key]))];
}

function replaced(value: unknown, [key, ...rest]: readonly Key[], by: unknown): unknown {
  if (key === undefined) return by;
  if (Array.isArray(value)) return value.map((item, index) => (index === key ? replaced(item, rest, by) : item));
  if (typeof value !== "object" || value === null) return by;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, name === key ? replaced(item, rest, by) : item]),
  );
}

const places = placesOf(FULL);
const objects = places.filter((path) => {
  const value = valueAt(FULL, path);
  return typeof value === "object" && value !== null && !Array.isArray(value);
});

const junk = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom(
    "",
    "/",
    "/a",
    "https://a.example.com",
    "30s",
    "10MiB",
    "hardened",
    -1,
    0,
    1.5,
    2 ** 53,
    true,
    false,
    null,
    [],
    {},
  ),
  fc.constant(JSON.parse('{"__proto__":{"a":1},"constructor":{"prototype":{}}}')),
);

describe("parseConfig", () => {
  it("never throws and never refuses without a reason, whatever the JSON", () => {
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), fc.anything()), (document) => {
        const result = parseConfig(document);
        const isSound = result.ok
          ? result.config.routes.every(({ backend }) => result.config.backends.has(backend))
          : result.problems.length > 0;
        expect(isSound).toBe(true);
      }),
      { numRuns: 3000 },
    );
  });

  it("never throws, whatever is wrong with a document that was right", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...places), junk), { minLength: 1, maxLength: 3 }), (changes) => {
        const document = changes.reduce<unknown>((changed, [path, by]) => replaced(changed, path, by), FULL);
        const result = parseConfig(document);
        if (!result.ok) expect(result.problems.every(({ got, wanted }) => got !== "" && wanted !== "")).toBe(true);
        expect(parseConfigText(JSON.stringify(document))).toEqual(result);
      }),
      { numRuns: 3000 },
    );
  });

  it("reports an unknown key wherever it is, by its path", () => {
    fc.assert(
      fc.property(fc.constantFrom(...objects), fc.stringMatching(/^[a-z]{1,12}Zz$/), (path, key) => {
        const document = replaced(FULL, path, Object.assign({}, valueAt(FULL, path), { [key]: 1 }));
        const result = parseConfig(document);
        const problems = result.ok ? [] : result.problems;
        expect(problems.map(({ path: found }) => found)).toEqual([formatPath([...path, key])]);
      }),
      { numRuns: 500 },
    );
  });

  it("reports a value of the wrong type by its path", () => {
    const leaves = places.filter((path) => path.length > 0);
    fc.assert(
      fc.property(fc.constantFrom(...leaves), (path) => {
        // No field of this document takes null.
        const result = parseConfig(replaced(FULL, path, null));
        const paths = result.ok ? [] : result.problems.map(({ path: found }) => found);
        expect(paths).toContain(formatPath(path));
      }),
      { numRuns: 500 },
    );
  });

  it("gives the same answer for the same document, and leaves the document alone", () => {
    fc.assert(
      fc.property(fc.constantFrom(...places), junk, (path, by) => {
        const document = replaced(FULL, path, by);
        const before = structuredClone(document);
        expect(parseConfig(document)).toEqual(parseConfig(structuredClone(document)));
        expect(document).toEqual(before);
      }),
      { numRuns: 500 },
    );
  });
});
