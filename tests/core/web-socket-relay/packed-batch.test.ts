import fc from "fast-check";
import { expect, it } from "vitest";
import { packBatch, unpackBatch } from "../../../objects/web-socket-relay/resume/packed-batch.ts";

it("messages are unpacked as they were packed", () => {
  const text = fc.string({ unit: "binary" }).map((data) => data.toWellFormed());
  const message = fc.oneof(
    text.map((data) => ({ data, bytes: new TextEncoder().encode(data).byteLength })),
    fc.uint8Array().map((bytes) => ({ data: Uint8Array.from(bytes).buffer, bytes: bytes.byteLength })),
  );
  fc.assert(
    fc.property(fc.array(message), (messages) => {
      expect(unpackBatch(packBatch(messages))).toEqual(messages);
    }),
  );
});

it.each(["", "{}", "[1.5]", '["3"]', "[2]", "[4]", "[3,1]", "[3,-2]", "[null]"])(
  "what was not packed so is none: lengths %s of 3 bytes",
  (lengths) => {
    expect(unpackBatch({ lengths, bytes: new ArrayBuffer(3) })).toBeUndefined();
  },
);
