import fc from "fast-check";
import { expect, it } from "vitest";
import { createRing, type PassedMessage } from "../../../objects/web-socket-relay/resume/ring.ts";

const LIMITS = { messages: 100, bytes: 1_000 };

/** What a ring is to be: a list from which the oldest go while it is too much. */
function model(last: number) {
  let kept: { readonly number: number; readonly message: PassedMessage }[] = [];
  let next = last + 1;
  const bytes = () => kept.reduce((sum, { message }) => sum + message.bytes, 0);
  return {
    push(message: PassedMessage) {
      kept.push({ number: next, message });
      next += 1;
      while (kept.length > LIMITS.messages || bytes() > LIMITS.bytes) kept.shift();
    },
    dropTo(number: number) {
      kept = kept.filter((one) => one.number > number);
    },
    seen(number: number) {
      const first = kept[0]?.number ?? next;
      const after = kept.filter((one) => one.number > number).map(({ message }) => message);
      return { first, last: next - 1, bytes: bytes(), after };
    },
  };
}

it("a ring keeps the latest that have room, whatever is pushed and dropped", () => {
  const bytes = fc.oneof({ arbitrary: fc.nat(12), weight: 50 }, fc.nat(1_200));
  const pushes = fc.array(bytes, { maxLength: 200, size: "max" }).map((all) => ({ all, dropped: undefined }));
  const drops = fc.integer({ min: -2, max: 120 }).map((dropped) => ({ all: [], dropped }));
  fc.assert(
    fc.property(fc.nat(50), fc.array(fc.oneof(pushes, drops), { maxLength: 12 }), (last, steps) => {
      const [ring, list] = [createRing(LIMITS, last), model(last)];
      for (const { all, dropped } of steps) {
        for (const size of all) {
          const message = { data: "", bytes: size };
          ring.push(message);
          list.push(message);
        }
        // Below what is kept, within it and beyond it.
        if (dropped !== undefined) {
          const to = ring.first + dropped - 2;
          ring.dropTo(to);
          list.dropTo(to);
        }
        for (const number of [0, ring.first - 1, ring.first + 1, ring.last, ring.last + 1]) {
          const { first, last: latest, bytes: sum } = ring;
          expect({ first, last: latest, bytes: sum, after: ring.after(number) }).toEqual(list.seen(number));
        }
      }
    }),
  );
});

it("numbers go on after as many as are skipped", () => {
  const ring = createRing(LIMITS);
  for (const data of ["a", "b"]) ring.push({ data, bytes: 1 });
  ring.dropTo(1);
  ring.skip(3);
  ring.push({ data: "c", bytes: 1 });
  expect([ring.first, ring.last, ring.bytes]).toEqual([5, 6, 2]);
  expect(ring.after(5)).toEqual([{ data: "c", bytes: 1 }]);
});
