import { expect, test } from "vitest";
import { renderTable } from "../../../scripts/prove/table.ts";

test("sets columns of figures to the right and words to the left", () => {
  const table = renderTable([
    ["subject", "answers/s"],
    ["bare", "5012"],
    ["a longer one", "-"],
  ]);
  expect(table.split("\n")).toStrictEqual([
    "| subject      | answers/s |",
    "| ------------ | --------: |",
    "| bare         |      5012 |",
    "| a longer one |         - |",
  ]);
});
