import { expect, test, vi } from "vitest";
import { runGates } from "../../../scripts/prove/run-gates.ts";

const proof = { promise: "a start-up", bound: "<= 50 ms", figure: "12 ms", pass: true };

test("a gate that throws or measures nothing is a failed row, and the next gate runs", async () => {
  const reported = vi.spyOn(console, "error").mockImplementation(() => {});
  const started: string[] = [];
  const proofs = await runGates(
    [
      { name: "broken", run: () => Promise.reject(new Error("no origin\nand more")) },
      { name: "empty", run: async () => [] },
      { name: "sound", run: async () => [proof] },
    ],
    (name) => started.push(name),
  );
  expect(started).toStrictEqual(["broken", "empty", "sound"]);
  expect(proofs).toStrictEqual([
    { promise: "broken", bound: "the gate runs", figure: "no origin", pass: false },
    { promise: "empty", bound: "the gate runs", figure: "the gate measured nothing", pass: false },
    proof,
  ]);
  expect(reported).toHaveBeenCalledTimes(2);
  reported.mockRestore();
});
