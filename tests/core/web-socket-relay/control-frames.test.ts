import { describe, expect, it } from "vitest";
import {
  controlFrame,
  escapeText,
  readText,
  type ControlFrame,
} from "../../../objects/web-socket-relay/resume/control-frames.ts";

const FRAMES: readonly ControlFrame[] = [
  { kind: "hello", epoch: "e", recv: 3, restarts: 0 },
  { kind: "ack", n: 64 },
  { kind: "drain", inMs: 5_000 },
];

describe("control frames", () => {
  it.each(FRAMES)("are read as they were written: $kind", (frame) => {
    expect(readText(controlFrame(frame))).toEqual({ frame });
  });

  it.each(["", "data", "fg:ack", "\u0000", controlFrame({ kind: "ack", n: 1 }), "\u0000fg:=x", "\u0000fg:"])(
    "are never mixed up with data: %j",
    (text) => {
      expect(readText(escapeText(text))).toEqual({ data: text });
    },
  );

  it("leave data alone that is no such, and are short", () => {
    expect(["data", "fg:ack", "x\u0000fg:"].map(escapeText)).toEqual(["data", "fg:ack", "x\u0000fg:"]);
    expect(readText(`\u0000fg:ack{"n":1,"x":"${"x".repeat(239)}"}`)).toEqual({ frame: { kind: "ack", n: 1 } });
  });

  it.each([
    "\u0000fg:",
    "\u0000fg:ack",
    "\u0000fg:ack{}",
    '\u0000fg:ack{"n":-1}',
    '\u0000fg:ack{"n":1.5}',
    "\u0000fg:ack[1]",
    "\u0000fg:ack{",
    "\u0000fg:ack{x}",
    '\u0000fg:hello{"epoch":"e"}',
    '\u0000fg:bye{"n":1}',
    '\u0000fg:hello{"epoch":1,"recv":0,"restarts":0}',
    '\u0000fg:hello{"epoch":"e","recv":-1,"restarts":0}',
    '\u0000fg:hello{"epoch":"e","recv":0,"restarts":0.5}',
    '\u0000fg:drain{"inMs":"1"}',
    // 257 characters.
    `\u0000fg:ack{"n":1,"x":"${"x".repeat(240)}"}`,
  ])("are refused when they are none: %j", (text) => {
    expect(readText(text)).toBeUndefined();
  });
});
