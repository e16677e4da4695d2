import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { isBrokenBySource, pump, type PumpEnd } from "../../worker/upstream/pump.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"] });
});

afterEach(() => {
  vi.useRealTimers();
});

it("says of a source that failed how long its destination had taken nothing", async () => {
  const error = new Error("reset");
  let pieces = 0;
  const source = new ReadableStream({
    type: "bytes",
    pull(controller) {
      pieces += 1;
      if (pieces > 3) return controller.error(error);
      controller.enqueue(new Uint8Array(10));
    },
  });
  const pauses = [200, 7_000, 300];
  const destination = new WritableStream({
    write() {
      vi.setSystemTime(Date.now() + (pauses.shift() ?? 0));
    },
  });
  const end = await pump(source, destination, { idleMs: 60_000 });
  expect(end).toEqual({ kind: "source-failed", bytes: 30, error, heldMs: 7_000 });
});

it.each<[string, PumpEnd, boolean]>([
  ["a source that fails", { kind: "source-failed", bytes: 9, error: "reset", heldMs: 4_999 }, true],
  ["one that was held up for long", { kind: "source-failed", bytes: 9, error: "reset", heldMs: 5_000 }, false],
  ["a source that says no more", { kind: "idle", bytes: 9, waitedFor: "source" }, true],
  ["a destination that takes no more", { kind: "idle", bytes: 9, waitedFor: "destination" }, false],
  ["a destination that fails", { kind: "destination-failed", bytes: 9, error: "gone", heldMs: 0 }, false],
  ["an end", { kind: "complete", bytes: 9 }, false],
])("tells who broke a transfer off: %s", (_title, end, expected) => {
  expect(isBrokenBySource(end)).toBe(expected);
});
