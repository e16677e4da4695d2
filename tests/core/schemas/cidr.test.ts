import { BlockList, isIP } from "node:net";
import fc from "fast-check";
import { expect, test } from "vitest";
import { compileCidrs, parseAddress, parseCidr } from "../../../schemas/cidr.ts";

// The same cases every time: leave the seed out to look for others.
fc.configureGlobal({ seed: 20_261_109 });

const octet = fc.integer({ min: 0, max: 255 });
const v4 = fc.tuple(octet, octet, octet, octet).map((octets) => octets.join("."));
const group = fc.oneof(fc.constant(0), fc.constant(0xffff), fc.integer({ min: 0, max: 0xffff }));
const v6 = fc
  .array(group, { minLength: 8, maxLength: 8 })
  .map((groups) => groups.map((word) => word.toString(16)).join(":"));
const address = fc.oneof(v4, v6);
const cidr = fc.oneof(fc.tuple(v4, fc.integer({ min: 0, max: 32 })), fc.tuple(v6, fc.integer({ min: 0, max: 128 })));

function family(text: string): "ipv4" | "ipv6" {
  return text.includes(":") ? "ipv6" : "ipv4";
}

/** Keeps the first `shared` bits of the network and takes the rest from the other address, so that near misses are common. */
function near(network: string, other: string, shared: number): string {
  const from = parseAddress(network);
  const to = parseAddress(other);
  if (from === undefined || to === undefined || from.version !== to.version) return other;
  const words = to.words.map((word, index) => {
    const kept = Math.min(16, Math.max(0, shared - index * 16));
    const mask = (0xffff << (16 - kept)) & 0xffff;
    return ((from.words[index] ?? 0) & mask) | (word & ~mask & 0xffff);
  });
  if (from.version === 6) return words.map((word) => word.toString(16)).join(":");
  return words.flatMap((word) => [word >> 8, word & 0xff]).join(".");
}

test("agrees with Node's BlockList about which addresses a block holds", () => {
  fc.assert(
    fc.property(cidr, address, fc.integer({ min: 0, max: 128 }), ([network, bits], other, shared) => {
      const candidate = near(network, other, shared);
      const blockList = new BlockList();
      blockList.addSubnet(network, bits, family(network));
      const contains = compileCidrs([`${network}/${bits}`]);
      // A rule of one family says nothing about the other, except that a mapped address is its IPv4 address.
      const reread = parseAddress(candidate);
      if (parseCidr(`${network}/${bits}`)?.version !== reread?.version) {
        expect(contains(candidate)).toBe(false);
        return;
      }
      expect(contains(candidate)).toBe(blockList.check(candidate, family(candidate)));
    }),
    { numRuns: 20_000 },
  );
});

test("agrees with Node about which texts are addresses", () => {
  const pieces = fc.constantFrom(
    "0",
    "1",
    "01",
    "255",
    "256",
    ".",
    ":",
    "::",
    "f",
    "ffff",
    "10000",
    "g",
    "1.2.3.4",
    " ",
    "",
  );
  const text = fc.oneof(
    address,
    fc.array(pieces, { maxLength: 10 }).map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(text, (candidate) => {
      expect(parseAddress(candidate) !== undefined).toBe(isIP(candidate) !== 0);
    }),
    { numRuns: 20_000 },
  );
});

test("writes equal addresses alike", () => {
  fc.assert(
    fc.property(v6, (text) => {
      const canonical = parseAddress(text)?.text ?? "";
      expect(parseAddress(text.toUpperCase())?.text).toBe(canonical);
      expect(parseAddress(canonical)).toEqual(parseAddress(text));
    }),
  );
});

test.each([
  ["2001:0DB8:0:0:0:0:0:1", "2001:db8::1"],
  ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
  ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
  ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
  ["10:0:0:0:0:0:0:10", "10::10"],
  ["0:0:0:0:0:0:0:0", "::"],
  ["1:0:0:0:0:0:0:0", "1::"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["::ffff:c000:201", "192.0.2.1"],
  ["fe80::1%eth0", "fe80::1"],
])("writes %s as %s", (written, canonical) => {
  expect(parseAddress(written)?.text).toBe(canonical);
});

test.each([
  ["10.1.2.3/8", "10.0.0.0/8"],
  ["10.1.2.3", "10.1.2.3/32"],
  ["2001:db8::1/32", "2001:db8::/32"],
  ["::1", "::1/128"],
  ["::ffff:10.0.0.1/104", "10.0.0.0/8"],
  ["::ffff:0:0/95", "::fffe:0:0/95"],
  ["0.0.0.0/0", "0.0.0.0/0"],
])("reads the block %s as %s", (written, canonical) => {
  expect(parseCidr(written)?.text).toBe(canonical);
});

test.each([
  ["10.0.0.0/33"],
  ["10.0.0.0/"],
  ["10.0.0.0/08"],
  ["10.0.0.0/-1"],
  ["10.0.0.0/8 "],
  ["10.0.0.0/8/8"],
  ["10.0.0/8"],
  ["010.0.0.0/8"],
  ["::/129"],
  ["::ffff:1.2.3.4/129"],
  ["fe80::1%eth0/64"],
  ["example.com"],
  [""],
])("refuses %j as a block", (written) => {
  expect(parseCidr(written)).toBeUndefined();
});

test("holds an address that is in any of its blocks", () => {
  const contains = compileCidrs(["10.0.0.0/8", "192.168.1.7", "2001:db8::/32"]);
  expect(
    ["10.9.9.9", "192.168.1.7", "192.168.1.8", "::ffff:10.0.0.1", "2001:db8:1::1", "2001:db9::1", "nonsense"].map(
      contains,
    ),
  ).toEqual([true, true, false, true, true, false, false]);
});
