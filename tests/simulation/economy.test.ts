import { expect, it } from "vitest";
import { TABLE, measure } from "./table.ts";

it.each(TABLE.map((row) => [row.promise, row.bound, row] as const))("keeps %s %s", (_promise, _bound, row) => {
  const { figure, pass } = measure(row, [1, 2]);
  expect(pass, figure).toBe(true);
});
