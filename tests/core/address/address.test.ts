import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ClientQuery, ObjectAddress } from "../../../objects/address.ts";
import { addresses, createAddresses } from "../../../objects/address.ts";

const SECRET = "a secret of the test, 32 characters";
const CODES = ["AF", "AN", "AS", "EU", "NA", "OC", "SA"];

function pooled(...parts: string[]): ClientQuery {
  return { parts, clients: "pooled", continent: "EU" };
}

/** The address of a client under the test's secret, whether it had to be computed or not. */
async function addressOf(query: ClientQuery): Promise<ObjectAddress> {
  return addresses(SECRET).addressClient(query);
}

describe("an address", () => {
  it("is computed once and then there at once", async () => {
    const book = createAddresses({ secret: SECRET });
    const first = book.addressClient(pooled("ip", "192.0.2.7"));
    expect(first).toBeInstanceOf(Promise);
    expect(book.addressClient(pooled("ip", "192.0.2.7"))).toBeInstanceOf(Promise);
    const address = await first;
    expect(book.addressClient(pooled("ip", "192.0.2.7"))).toBe(address);
    expect(await createAddresses({ secret: SECRET }).addressClient(pooled("ip", "192.0.2.7"))).toEqual(address);
  });

  it("names the object by an HMAC of length-prefixed parts that a second program can compute", async () => {
    const { name, client } = await addressOf({ parts: ["key", "k1"], clients: "own", continent: "EU" });
    expect(name).toBe(`v1:rate-limiter:${hmacHex(["own", client])}`);
    expect(client).toBe(`o${base62Tail(hmacHex(["client", "key", "k1"]))}`);
  });

  it("stays the same from version to version, else every counter would start anew", async () => {
    const book = createAddresses({ secret: SECRET });
    expect(await book.addressClient(pooled("ip", "192.0.2.7"))).toEqual({
      name: "v1:rate-limiter:d46215145a1843f8fc5cfba33a74451caed6f21bebcd7ab66033c8c9f28746b3",
      client: "Ezsl47BjBPA4jV9kvZfDcA6J",
      locationHint: "weur",
    });
    expect(await book.addressClient({ parts: ["key", "k1"], clients: "own", continent: "EU" })).toEqual({
      name: "v1:rate-limiter:9ca461dc4e7d580a20cc722693a45d5352d9eae2915daa761e036d3f706826fc",
      client: "owrEUdoQS7tBGSthtIN9ffED",
    });
  });

  it("is another one under another secret", async () => {
    const one = await addressOf(pooled("ip", "192.0.2.7"));
    const other = await addresses(`${SECRET}!`).addressClient(pooled("ip", "192.0.2.7"));
    expect(other.client).not.toBe(one.client);
    expect(other.name).not.toBe(one.name);
  });

  it("tells clients apart that look alike", async () => {
    const lists = [
      [],
      [""],
      ["", ""],
      ["a:b"],
      ["a", "b"],
      ["a", ":b"],
      ["a:", "b"],
      ["b", "a"],
      ["ab"],
      ["ab", ""],
      ["", "ab"],
      ["1:a"],
      ["\ud800"],
      ["\udbff"],
      ["\udc00"],
      ["\ufffd"],
      ["\ud800", "\udc00"],
      ["\ud800\udc00"],
      ["a\0"],
      ["a"],
      ["x".repeat(100_000)],
      ["x".repeat(100_000), ""],
      ["x".repeat(99_999)],
    ];
    const handles = await Promise.all(lists.map((parts) => addressOf(pooled(...parts))));
    expect(new Set(handles.map(({ client }) => client)).size).toBe(lists.length);
  });

  it("never meets that of another list of parts", async () => {
    const part = fc.string({ unit: fc.constantFrom("a", ":", "1", "2", "\ud800", "\udc00", "\ufffd"), maxLength: 3 });
    const list = fc.array(part, { maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(list, list, async (one, other) => {
        const [first, second] = await Promise.all([one, other].map((parts) => addressOf(pooled(...parts))));
        expect(first?.client === second?.client).toBe(JSON.stringify(one) === JSON.stringify(other));
      }),
      { numRuns: 2_000 },
    );
  });

  it("spreads clients evenly over the 256 objects of their continent", async () => {
    const book = createAddresses({ secret: SECRET });
    const counts = new Map<string, number>();
    for (let index = 0; index < 12_800; index += 1) {
      const { name } = await book.addressClient(pooled("ip", `client ${index}`));
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    expect(counts.size).toBe(256);
    // 50 expected in each; 100 would be 7 standard deviations away, and the secret is fixed.
    expect(Math.max(...counts.values())).toBeLessThan(100);
  });
});

describe("the continent", () => {
  it("chooses the pool and where it is placed", async () => {
    const hints = await Promise.all(
      CODES.map(async (continent) => {
        const { locationHint } = await addressOf({ ...pooled("ip", "a"), continent });
        return [continent, locationHint];
      }),
    );
    expect(Object.fromEntries(hints)).toEqual({
      AF: "afr",
      AN: "oc",
      AS: "apac",
      EU: "weur",
      NA: "enam",
      OC: "oc",
      SA: "sam",
    });
  });

  it("that is missing or made up means the pool without one, and no hint", async () => {
    const unknown = ["", "eu", "T1", "XX", "EUROPE", "__proto__", undefined];
    const found = await Promise.all(unknown.map((continent) => addressOf({ ...pooled("ip", "a"), continent })));
    expect(new Set(found.map(({ name }) => name)).size).toBe(1);
    expect(found.map((address) => Object.keys(address))).toEqual(unknown.map(() => ["name", "client"]));
  });

  it("gives every pool objects of its own", async () => {
    const everywhere = [...CODES, undefined];
    const found = await Promise.all(everywhere.map((continent) => addressOf({ ...pooled("ip", "a"), continent })));
    expect(new Set(found.map(({ name }) => name)).size).toBe(8);
    expect(new Set(found.map(({ client }) => client)).size).toBe(8);
  });

  it("does not matter to a client with an object to itself, which is placed near its first request", async () => {
    const everywhere = [...CODES, undefined];
    const found = await Promise.all(
      everywhere.map((continent) => addressOf({ parts: ["key", "k1"], clients: "own", continent })),
    );
    expect(new Set(found.map((address) => JSON.stringify(address))).size).toBe(1);
    expect(Object.keys(found[0] ?? {})).toEqual(["name", "client"]);
  });
});

describe("a handle", () => {
  const everyKind: fc.Arbitrary<ClientQuery> = fc.record({
    parts: fc.array(fc.string({ unit: "binary" }), { maxLength: 3 }),
    clients: fc.constantFrom("pooled", "own"),
    continent: fc.constantFrom(...CODES, undefined),
  });

  it("finds the owner by itself", async () => {
    await fc.assert(
      fc.asyncProperty(everyKind, async (query) => {
        const address = await addressOf(query);
        expect(await createAddresses({ secret: SECRET }).locateClient(address.client)).toEqual(address);
      }),
      { numRuns: 1_000 },
    );
  });

  it("is 18 bytes in Base64 and in base64url, and spelled the same in both", async () => {
    await fc.assert(
      fc.asyncProperty(everyKind, async (query) => {
        const { client } = await addressOf(query);
        expect(client).toMatch(/^[A-Ho][A-Za-z0-9]{23}$/);
        expect(Buffer.from(client, "base64").toString("base64")).toBe(client);
        expect(Buffer.from(client, "base64url").toString("base64url")).toBe(client);
      }),
      { numRuns: 1_000 },
    );
  });

  it.each([
    ["nothing", ""],
    ["too short", `o${"a".repeat(22)}`],
    ["too long", `o${"a".repeat(24)}`],
    ["no such pool", `I${"a".repeat(23)}`],
    ["a letter of base64url that no handle has", `o${"a".repeat(22)}-`],
    ["a line break at its end", `o${"a".repeat(23)}\n`],
    ["an object's name", `v1:rate-limiter:${"0".repeat(64)}`],
    ["a word that every table knows", "constructor"],
  ])("that cannot be one is refused: %s", async (_title, handle) => {
    expect(await addresses(SECRET).locateClient(handle)).toBeNull();
  });
});

describe("the table of known addresses", () => {
  it("forgets the address used longest ago", async () => {
    const book = createAddresses({ secret: SECRET, capacity: 2 });
    await book.addressClient(pooled("a"));
    await book.addressClient(pooled("b"));
    await book.addressClient(pooled("a"));
    await book.addressClient(pooled("c"));
    expect(book.addressClient(pooled("a"))).not.toBeInstanceOf(Promise);
    expect(book.addressClient(pooled("b"))).toBeInstanceOf(Promise);
  });

  it("does not hold identities of any length", async () => {
    const book = createAddresses({ secret: SECRET });
    const long = pooled("header:x", "x".repeat(100_000));
    await book.addressClient(long);
    expect(book.addressClient(long)).toBeInstanceOf(Promise);
  });
});

it("refuses an empty or short secret and says how to make one", () => {
  const cure = "make one with openssl rand -hex 32";
  expect(() => addresses("")).toThrow(`NAMING_SECRET must have at least 16 characters, got 0; ${cure}`);
  expect(() => addresses("0123456789abcde")).toThrow(`NAMING_SECRET must have at least 16 characters, got 15; ${cure}`);
});

it("has an object for readiness checks that no client can have", async () => {
  expect(await addresses(SECRET).probe()).toEqual({ name: `v1:rate-limiter:${hmacHex(["probe"])}` });
});

it("names each shard of a client by an HMAC of the client's handle and its number", async () => {
  const name = (index: string) => ({ name: `v1:rate-limiter:${hmacHex(["shard", "handle", index])}` });
  expect(await addresses(SECRET).addressShard("handle", 0)).toEqual(name("0"));
  expect(await addresses(SECRET).addressShard("handle", 31)).toEqual(name("31"));
});

it("names the breaker of a target by an HMAC of its URL as it is written", async () => {
  const name = (url: string) => ({ name: `v1:circuit-breaker:${hmacHex(["breaker", url])}` });
  for (const url of ["https://api.example.com", "https://api.example.com/", "https://API.example.com"]) {
    expect(await addresses(SECRET).breaker(url)).toEqual(name(url));
  }
});

it("names the owner of an idempotency key by an HMAC of its parts, wherever one ends and the next begins", async () => {
  const name = (parts: readonly string[]) => ({ name: `v1:idempotency:${hmacHex(["idempotency", ...parts])}` });
  const lists = [
    ["r", "1", "192.0.2.1", "key"],
    ["r", "1", "192.0.2.1k", "ey"],
    ["r1", "192.0.2.1", "key"],
  ];
  for (const parts of lists) expect(await addresses(SECRET).idempotency(parts)).toEqual(name(parts));
  expect(new Set(lists.map((parts) => name(parts).name)).size).toBe(lists.length);
});

/** HMAC-SHA-256 over a count, then length and UTF-16 code units of each part, all big-endian. */
function hmacHex(parts: readonly string[]): string {
  const bytes = [uint32(parts.length), ...parts.map((part) => Buffer.concat([uint32(part.length), utf16(part)]))];
  return createHmac("sha256", SECRET).update(Buffer.concat(bytes)).digest("hex");
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function utf16(text: string): Buffer {
  return Buffer.from(text, "utf16le").swap16();
}

function base62Tail(digest: string): string {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  const digits = Array.from({ length: 23 }, (_, place) => Number((BigInt(`0x${digest}`) / 62n ** BigInt(place)) % 62n));
  return digits.map((digit) => letters.charAt(digit)).join("");
}
