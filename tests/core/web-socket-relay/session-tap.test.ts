import { describe, expect, it } from "vitest";
import type { TapOptions } from "../../../objects/web-socket-relay/session-control.ts";
import { createSessionTap, tapOnto, type SessionTap } from "../../../objects/web-socket-relay/session-tap.ts";

const START = 1_790_000_000_000;
const OPTIONS: TapOptions = { direction: "both", sample: 1, maxBytes: 40, redact: [] };

/** A tap, and what an operator has seen of it so far. */
function tapped(changes: Partial<TapOptions> = {}) {
  let overs = 0;
  const tap = createSessionTap({ ...OPTIONS, ...changes }, START, () => {
    overs += 1;
  });
  const reader = tap.events.pipeThrough(new TextDecoderStream()).getReader();

  async function read(): Promise<unknown> {
    const { done, value = "" } = await reader.read();
    if (done) return "end";
    const [, name, data] = /^event: (\w+)\ndata: (.*)\n\n$/.exec(value) ?? [];
    return [name, JSON.parse(data ?? "null")];
  }

  return { tap, reader, read, overs: () => overs };
}

/** What is shown of one text. */
async function shown(text: string, changes: Partial<TapOptions>): Promise<unknown> {
  const { tap, read } = tapped(changes);
  tap.note("in", text, START);
  return read();
}

describe("a tap", () => {
  it("says nothing now and then, so that one who has left is noticed", async () => {
    const { tap, reader } = tapped();
    tap.beat(START);
    expect((await reader.read()).value).toBe(":\n\n");
  });

  it("shows texts as texts and what is binary in Base64, each cut at its length", async () => {
    const { tap, read } = tapped({ maxBytes: 4 });
    tap.note("in", "grüße", START);
    tap.note("out", new Uint8Array([0, 255, 7, 8]).buffer, START + 1);
    expect([await read(), await read()]).toEqual([
      ["message", { n: 1, at: START, direction: "in", type: "text", characters: 5, data: "grüß", isCut: true }],
      [
        "message",
        { n: 2, at: START + 1, direction: "out", type: "binary", bytes: 4, base64: "AP8HCA==", isCut: false },
      ],
    ]);
  });

  it("shows one direction, and one message in so many, and says which", async () => {
    const { tap, read } = tapped({ direction: "out", sample: 3 });
    for (let message = 1; message <= 7; message += 1) {
      tap.note("in", "no", START);
      tap.note("out", String(message), START);
    }
    const seen = [await read(), await read(), await read()];
    expect(seen.map((event) => JSON.stringify(event))).toEqual([
      expect.stringContaining('"n":1,'),
      expect.stringContaining('"n":4,'),
      expect.stringContaining('"n":7,'),
    ]);
  });

  it.each([
    ['{"user":"a","Password":"x"}', '{"user":"a","Password":"[redacted]"}'],
    ['[{"a":[{"token":{"b":1}}]}]', '[{"a":[{"token":"[redacted]"}]}]'],
    ['  {"token":"x"', "[redacted]"],
    [`{"a":"${"x".repeat(70_000)}","token":"x"}`, "[redacted]"],
    ["[".repeat(20_000), "[redacted]"],
    ['"token"', '"token"'],
    ['42["in",{"token":"x"}]', '42["in",{"token":"[redacted]"}]'],
    ['451-/chat,12[{"token":"x"}]', '451-/chat,12[{"token":"[redacted]"}]'],
    ['42["in",{"token":"x"', '42["in",{"token":[redacted]'],
    ["a=1&token=x&b=2", "a=1&token=[redacted]&b=2"],
    ["CONNECT\nlogin:me\nPassword:x y\n\n\0", "CONNECT\nlogin:me\nPassword:[redacted]\n\n\0"],
    ["a [note] on tokens", "a [note] on tokens"],
    // A name is no pattern.
    ["axb=1&a.b=2", "axb=1&a.b=[redacted]"],
  ])("hides what is not to be shown: %.30s", async (text, data) => {
    expect(await shown(text, { redact: ["token", "password", "a.b"] })).toMatchObject(["message", { data }]);
  });

  it("searches and shows 64 KiB of what is no JSON", async () => {
    const text = `${"x".repeat(65_535)}yz`;
    const data = `${"x".repeat(65_535)}y`;
    expect(await shown(text, { redact: ["token"], maxBytes: 100_000 })).toMatchObject(["message", { data }]);
    expect(await shown(text, { maxBytes: 100_000 })).toMatchObject(["message", { data: text }]);
  });

  it("adds nothing to what nobody reads", async () => {
    const { tap, reader } = tapped({ maxBytes: 300_000 });
    tap.note("in", "x".repeat(300_000), START);
    tap.beat(START);
    await reader.read();
    tap.beat(START);
    expect((await reader.read()).value).toBe(":\n\n");
    await reader.cancel();
    tap.beat(START);
  });

  it("leaves out what nobody reads, and says how much when somebody does", async () => {
    const { tap, read } = tapped({ maxBytes: 100_000 });
    for (let message = 0; message < 10; message += 1) tap.note("in", "x".repeat(100_000), START);
    const seen = [await read(), await read(), await read(), await read()];
    expect(seen).toMatchObject([1, 2, 3, 4].map((n) => ["message", { n }]));
    tap.note("in", "y", START);
    expect([await read(), await read()]).toMatchObject([
      ["dropped", { messages: 6 }],
      ["message", { n: 11, data: "y" }],
    ]);
  });

  it("is over after ten minutes, with the session, or when nobody looks any more, and says so once", async () => {
    const [late, silent, closed, left] = [tapped(), tapped(), tapped(), tapped()];
    silent.tap.beat(START + 600_000);
    expect(await silent.read()).toMatchObject(["over", { at: START + 600_000 }]);
    for (const ms of [599_999, 600_000]) late.tap.note("in", "x", START + ms);
    expect(await late.read()).toMatchObject(["message", { at: START + 599_999 }]);
    expect([await late.read(), await late.read()]).toEqual([
      ["over", { at: START + 600_000, why: "ten minutes are over" }],
      "end",
    ]);
    closed.tap.closed(1000, "bye", START);
    expect(await closed.read()).toEqual(["closed", { at: START, code: 1000, reason: "bye" }]);
    await left.reader.cancel();
    for (const { tap, overs } of [late, silent, closed, left]) {
      tap.note("in", "x", START);
      tap.closed(1000, "", START);
      expect(overs()).toBe(1);
    }
  });
});

it("whoever asks second while somebody looks is told so, and no longer", async () => {
  const holder: { tap: SessionTap | undefined } = { tap: undefined };
  const first = tapOnto(holder, OPTIONS);
  expect([first.kind, tapOnto(holder, OPTIONS)]).toEqual(["tapped", { kind: "busy" }]);
  if (first.kind === "tapped") await first.events.cancel();
  expect([holder.tap, tapOnto(holder, OPTIONS).kind]).toEqual([undefined, "tapped"]);
});
