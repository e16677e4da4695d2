import { expect, it } from "vitest";
import { unlessExempt } from "../../../worker/limits/exempt.ts";
import { routeOf } from "../schemas/documents.ts";

const PER_MINUTE = { requestsPerWindow: 60, window: "1m" };

it.each([
  ["an address of neither list", "203.0.113.1", undefined, ["free", "office", "staff"]],
  ["an address of a block", "192.0.2.200", undefined, ["free", "staff"]],
  ["a single address", "198.51.100.7", undefined, ["free", "staff"]],
  ["its neighbour", "198.51.100.8", undefined, ["free", "office", "staff"]],
  ["an IPv6 address of a block", "2001:db8::1", undefined, ["free", "staff"]],
  ["a named principal", "203.0.113.1", "key:ops", ["free", "office"]],
  ["another principal", "203.0.113.1", "key:other", ["free", "office", "staff"]],
  ["both", "192.0.2.200", "key:ops", ["free"]],
  ["an address that is written among the names", "10.0.0.1", undefined, ["free", "office", "staff"]],
])("limits that concern %s", (_, address, principal, names) => {
  const { rateLimits } = routeOf({
    rateLimits: [
      { ...PER_MINUTE, name: "free" },
      { ...PER_MINUTE, name: "office", exempt: { cidrs: ["192.0.2.0/24", "198.51.100.7", "2001:db8::/32"] } },
      { ...PER_MINUTE, name: "staff", exempt: { principals: ["key:ops", "10.0.0.1"] } },
    ],
  });
  const namesFor = unlessExempt(rateLimits, (limits) => limits.map(({ name }) => name));
  expect(namesFor(asker(address, principal))).toEqual(names);
});

it("whom no limit concerns meets nothing, and nothing is compiled for it", () => {
  const compiled: number[] = [];
  const { rateLimits } = routeOf({ rateLimit: { ...PER_MINUTE, exempt: { cidrs: ["192.0.2.0/24"] } } });
  const limitsFor = unlessExempt(rateLimits, (limits) => compiled.push(limits.length));
  expect(limitsFor(asker("192.0.2.1"))).toBeUndefined();
  expect(limitsFor(asker("203.0.113.1"))).toBe(1);
  expect(compiled).toEqual([1]);
});

it("each set of limits is compiled once, whoever asks", () => {
  const compiled: string[][] = [];
  const exempt = { cidrs: ["192.0.2.0/24"] };
  const { rateLimits } = routeOf({
    rateLimits: [
      { ...PER_MINUTE, name: "a" },
      { ...PER_MINUTE, name: "b", exempt },
    ],
  });
  const limitsFor = unlessExempt(rateLimits, (limits) => compiled.push(limits.map(({ name }) => name)));
  for (let host = 1; host < 50; host += 1) {
    limitsFor(asker(`192.0.2.${host}`));
    limitsFor(asker(`203.0.113.${host}`));
  }
  expect(compiled).toEqual([["a", "b"], ["a"]]);
});

function asker(address: string, principal: string = address) {
  return { client: { address }, principal };
}
