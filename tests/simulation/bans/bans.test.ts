import { describe, expect, it } from "vitest";
import { FAIR, HOSTILE, playMany } from "./ban-runs.ts";

const SHORT = { first: 1, runs: 300 };

describe("the bans that ship", () => {
  it("meet nobody for what was lost, doubled or late, however near the client came", () => {
    const { falseBans, bans, near } = playMany(SHORT, HOSTILE);
    expect(falseBans).toEqual([]);
    // From both sides; else this would say nothing.
    expect(bans).toBeGreaterThan(50);
    expect(near).toBeGreaterThan(20);
  });

  it("come within 1 s and a round trip of what isolates that refuse have seen; the others tell nothing", () => {
    const { falseBans, late, delays, reportsUnrefused } = playMany(SHORT, FAIR);
    expect({ falseBans, late, reportsUnrefused }).toEqual({ falseBans: [], late: [], reportsUnrefused: 0 });
    expect(delays.length).toBeGreaterThan(50);
  });
});

describe("the check notices", () => {
  it("an owner that counts a repeated report again", () => {
    expect(playMany({ ...SHORT, mutation: "counts-repeats" }, HOSTILE).falseBans).not.toEqual([]);
  });

  it("isolates that report 3 s late", () => {
    expect(playMany({ ...SHORT, mutation: "reports-late" }, FAIR).late).not.toEqual([]);
  });
});
