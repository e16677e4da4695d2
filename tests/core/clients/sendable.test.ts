import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { sendableOf, sizeOf } from "../../../clients/websocket/sendable.ts";

describe("what is sent", () => {
  it("of a buffer or a view is what was in it then", () => {
    const bytes = new Uint8Array([1, 2, 3, 4]);
    const [whole, part, view] = [bytes.buffer, bytes.subarray(1, 3), new DataView(bytes.buffer, 3)].map(sendableOf);
    bytes.fill(0);
    expect([whole, part, view]).toEqual([[1, 2, 3, 4], [2, 3], [4]].map((list) => Uint8Array.from(list).buffer));
  });

  it("of another page's buffer is a buffer, and of a Blob or a File itself", () => {
    const foreign: ArrayBuffer = runInNewContext("new ArrayBuffer(3)");
    expect([sizeOf(sendableOf(foreign)), Object.prototype.toString.call(sendableOf(foreign))]).toEqual([
      3,
      "[object ArrayBuffer]",
    ]);
    for (const blob of [new Blob(["x"]), new File(["x"], "name")]) expect(sendableOf(blob)).toBe(blob);
  });

  it.each([
    ["text", "text"],
    [7, "7"],
    [null, "null"],
    [{ toString: () => "said" }, "said"],
    [{ [Symbol.toStringTag]: "Blobs" }, "[object Blobs]"],
  ])("of anything else is a text: %j", (data, text) => {
    const send: (data: never) => unknown = sendableOf;
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- scripts without types send other things too
    expect(send(data as never)).toBe(text);
  });

  it.each([
    ["aüß😀", 9],
    ["", 0],
    [new ArrayBuffer(5), 5],
    [new Blob(["aü"]), 3],
  ])("has so many bytes: %j", (message, bytes) => {
    expect(sizeOf(message)).toBe(bytes);
  });
});
