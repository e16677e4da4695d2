import fc from "fast-check";
import { parseList } from "structured-headers";
import { describe, expect, it } from "vitest";
import type { RateLimit } from "../../../schemas/index.ts";
import { parseConfig } from "../../../schemas/index.ts";
import type { Verdict } from "../../../worker/limits/headers.ts";
import { labelOf, rateLimitHeaders, seconds } from "../../../worker/limits/headers.ts";

const NAME_START = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789".split("");
/** The largest integer of a structured field (RFC 9651, section 3.3.1). */
const MAX_INTEGER = 999_999_999_999_999;
const CLIENT = "AAAAAAAAAAAAAAAAAAAAAAAA";

const anyName = fc
  .tuple(
    fc.constantFrom(...NAME_START),
    fc.string({ unit: fc.constantFrom(...NAME_START, ".", "_", "-"), maxLength: 31 }),
  )
  .map(([first, rest]) => first + rest);

const anyLimit: fc.Arbitrary<RateLimit> = fc.record({
  name: anyName,
  requestsPerWindow: fc.oneof(fc.integer({ min: 1, max: 1_000 }), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })),
  windowMs: fc.oneof(fc.integer({ min: 1, max: 2_000 }), fc.integer({ min: 1, max: 31_536_000_000 })),
  legacyHeaders: fc.boolean(),
  id: fc.constant("default"),
  burst: fc.constant(1),
  by: fc.constant([{ kind: "ip" as const }]),
  algorithm: fc.constant("token-bucket" as const),
  mode: fc.constant("strict" as const),
  onError: fc.constant("local" as const),
  clients: fc.constant("pooled" as const),
  shadow: fc.constant(false),
  deadlineMs: fc.constant(150),
  calendar: fc.constant(undefined),
  maxConcurrent: fc.constant(undefined),
  cost: fc.constant({ kind: "static" as const, cost: 1 }),
  multiplier: fc.constant(1),
  unitsPerToken: fc.constant(1),
  settle: fc.constant(undefined),
  maxDebt: fc.constant(0),
  countWhen: fc.constant(undefined),
  exempt: fc.constant({ cidrs: [], principals: [] }),
  countCacheHits: fc.constant(true),
  ban: fc.constant(undefined),
});

type LabelledVerdict = Verdict & { readonly partitionKey: string };

const anyVerdict: fc.Arbitrary<LabelledVerdict> = fc
  .record({
    limit: anyLimit,
    partitionKey: fc.string({ unit: fc.constantFrom(...NAME_START), minLength: 24, maxLength: 24 }),
    allowed: fc.boolean(),
    remaining: fc.oneof(fc.nat({ max: 100 }), fc.maxSafeNat()),
    retryAfterMs: fc.option(fc.oneof(fc.nat({ max: 5_000 }), fc.nat({ max: 31_536_000_000 }))),
  })
  .map(labelled);

function labelled<Fields extends Omit<LabelledVerdict, "label">>(fields: Fields): Fields & LabelledVerdict {
  return { ...fields, label: labelOf(fields.limit, fields.partitionKey) };
}

/** A field as a client reads it, with byte sequences in Base64 again. */
function read(field: string | undefined): Record<string, unknown>[] {
  return parseList(field ?? "").map(([value, parameters]) => {
    const shown = [...parameters].map(([key, bare]): [string, unknown] => {
      return [key, bare instanceof ArrayBuffer ? Buffer.from(bare).toString("base64") : bare];
    });
    return Object.fromEntries<unknown>([["value", value], ...shown]);
  });
}

