import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileRelease, type CompiledRelease, type ReleaseVerdict } from "../../../worker/canary/choose-variant.ts";
import { layOutBands, variantAt } from "../../../worker/canary/variant-bands.ts";

const RUNNING: ReleaseVerdict = { promoted: null, aborted: [] };
const CLIENTS = 100_000;

function compile(percents: readonly number[], name = "checkout"): CompiledRelease {
  return compileRelease({ name, variants: percents.map((percent, index) => ({ name: `v${index + 1}`, percent })) });
}

const drawn = (release: CompiledRelease, key: string) => release.choose(key, null, RUNNING).index;

describe("a share of the clients", () => {
  const kinds: readonly (readonly [string, (client: number) => string])[] = [
    ["numbers", (client) => String(client)],
    ["addresses", (client) => `ip\n10.${client >> 16}.${(client >> 8) & 255}.${client & 255}`],
    ["networks of IPv6", (client) => `ip\n2001:db8:${(client >> 8).toString(16)}:${(client & 255).toString(16)}::`],
    ["names", (client) => `header:x-user\nuser-${client}@example.com`],
    ["long tokens", (client) => `cookie:session\n${"0".repeat(40)}${client.toString(36)}`],
  ];

  it.each(kinds)("of %s is what was asked for within 0.3 %% of all", (_what, keyOf) => {
    for (const name of ["checkout", "search", "a", ""]) {
      const release = compile([5, 25], name);
      const counts = [0, 0, 0];
      for (let client = 0; client < CLIENTS; client++) {
        const index = drawn(release, keyOf(client));
        counts[index] = (counts[index] ?? 0) + 1;
      }
      const [control = 0, small = 0, large = 0] = counts.map((count) => (100 * count) / CLIENTS);
      expect(Math.abs(small - 5)).toBeLessThan(0.3);
      expect(Math.abs(large - 25)).toBeLessThan(0.45);
      expect(control + small + large).toBeCloseTo(100, 9);
    }
  });

  it("is another one in another release: of the 5 % of one, 5 % are in the other's", () => {
    const [one, other] = [compile([5], "one"), compile([5], "other")];
    let inBoth = 0;
    for (let client = 0; client < CLIENTS; client++) {
      if (drawn(one, String(client)) === 1 && drawn(other, String(client)) === 1) inBoth += 1;
    }
    expect(Math.abs(inBoth / CLIENTS - 0.0025)).toBeLessThan(0.0007);
  });

  it("holds the same clients in every isolate", () => {
    fc.assert(
      fc.property(fc.string(), fc.double({ min: 0, max: 100, noNaN: true }), (key, percent) => {
        expect(drawn(compile([percent]), key)).toBe(drawn(compile([percent]), key));
      }),
    );
    const release = compile([30]);
    const chosen = Array.from({ length: 12 }, (_, client) => drawn(release, `client-${client}`));
    // Written down: after an update of the gateway the clients must be where they were.
    expect(chosen.join("")).toBe("100010010000");
  });

  it("lies in all cells evenly, as does the rest", () => {
    const release = compile([5]);
    const counts = [0, 1].map(() => Array<number>(16).fill(0));
    for (let client = 0; client < CLIENTS; client++) {
      const ofVariant = counts[drawn(release, String(client))];
      const cell = release.cellOf(String(client), 16);
      if (ofVariant !== undefined) ofVariant[cell] = (ofVariant[cell] ?? 0) + 1;
    }
    for (const [variant, share] of [0.95, 0.05].entries()) {
      const expected = (share * CLIENTS) / 16;
      // Five standard deviations.
      for (const count of counts[variant] ?? [])
        expect(Math.abs(count - expected)).toBeLessThan(5 * Math.sqrt(expected));
    }
  });

  it.each([
    [0, 0],
    [100, CLIENTS / 10],
  ])("of %d %% is nobody or everybody", (percent, expected) => {
    const release = compile([percent]);
    let count = 0;
    for (let client = 0; client < CLIENTS / 10; client++) count += drawn(release, String(client));
    expect(count).toBe(expected);
  });
});

