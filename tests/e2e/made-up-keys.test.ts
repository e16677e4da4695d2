import { expect, it } from "vitest";
import { madeUpKeys } from "../support/fleet/made-up-keys.ts";

/** More than any table of an isolate holds. */
const CLIENTS = 1_200;

it("gives every made-up client one owner of a pool, and an isolate remembers a thousand of them", async () => {
  const { tables, storage, ...seen } = await madeUpKeys({ clients: CLIENTS, windowSeconds: 600 });
  const { admitted, otherwise, admittedAgain, returned } = seen;
  expect({ admitted, otherwise, admittedAgain, returned }).toEqual({
    admitted: CLIENTS,
    otherwise: {},
    admittedAgain: 0,
    returned: 120,
  });
  expect(storage.owners.size).toBe(CLIENTS);
  expect(new Set(storage.owners.values())).toEqual(new Set([1]));
  expect(storage.objects).toBeLessThanOrEqual(256);
  // A table takes a new entry in before the oldest leaves.
  expect(tables[1]?.largestEver).toBe(1_001);
});
