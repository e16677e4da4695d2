import fc from "fast-check";
import { expect, it } from "vitest";
import {
  MAX_LAG_BYTES,
  NEW_FAN_OUT,
  addToFanOut,
  closeFanOut,
  joinFanOut,
  leaveFanOut,
  readFromFanOut,
  type FanOut,
} from "../../../objects/dedup/fan-out.ts";

const MIB = 1 << 20;

function join(fanOut: FanOut, ...readers: readonly number[]): FanOut {
  return readers.reduce((joined, reader) => joinFanOut(joined, reader) ?? joined, fanOut);
}

it("keeps everything while somebody may join, and lets him begin at the first byte", () => {
  const { fanOut } = addToFanOut(join(NEW_FAN_OUT, 1), 6 * MIB);
  const read = readFromFanOut(fanOut, 1, 6 * MIB).fanOut;
  expect([read.freed, joinFanOut(read, 2)?.readers.get(2)]).toEqual([0, 0]);
});

it("frees what everybody has read once nobody may join", () => {
  const { fanOut } = addToFanOut(join(NEW_FAN_OUT, 1, 2), 3 * MIB);
  const read = readFromFanOut(readFromFanOut(fanOut, 1, 3 * MIB).fanOut, 2, MIB).fanOut;
  const closed = closeFanOut(read);
  expect([closed.fanOut.freed, closed.cut, joinFanOut(closed.fanOut, 3)]).toEqual([MIB, [], undefined]);
  expect(leaveFanOut(closed.fanOut, 2).fanOut.freed).toBe(3 * MIB);
});

it("breaks off a reader that is too far behind another, once nobody may join, and not before", () => {
  const { fanOut, cut } = addToFanOut(join(NEW_FAN_OUT, 1, 2), MAX_LAG_BYTES + MIB);
  const closed = closeFanOut(readFromFanOut(fanOut, 1, MAX_LAG_BYTES).fanOut);
  expect([cut, closed.cut]).toEqual([[], []]);
  const ahead = readFromFanOut(closed.fanOut, 1, 1);
  expect([ahead.cut, [...ahead.fanOut.readers.keys()]]).toEqual([[2], [1]]);
});

it("never keeps more than the lag behind the fastest once nobody may join, nor frees what a reader still needs", () => {
  const action = fc.oneof(
    fc.record({
      kind: fc.constant("add" as const),
      bytes: fc.integer({ min: 0, max: 3 * MIB }),
      reader: fc.constant(0),
    }),
    fc.record({ kind: fc.constant("read" as const), bytes: fc.integer({ min: 0, max: 4 * MIB }), reader: fc.nat(3) }),
    fc.record({ kind: fc.constantFrom("leave", "join", "close"), bytes: fc.constant(0), reader: fc.nat(3) }),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
      let fanOut = join(NEW_FAN_OUT, 0, 1, 2);
      let isClosed = false;
      for (const { kind, bytes, reader } of actions) {
        isClosed ||= kind === "close";
        const next =
          kind === "add"
            ? addToFanOut(fanOut, bytes)
            : kind === "read"
              ? readFromFanOut(fanOut, reader, bytes)
              : kind === "leave"
                ? leaveFanOut(fanOut, reader)
                : kind === "close"
                  ? closeFanOut(fanOut)
                  : { fanOut: fanOut.readers.has(reader) ? fanOut : join(fanOut, reader), cut: [] };
        expect(next.fanOut.freed).toBeGreaterThanOrEqual(fanOut.freed);
        for (const one of next.cut)
          expect(fanOut.total + bytes - (fanOut.readers.get(one) ?? 0)).toBeGreaterThan(MAX_LAG_BYTES);
        ({ fanOut } = next);
        const furthest = Math.max(0, ...fanOut.readers.values());
        for (const read of fanOut.readers.values()) {
          expect(read).toBeGreaterThanOrEqual(fanOut.freed);
          expect(read).toBeLessThanOrEqual(fanOut.total);
        }
        const held = fanOut.readers.size === 0 ? fanOut.total - fanOut.freed : furthest - fanOut.freed;
        if (isClosed) expect(held).toBeLessThanOrEqual(MAX_LAG_BYTES);
      }
    }),
  );
});
