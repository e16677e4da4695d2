import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { judgeCheck, unchecked } from "../../../objects/circuit-breaker/health-verdict.ts";
import { START } from "./fixtures.ts";

const POLICY = { rise: 2, fall: 3 };

/** The verdicts after each check: `+` succeeded, `-` failed; `u` up, `d` down. */
function verdicts(checks: string): string {
  let health = unchecked(START);
  return checks
    .split("")
    .map((check, index) => {
      health = judgeCheck(health, check === "+", POLICY, START + index);
      return health.isDown ? "d" : "u";
    })
    .join("");
}

describe("health checks call a target", () => {
  it.each([
    ["up before any failed three times", "++--+--+", "uuuuuuuu"],
    ["down after three failures in a row", "+---", "uuud"],
    ["down until two succeed in a row", "---+-+-++", "uuddddddu"],
    ["up by itself after an hour down", `${"-".repeat(360)}++`, `uu${"d".repeat(359)}u`],
  ])("%s", (_title, checks, expected) => {
    expect(verdicts(checks)).toBe(expected);
  });

  it("what as many in a row say as it takes, whatever was before", () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 50 }), (checks) => {
        const text = checks.map((one) => (one ? "+" : "-")).join("");
        expect(verdicts(`${text}---`).at(-1)).toBe("d");
        expect(verdicts(`${text}++`).at(-1)).toBe("u");
      }),
    );
  });

  it("since when", () => {
    let health = unchecked(START);
    for (const at of [1, 2, 3, 4]) health = judgeCheck(health, false, POLICY, START + at);
    expect(health).toEqual({ isDown: true, against: 0, since: START + 3 });
  });
});