describe("a structured-field parser", () => {
  it("reads every policy: its name, quota, window in whole seconds and partition", () => {
    fc.assert(
      fc.property(fc.array(anyVerdict, { minLength: 1, maxLength: 6 }), (verdicts) => {
        const fields = new Map(rateLimitHeaders(verdicts));
        expect(read(fields.get("ratelimit-policy"))).toEqual(
          verdicts.map(({ limit, partitionKey }) => {
            const { name, requestsPerWindow, windowMs } = limit;
            const exact =
              windowMs < 1_000 ? (BigInt(requestsPerWindow) * 1_000n) / BigInt(windowMs) : BigInt(requestsPerWindow);
            const quota = exact > BigInt(MAX_INTEGER) ? MAX_INTEGER : Number(exact);
            return { value: name, q: quota, w: Math.max(1, Math.ceil(windowMs / 1_000)), pk: partitionKey };
          }),
        );
      }),
      { numRuns: 1_000 },
    );
  });

  it("reads every state: what is left, and how long to wait only when refused", () => {
    fc.assert(
      fc.property(fc.array(anyVerdict, { minLength: 1, maxLength: 6 }), (verdicts) => {
        const fields = new Map(rateLimitHeaders(verdicts));
        expect(read(fields.get("ratelimit"))).toEqual(
          verdicts.map(({ limit, partitionKey, remaining, allowed, retryAfterMs }) => ({
            value: limit.name,
            r: Math.min(remaining, MAX_INTEGER),
            ...(allowed || retryAfterMs === null ? {} : { t: seconds(retryAfterMs) }),
            pk: partitionKey,
          })),
        );
      }),
      { numRuns: 1_000 },
    );
  });

  it("reads what a client sees of 10 in 250 ms beside 1,000 a day", () => {
    const [short, day] = [limitOf("burst", 10, 250), limitOf("day", 1_000, 86_400_000)];
    const fields = new Map(
      rateLimitHeaders([
        labelled({ limit: short, partitionKey: CLIENT, allowed: false, remaining: 0, retryAfterMs: 25 }),
        labelled({ limit: day, partitionKey: CLIENT, allowed: true, remaining: 12, retryAfterMs: 0 }),
      ]),
    );
    expect(fields.get("ratelimit-policy")).toBe(
      '"burst";q=40;w=1;pk=:AAAAAAAAAAAAAAAAAAAAAAAA:, "day";q=1000;w=86400;pk=:AAAAAAAAAAAAAAAAAAAAAAAA:',
    );
    expect(fields.get("ratelimit")).toBe(
      '"burst";r=0;t=1;pk=:AAAAAAAAAAAAAAAAAAAAAAAA:, "day";r=12;pk=:AAAAAAAAAAAAAAAAAAAAAAAA:',
    );
    expect(read(fields.get("ratelimit"))).toEqual([
      { value: "burst", r: 0, t: 1, pk: "AAAAAAAAAAAAAAAAAAAAAAAA" },
      { value: "day", r: 12, pk: "AAAAAAAAAAAAAAAAAAAAAAAA" },
    ]);
  });
});

