import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readReply } from "../../../objects/web-socket-relay/callback/event-reply.ts";
import { decodeEvents, encodeEvents } from "../../../objects/web-socket-relay/callback/websocket-events.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text).buffer;

describe("several messages in one body", () => {
  it("are read as they were written", async () => {
    const message = fc.oneof(
      fc.string({ unit: "binary" }).filter((text) => text.isWellFormed()),
      fc.uint8Array().map((bytes) => Uint8Array.from(bytes).buffer),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(message, { maxLength: 8 }), async (messages) => {
        expect(decodeEvents(await encodeEvents(messages).arrayBuffer())).toEqual(messages);
      }),
      { numRuns: 40 },
    );
  });

  it.each([
    "TEXT 5\r\nhell\r\n",
    "TEXT 5\r\nhello",
    "TEXT 5\nhello\r\n",
    "TEXT -1\r\n\r\n",
    "TEXT 5 \r\nhello\r\n",
    "TEXT fffffff\r\nhello\r\n",
    "TEXT 5\r\nhello\r\nBINARY",
    "CLOSE 2\r\nab\r\n",
    "TEXT\r\n\r\n",
    "\r\n",
    "x",
  ])("%j is not any", (text) => {
    expect(decodeEvents(bytesOf(text))).toBeUndefined();
  });
});

describe("what a backend answers", () => {
  const reply = (body: string | null, headers: Record<string, string> = {}) =>
    readReply(new Response(body, { headers }), 100);

  it.each([
    ["text/plain", "hi"],
    ["application/json; charset=utf-8", "hi"],
    ["application/problem+json", "hi"],
    ["application/octet-stream", bytesOf("hi")],
    ["image/png", bytesOf("hi")],
  ])("a body of %s is a message", async (type, message) => {
    expect(await reply("hi", { "content-type": type })).toEqual({ messages: [message], close: undefined, state: null });
  });

  it("an empty body is none, whatever its type", async () => {
    expect((await reply(null)).messages).toEqual([]);
    expect((await reply("", { "content-type": "text/plain" })).messages).toEqual([]);
  });

  it.each([
    ["1000", { code: 1000, reason: "" }],
    ["4001 as you wish", { code: 4001, reason: "as you wish" }],
  ])("x-sluice-close: %s", async (field, close) => {
    expect((await reply(null, { "x-sluice-close": field })).close).toEqual(close);
  });

  it.each(["1006", "999", "40010", "close", ""])("x-sluice-close: %j is none, which is an error", async (field) => {
    await expect(reply(null, { "x-sluice-close": field })).rejects.toThrow("wanted a code that may be sent");
  });

  it("a state has up to 2 KiB, and more is an error: half of one is another", async () => {
    expect((await reply(null, { "x-sluice-state": "s".repeat(2_048) })).state).toHaveLength(2_048);
    await expect(reply(null, { "x-sluice-state": "s".repeat(2_049) })).rejects.toThrow("more than 2048 bytes");
  });

  it("what is too large, or is not what its type says, is an error", async () => {
    await expect(reply("x".repeat(101))).rejects.toThrow("more than 100 bytes");
    await expect(reply("x", { "content-type": "application/websocket-events" })).rejects.toThrow("websocket-events");
  });
});
