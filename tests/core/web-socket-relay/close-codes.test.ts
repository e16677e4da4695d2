import { describe, expect, it } from "vitest";
import { fittingReason, isSendable, relayClose } from "../../../objects/web-socket-relay/close-codes.ts";

describe("what both sides are told of the end of one", () => {
  const [FULL, LONG] = ["r".repeat(123), "r".repeat(124)];
  it.each([
    // What may be sent is passed on as it is.
    ["client", 1000, "bye", { code: 1000, reason: "bye" }, undefined],
    ["upstream", 4999, "", { code: 4999, reason: "" }, undefined],
    ["client", 1000, FULL, { code: 1000, reason: FULL }, undefined],
    // An empty Close stays empty.
    ["client", 1005, "", {}, undefined],
    ["upstream", 1005, "", {}, undefined],
    ["client", 1006, "", { code: 1001, reason: "client lost" }, undefined],
    ["upstream", 1006, "", { code: 1014, reason: "upstream lost" }, undefined],
    // Who sends what nobody may send is told so.
    ["client", 1015, "", { code: 1002 }, { code: 1002 }],
    ["upstream", 999, "", { code: 1014 }, { code: 1002 }],
    ["client", 1000, LONG, { code: 1002 }, { code: 1002 }],
    ["upstream", 1000, LONG, { code: 1014 }, { code: 1002 }],
  ] as const)("%s closes with %d %s", (side, code, reason, other, own) => {
    expect(relayClose(side, code, reason)).toEqual({ other, own });
  });
});

it("no code that is reserved may ever be sent", () => {
  const sendable = Array.from({ length: 5_100 }, (_, code) => code).filter(isSendable);
  expect(sendable.filter((code) => code < 3000)).toEqual([
    1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
  ]);
  expect([sendable[12], sendable.at(-1), sendable.length]).toEqual([3000, 4999, 2012]);
});

it("a reason is cut between characters, at 123 bytes", () => {
  expect(["short", "r".repeat(123)].map(fittingReason)).toEqual(["short", "r".repeat(123)]);
  expect(fittingReason("r".repeat(200))).toBe("r".repeat(123));
  // 61 letters of two bytes and half of another; then 30 of four.
  expect(fittingReason("ü".repeat(70))).toBe("ü".repeat(61));
  expect(fittingReason("😀".repeat(40))).toBe("😀".repeat(30));
});
