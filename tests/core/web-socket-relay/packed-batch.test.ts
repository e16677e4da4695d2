import { expect, it } from "vitest";
import { packBatch, unpackBatch } from "../../../objects/web-socket-relay/resume/packed-batch.ts";

const TEXTS = ["", "a", "grüße 😀", "", "\u0000fg:"].map((data) => ({
  data,
  bytes: new TextEncoder().encode(data).byteLength,
}));
const BUFFERS = [[], [0, 255, 7], [195], []].map((list) => ({
  data: Uint8Array.from(list).buffer,
  bytes: list.length,
}));

it.each([[[]], [TEXTS], [BUFFERS], [[...TEXTS, ...BUFFERS, ...TEXTS]]])(
  "messages are unpacked as they were packed: %#",
  (messages) => {
    expect(unpackBatch(packBatch(messages))).toEqual(messages);
  },
);

it.each(["", "{}", "[1.5]", '["3"]', "[2]", "[4]", "[3,1]", "[3,-2]", "[null]"])(
  "what was not packed so is none: lengths %s of 3 bytes",
  (lengths) => {
    expect(unpackBatch({ lengths, bytes: new ArrayBuffer(3) })).toBeUndefined();
  },
);
