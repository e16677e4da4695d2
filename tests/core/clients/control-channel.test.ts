import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createControlChannel } from "../../../clients/websocket/control-channel.ts";
import { ackFrame, escapeText, readText } from "../../../clients/websocket/control-frames.ts";
import * as relay from "../../../objects/web-socket-relay/resume/control-frames.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const HELLO = '\u0000fg:hello{"epoch":"e","recv":3,"restarts":0}';

function channel(isWanted = true) {
  const sent: string[] = [];
  return { sent, beside: createControlChannel(isWanted, (frame) => sent.push(frame)) };
}

describe("control frames", () => {
  it.each<relay.ControlFrame>([
    { kind: "hello", epoch: "e", recv: 3, restarts: 1 },
    { kind: "ack", n: 64 },
    { kind: "drain", inMs: 5_000 },
  ])("of the relay are read: $kind", (frame) => {
    expect(readText(relay.controlFrame(frame))).toEqual({ frame });
  });

  it("of the client are read by the relay", () => {
    expect(relay.readText(ackFrame(7))).toEqual({ frame: { kind: "ack", n: 7 } });
  });

  it.each(["", "data", "fg:ack", "x\u0000fg:", ackFrame(1), "\u0000fg:=x", "\u0000fg:"])(
    "are never mixed up with data, by either side: %j",
    (text) => {
      expect([readText(escapeText(text)), relay.readText(escapeText(text))]).toEqual([{ data: text }, { data: text }]);
      expect(readText(relay.escapeText(text))).toEqual({ data: text });
    },
  );

  it.each([
    "\u0000fg:",
    "\u0000fg:ack",
    "\u0000fg:ack{}",
    '\u0000fg:ack{"n":"1"}',
    '\u0000fg:ack{"n":1}x',
    '\u0000fg:ack{"n":1',
    '\u0000fg:-ack{"n":1}',
    '\u0000fg:later{"n":1}',
    '\u0000fg:later{"inMs":1}',
    HELLO.replace("hello", "later"),
    '\u0000fg:drain{"n":1}',
    ...["epoch", "recv", "restarts"].map((member) => HELLO.replace(`"${member}"`, '"other"')),
  ])("of a newer gateway are none: %j", (text) => {
    expect(readText(text)).toBeUndefined();
  });
});

describe("the channel beside messages", () => {
  it("is used when hello is the first that comes", () => {
    const { beside } = channel();
    expect(beside.write("\u0000fg:x")).toBe("\u0000fg:x");
    expect(beside.read(HELLO)).toEqual({ frame: { kind: "hello", epoch: "e", recv: 3, restarts: 0 } });
    const binary = new ArrayBuffer(1);
    expect([
      beside.read(ackFrame(1)),
      beside.read("\u0000fg:=x"),
      beside.read("\u0000fg:later{}"),
      beside.read(binary),
    ]).toEqual([{ frame: { kind: "ack", n: 1 } }, { data: "x" }, undefined, { data: binary }]);
    expect([beside.write("\u0000fg:x"), beside.write("x"), beside.write(binary)]).toEqual([
      "\u0000fg:=\u0000fg:x",
      "x",
      binary,
    ]);
  });

  it.each(["data", ackFrame(1), "\u0000fg:=x", "\u0000fg:later{}", new ArrayBuffer(1)])(
    "is not used where anything else is, which is data as it is, as is all that follows: %j",
    (first) => {
      const { beside, sent } = channel();
      expect([beside.read(first), beside.read(HELLO), beside.write("\u0000fg:x")]).toEqual([
        { data: first },
        { data: HELLO },
        "\u0000fg:x",
      ]);
      beside.received(1_000);
      expect([sent, vi.getTimerCount()]).toEqual([[], 0]);
    },
  );

  it("is not used where it is not wanted", () => {
    const { beside, sent } = channel(false);
    expect([beside.read(HELLO), beside.write("\u0000fg:x")]).toEqual([{ data: HELLO }, "\u0000fg:x"]);
    beside.received(1_000);
    expect(sent).toEqual([]);
  });

  it("tells what has come after 64 messages or 250 ms, and nothing after the connection is lost", () => {
    const { beside, sent } = channel();
    beside.received(63);
    expect(vi.getTimerCount()).toBe(0);
    beside.read(HELLO);
    for (const count of [61, 62, 63]) beside.received(count);
    vi.advanceTimersByTime(249);
    expect(sent).toEqual([]);
    vi.advanceTimersByTime(1);
    expect([sent, vi.getTimerCount()]).toEqual([[ackFrame(63)], 0]);
    beside.received(64);
    vi.advanceTimersByTime(250);
    beside.received(127);
    beside.received(128);
    expect([sent.slice(1), vi.getTimerCount()]).toEqual([[ackFrame(64), ackFrame(128)], 0]);
    beside.received(129);
    beside.stop();
    vi.advanceTimersByTime(1_000);
    expect(sent).toHaveLength(3);
    beside.received(130);
    vi.advanceTimersByTime(250);
    expect(sent[3]).toBe(ackFrame(130));
    const other = channel();
    other.beside.read(HELLO);
    other.beside.received(64);
    expect(other.sent).toEqual([ackFrame(64)]);
  });
});
