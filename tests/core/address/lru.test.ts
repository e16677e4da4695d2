import fc from "fast-check";
import { expect, it } from "vitest";
import { createLru } from "../../../objects/lru.ts";

it("forgets the entry used longest ago, where writing and reading are uses", () => {
  const table = createLru<string, number>(2);
  table.set("a", 1);
  table.set("b", 2);
  expect(table.get("a")).toBe(1);
  table.set("c", 3);
  expect(["a", "b", "c"].map((key) => table.get(key))).toEqual([1, undefined, 3]);
});

it("replaces a value without forgetting another", () => {
  const table = createLru<string, number>(2);
  table.set("a", 1);
  table.set("b", 2);
  table.set("a", 3);
  expect([table.get("a"), table.get("b"), table.size]).toEqual([3, 2, 2]);
});

it("lets go of one entry", () => {
  const table = createLru<string, number>(3);
  table.set("a", 1);
  table.set("b", 2);
  table.delete("a");
  expect([table.get("a"), table.get("b"), table.size]).toEqual([undefined, 2, 1]);
});

it("keeps what was used last when it is made smaller, and has room again when it is made larger", () => {
  const table = createLru<string, number>(3);
  for (const [value, key] of ["a", "b", "c"].entries()) table.set(key, value);
  table.get("a");
  table.resize(1);
  expect(["a", "b", "c"].map((key) => table.get(key))).toEqual([0, undefined, undefined]);
  table.resize(2);
  table.set("d", 3);
  expect(["a", "d"].map((key) => table.get(key))).toEqual([0, 3]);
});

it("agrees with a list kept in the order of use, also on what has to go", () => {
  const use = fc.record({ kind: fc.constantFrom("get", "set", "delete"), key: fc.nat({ max: 6 }) });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.array(use, { maxLength: 40 }), (capacity, uses) => {
      const table = createLru<number, number>(capacity);
      let model: [key: number, value: number][] = [];
      for (const [value, { kind, key }] of uses.entries()) {
        const held = model.find(([one]) => one === key);
        const others = model.filter(([one]) => one !== key);
        if (kind === "get") {
          expect(table.get(key)).toBe(held?.[1]);
          model = held === undefined ? others : [...others, held];
        }
        if (kind === "set") {
          const next = [...others, [key, value] satisfies [number, number]];
          expect(table.set(key, value)).toBe(next.length > capacity ? next[0]?.[1] : undefined);
          model = next.slice(-capacity);
        }
        if (kind === "delete") {
          table.delete(key);
          model = others;
        }
        expect(table.size).toBe(model.length);
      }
    }),
    { numRuns: 1_000 },
  );
});
