import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { sizeOf } from "../../objects/web-socket-relay/bridge.ts";
import type { FlowLimits } from "../../objects/web-socket-relay/flow.ts";
import { ANY, join } from "./bridge-sides.ts";

const START = 1_790_000_000_000;
/** One message of 1,000 bytes at once, and then as much a second. */
const SLOW: FlowLimits = { ...ANY, bytesPerSecond: 1_000, byteBurst: 1_000, maxBuffered: 3_000 };
const KILO = "k".repeat(1_000);

beforeEach(() => void vi.useFakeTimers({ now: START }));
afterEach(() => void vi.useRealTimers());

describe("what operators say to a client", () => {
  it("stands among what its upstream says, in order, and is counted with it", () => {
    const { client, upstream, joined, seen, relayed } = join({ fromUpstream: SLOW });
    expect(joined.sendToClient("first")).toBe("done");
    upstream.say(KILO);
    expect([joined.sendToClient("ü"), joined.sendToClient("y".repeat(3_000))]).toEqual(["done", "full"]);
    vi.advanceTimersByTime(10_000);
    expect(client.told).toEqual(["first", KILO, "ü"]);
    expect(seen).toContainEqual(["upstream", { data: "ü", bytes: 2 }, START]);
    expect([joined.fromUpstream.messages, relayed.length, joined.lastFrom("upstream")]).toEqual([4, 3, START]);
  });

  it.each<[string, FlowLimits]>([
    ["too large", { ...ANY, maxMessage: 1 }],
    ["one too many", { ...ANY, messagesPerSecond: 1, messageBurst: 0 }],
  ])("is not sent when it is %s, which ends nothing", (_, fromUpstream) => {
    const { client, joined } = join({ fromUpstream });
    expect([joined.sendToClient("ab"), client.told, joined.isClosing()]).toEqual(["full", [], false]);
  });

  it("reaches nobody who has been told that it is over, or has closed", () => {
    const [told, over] = [join(), join()];
    told.upstream.end(1000);
    over.client.end(1000);
    expect([told.joined.sendToClient("x"), over.joined.sendToClient("x")]).toEqual(["gone", "gone"]);
  });
});

it("a message has as many bytes as on the wire", () => {
  expect([sizeOf(new ArrayBuffer(5)), sizeOf("")]).toEqual([5, 0]);
  // The bounds of each length, and of what takes two units.
  for (const text of [
    "\u007f",
    "\u0080",
    "\u07ff",
    "\u0800",
    "\ud7ff",
    "\ue000",
    "\uffff",
    "\u{10000}",
    "\u{10ffff}",
  ]) {
    for (const many of [1, 128, 129, 256, 257]) {
      expect(sizeOf(text.repeat(many))).toBe(new TextEncoder().encode(text).byteLength * many);
    }
  }
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 400, size: "max" }), (text) => {
      const sent = text.toWellFormed();
      expect(sizeOf(sent)).toBe(new TextEncoder().encode(sent).byteLength);
    }),
  );
});
