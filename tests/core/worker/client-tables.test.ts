import { expect, it } from "vitest";
import { clientTable, sizeClientTables } from "../../../worker/limits/client-tables.ts";

it("has room for as many clients as the configuration says, in tables made before and after", () => {
  const before = clientTable<number>();
  for (let index = 0; index < 10; index++) before.set(`client ${index}`, index);
  sizeClientTables({ tableEntries: 2 });
  const after = clientTable<number>();
  for (let index = 0; index < 10; index++) after.set(`client ${index}`, index);
  expect([before.size, after.size]).toEqual([2, 2]);
  expect([before.get("client 9"), after.get("client 9")]).toEqual([9, 9]);
  sizeClientTables({ tableEntries: 3 });
  for (let index = 0; index < 10; index++) before.set(`client ${index}`, index);
  expect(before.size).toBe(3);
});