describe("growing", () => {
  const anyPoint = fc.nat(9_999).map((part) => (part + 0.5) / 10_000);
  const anyShares = (count: number) =>
    fc
      .array(fc.nat(1_000), { minLength: count, maxLength: count })
      .map((parts) => parts.map((part) => ({ percent: part / (10 * count) })));

  it("sends nobody back to the control, whichever of however many variants grow", () => {
    let moved = 0;
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }).chain((count) => fc.tuple(anyShares(count), anyShares(count))),
        fc.array(anyPoint, { maxLength: 20 }),
        ([some, others], points) => {
          const before = some.map(({ percent }, index) => ({
            percent: Math.min(percent, others[index]?.percent ?? 0),
          }));
          const after = some.map(({ percent }, index) => ({ percent: Math.max(percent, others[index]?.percent ?? 0) }));
          if (sum(after) > 100) return;
          for (const point of points) {
            if (variantAt(layOutBands(before), point) === 0) continue;
            moved += 1;
            expect(variantAt(layOutBands(after), point)).toBeGreaterThan(0);
          }
        },
      ),
      { numRuns: 1_000 },
    );
    expect(moved).toBeGreaterThan(500);
  });

  it("moves nobody but to the one that grows, with one or two variants beside the control", () => {
    let grown = 0;
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2 }).chain((count) => fc.tuple(anyShares(count), fc.nat(count - 1), fc.nat(500))),
        fc.array(anyPoint, { maxLength: 20 }),
        ([before, growing, by], points) => {
          const after = before.map(({ percent }, index) => ({ percent: percent + (index === growing ? by / 10 : 0) }));
          if (sum(after) > 100) return;
          for (const point of points) {
            const [from, to] = [variantAt(layOutBands(before), point), variantAt(layOutBands(after), point)];
            if (from === to) continue;
            grown += 1;
            expect([from, to]).toEqual([0, growing + 1]);
          }
        },
      ),
      { numRuns: 2_000 },
    );
    expect(grown).toBeGreaterThan(500);
  });

  it("leaves bands as long as the percentages, without a gap", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }).chain((count) => anyShares(count)),
        (shares) => {
          const bands = layOutBands(shares);
          const steps = 2_000;
          const counts = Array<number>(shares.length + 1).fill(0);
          for (let step = 0; step < steps; step++) {
            const index = variantAt(bands, (step + 0.5) / steps);
            counts[index] = (counts[index] ?? 0) + 1;
          }
          for (const [index, { percent }] of shares.entries()) {
            expect(Math.abs((counts[index + 1] ?? 0) - (percent / 100) * steps)).toBeLessThanOrEqual(1 + 1e-9);
          }
        },
      ),
    );
  });
});

describe("a request", () => {
  const inV1 = keyOf(1);
  const inV2 = keyOf(2);
  const inControl = keyOf(0);

  function keyOf(index: number): string {
    const release = compile([20, 20]);
    for (let client = 0; ; client++) if (drawn(release, String(client)) === index) return String(client);
  }

  it.each<[string, string, string | null, Partial<ReleaseVerdict>, string, boolean]>([
    ["by its share", inV1, null, {}, "v1", true],
    ["by its share, the control's", inControl, null, {}, "control", true],
    ["with an override", inControl, "v2", {}, "v2", false],
    ["with an override to the control", inV1, "control", {}, "control", false],
    ["with an override to what it would get anyway", inV1, "v1", {}, "v1", false],
    ["with an override to nothing", inV1, "v3", {}, "v1", true],
    ["with an empty override", inV1, "", {}, "v1", true],
    ["of an aborted variant", inV1, null, { aborted: ["v1"] }, "control", false],
    ["of another than the aborted", inV2, null, { aborted: ["v1"] }, "v2", true],
    ["of the control, one aborted", inControl, null, { aborted: ["v1"] }, "control", true],
    ["with an override to the aborted", inV1, "v1", { aborted: ["v1"] }, "control", false],
    ["with it from another variant", inV2, "v1", { aborted: ["v1"] }, "v2", true],
    ["of a promoted release", inControl, null, { promoted: "v1" }, "v1", false],
    ["of a promoted release, in the variant", inV1, null, { promoted: "v1" }, "v1", false],
    ["of a promoted release, overridden", inV1, "control", { promoted: "v1" }, "control", false],
    ["promoted to the control", inV1, null, { promoted: "control" }, "control", false],
    ["promoted to a variant that is gone", inV1, null, { promoted: "v9" }, "v1", true],
  ])("%s", (_what, key, asked, verdict, name, counts) => {
    const release = compile([20, 20]);
    const index = ["control", "v1", "v2"].indexOf(name);
    expect(release.choose(key, asked, { ...RUNNING, ...verdict })).toEqual({ index, name, counts });
  });

  it("gets the same value each time, so that it costs no memory", () => {
    const release = compile([20, 20]);
    expect(release.choose(inV1, null, RUNNING)).toBe(release.choose(inV1, null, RUNNING));
  });
});

function sum(shares: readonly { readonly percent: number }[]): number {
  return shares.reduce((total, { percent }) => total + percent, 0);
}
