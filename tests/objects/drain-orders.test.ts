import { expect, it } from "vitest";
import { openDrainOrders } from "../../objects/socket-registry/drain-orders.ts";
import { MAX_DRAINED } from "../../objects/socket-registry/registry-messages.ts";

const START = 1_790_000_000_000;

/** Storage, and what was written to it. */
function storage() {
  const rows = new Map<string, unknown>();
  const written: unknown[] = [];
  const kv = {
    get: (name: string) => structuredClone(rows.get(name)),
    put(name: string, value: unknown) {
      rows.set(name, structuredClone(value));
      written.push(value);
    },
    delete(name: string) {
      written.push("deleted");
      return rows.delete(name);
    },
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nothing else of storage is used
  return { storage: { kv } as unknown as DurableObjectStorage, written };
}

const order = (since: number, until: number) => ({ since: START + since, until: START + until });

it("an order holds until its time is over, is given anew or taken back, through restarts too", () => {
  const { storage: disk } = storage();
  const orders = openDrainOrders(disk);
  const routes = () => [orders.routes, openDrainOrders(disk).routes];
  expect(routes()).toEqual([undefined, undefined]);
  orders.give("chat", START, 1_000);
  orders.give("news", START + 1, 2_000);
  const both = new Map([
    ["chat", order(0, 1_000)],
    ["news", order(1, 2_001)],
  ]);
  expect(routes()).toEqual([both, both]);
  orders.give("chat", START + 5, 3_000);
  orders.give("news", START + 5, 0);
  const again = new Map([["chat", order(5, 3_005)]]);
  expect(routes()).toEqual([again, again]);
  // The next order leaves out what has run out.
  orders.give("news", START + 3_005, 1);
  expect(orders.routes).toEqual(new Map([["news", order(3_005, 3_006)]]));
  orders.sweep(START + 3_006);
  expect(routes()).toEqual([undefined, undefined]);
});

it("nothing is written where nothing has changed", () => {
  const { storage: disk, written } = storage();
  const orders = openDrainOrders(disk);
  orders.sweep(START);
  orders.give("chat", START, 0);
  expect(written).toEqual([]);
  orders.give("chat", START, 1_000);
  orders.sweep(START + 999);
  expect(written).toHaveLength(1);
  orders.give("chat", START + 999, 0);
  orders.sweep(START + 1_000);
  expect(written.slice(1)).toEqual(["deleted"]);
});

it("there may be a hundred more than an operator can give, and more of those alone that there are", () => {
  const orders = openDrainOrders(storage().storage);
  for (let index = 0; index < MAX_DRAINED + 100; index += 1) orders.give(`r${index}`, START, 1_000);
  expect(() => orders.give("one more", START, 1_000)).toThrow(
    "cannot give the order: 1100 routes take no new sessions already; take one back",
  );
  orders.give("one more", START, 0);
  orders.give("r7", START, 2_000);
  orders.give("one more", START + 1_000, 1_000);
  expect([...(orders.routes?.keys() ?? [])]).toEqual(["r7", "one more"]);
});