describe("a limit that is no bucket", () => {
  it("tells when its window ends, and waits for that when it is refused", () => {
    const day = { ...limitOf("day", 100, 86_400_000), algorithm: "fixed-window" as const };
    const rest = { limit: day, partitionKey: CLIENT, resetMs: 3_600_000 };
    const told = [
      labelled({ ...rest, allowed: true, remaining: 12, retryAfterMs: 0 }),
      labelled({ ...rest, allowed: false, remaining: 0, retryAfterMs: 3_600_000 }),
    ];
    expect(read(new Map(rateLimitHeaders(told)).get("ratelimit"))).toEqual([
      { value: "day", r: 12, t: 3_600, pk: CLIENT },
      { value: "day", r: 0, t: 3_600, pk: CLIENT },
    ]);
  });

  it("that counts bytes says so, and tells them instead of tokens", () => {
    const settle = { kind: "bytes", bytesPerToken: 1_024 } as const;
    const limit = { ...limitOf("traffic", 1_000, 60_000), settle, legacyHeaders: true };
    const verdict = labelled({ limit, partitionKey: CLIENT, allowed: true, remaining: 3, retryAfterMs: 0 });
    const fields = new Map(rateLimitHeaders([verdict]));
    expect(read(fields.get("ratelimit-policy"))).toEqual([
      { value: "traffic", q: 1_024_000, qu: "content-bytes", w: 60, pk: CLIENT },
    ]);
    expect(read(fields.get("ratelimit"))).toEqual([{ value: "traffic", r: 3_072, pk: CLIENT }]);
    expect([fields.get("x-ratelimit-limit"), fields.get("x-ratelimit-remaining")]).toEqual(["1024000", "3072"]);
  });

  it("that counts bytes tells tokens on a route where they are no certain number of bytes", () => {
    const settle = { kind: "bytes", bytesPerToken: 1_024 } as const;
    const limit = { ...limitOf("traffic", 1_000, 60_000), settle, multiplier: 0.5 };
    const verdict = labelled({ limit, partitionKey: CLIENT, allowed: true, remaining: 3, retryAfterMs: 0 });
    expect(read(new Map(rateLimitHeaders([verdict])).get("ratelimit"))).toEqual([
      { value: "traffic", r: 3, pk: CLIENT },
    ]);
  });

  it("that counts requests in flight says so, and has no window", () => {
    const limit = { ...limitOf("open", 20, 1_000), algorithm: "concurrency" as const };
    const verdict = labelled({ limit, partitionKey: CLIENT, allowed: true, remaining: 3, retryAfterMs: 0 });
    expect(read(new Map(rateLimitHeaders([verdict])).get("ratelimit-policy"))).toEqual([
      { value: "open", q: 20, qu: "concurrent-requests", pk: CLIENT },
    ]);
  });
});

describe("a limit's name", () => {
  // The fields are written by hand: whatever would need escaping there must never become a name.
  it.each([
    'say "hi"',
    '"',
    "back\\slash",
    "a\\",
    "a;q=1",
    "a,b",
    "a b",
    "größe",
    "日",
    "a\r\nset-cookie: x",
    "a\u0000",
    "\u007f",
    "",
    ".dot",
    "-dash",
    "a".repeat(33),
  ])("is refused when it is %j", (name) => {
    const result = parseConfig(documentWith(name));
    expect(result.ok ? [] : result.problems.map(({ path }) => path)).toEqual(["rateLimits[0].name"]);
  });

  it("that the configuration takes is a structured-field string as it stands", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ minLength: 1, maxLength: 40 }), anyName), (name) => {
        const result = parseConfig(documentWith(name));
        if (!result.ok) return;
        expect(parseList(`"${name}"`)).toEqual([[name, new Map()]]);
      }),
      { numRuns: 1_000 },
    );
    const longest = `a${"._-Z9".repeat(6)}b`;
    expect(parseConfig(documentWith(longest)).ok).toBe(true);
  });

  it.each([
    { title: "a route's limit without a name", at: "route" },
    { title: "the top-level limit without a name", at: "top" },
  ])("is a safe one for $title", ({ at }) => {
    const limit = { requestsPerWindow: 1, windowSeconds: 1 };
    const route = { id: "some-route", prefix: "/", target: "https://origin.example" };
    const document =
      at === "top" ? { routes: [route], rateLimit: limit } : { routes: [{ ...route, rateLimit: limit }] };
    const result = parseConfig(document);
    const names = result.ok
      ? result.config.routes.flatMap(({ rateLimits }) => rateLimits.map(({ name }) => name))
      : result.problems;
    expect(names).toEqual([at === "top" ? "default" : "route"]);
  });
});

function limitOf(name: string, requestsPerWindow: number, windowMs: number): RateLimit {
  const limit = fc.sample(anyLimit, { numRuns: 1, seed: 1 })[0];
  if (limit === undefined) throw new Error("no limit was made");
  return { ...limit, name, requestsPerWindow, windowMs, legacyHeaders: false };
}

function documentWith(name: string): unknown {
  return {
    routes: [{ prefix: "/", target: "https://origin.example" }],
    rateLimits: [{ name, requestsPerWindow: 1, windowSeconds: 1 }],
  };
}
