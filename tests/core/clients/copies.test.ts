import { describe, expect, it } from "vitest";
import { createCopies, type Copies } from "../../../clients/websocket/copies.ts";

/** With room for four messages and ten bytes. */
function copies(): Copies {
  return createCopies({ messages: 4, bytes: 10 });
}

/** Adds messages of one byte each; whether each was taken. */
function add(to: Copies, messages: string, isSent = true): boolean[] {
  return messages.split("").map((message) => to.add(message, 1, isSent));
}

function kept(of: Copies): string {
  return of.all().map(String).join("");
}

describe("copies of what was sent", () => {
  it("are kept until the gateway says that they have come, and forgotten then", () => {
    const some = copies();
    expect([some.sent, some.received, some.bytes, kept(some)]).toEqual([0, 0, 0, ""]);
    expect(add(some, "abcd")).toEqual([true, true, true, true]);
    some.confirm(2);
    expect([some.sent, some.bytes, kept(some)]).toEqual([4, 2, "cd"]);
    // Known already; more than were sent.
    some.confirm(1);
    some.confirm(5);
    expect([some.bytes, kept(some)]).toEqual([2, "cd"]);
    some.confirm(4);
    expect([some.bytes, kept(some)]).toEqual([0, ""]);
  });

  it("make room for later ones, by number and by bytes", () => {
    const some = copies();
    expect(add(some, "abcde")).toEqual([true, true, true, true, true]);
    expect(kept(some)).toBe("bcde");
    expect([some.add("seven", 7, true), kept(some), some.bytes]).toEqual([true, "cdeseven", 10]);
    expect([some.add("eight", 8, true), kept(some), some.bytes]).toEqual([true, "eight", 8]);
    expect([some.add("ten", 10, true), kept(some), some.bytes, some.sent]).toEqual([true, "ten", 10, 8]);
  });

  it("are not kept of what is larger than all of the room, which then cannot be sent again", () => {
    const some = copies();
    add(some, "ab");
    expect([some.add("huge", 11, true), kept(some), some.bytes, some.sent]).toEqual([true, "", 0, 3]);
    expect(some.resume(2)).toEqual({ kind: "lost" });
    expect(some.resume(3)).toEqual({ kind: "resend", messages: [] });
    expect([some.add("huge", 11, false), some.sent]).toEqual([false, 3]);
    expect([some.add("all", 10, false), some.sent]).toEqual([true, 4]);
  });

  it("that have never been sent make room for nothing, and what finds none is not taken", () => {
    const some = copies();
    add(some, "ab");
    expect(add(some, "cdefg", false)).toEqual([true, true, true, true, false]);
    expect([kept(some), some.sent]).toEqual(["cdef", 6]);
    expect(add(copies(), "abcde", false)).toEqual([true, true, true, true, false]);
    expect(some.resume(2)).toEqual({ kind: "resend", messages: ["c", "d", "e", "f"] });
    // By now they have been.
    expect([add(some, "g", false), kept(some)]).toEqual([[true], "defg"]);
  });

  it("are sent again from where the gateway is, if they are all there and it can be there", () => {
    const some = copies();
    add(some, "abcdef");
    expect([some.resume(1), some.resume(7)]).toEqual([{ kind: "lost" }, { kind: "lost" }]);
    expect(some.resume(2)).toEqual({ kind: "resend", messages: ["c", "d", "e", "f"] });
    expect(some.resume(5)).toEqual({ kind: "resend", messages: ["f"] });
    expect([some.bytes, some.resume(6), some.resume(5)]).toEqual([
      1,
      { kind: "resend", messages: [] },
      { kind: "lost" },
    ]);
  });

  it("say when more than half of the room is taken, by number or by bytes", () => {
    const [many, large] = [copies(), copies()];
    expect("abc".split("").map((message) => many.add(message, 0, true) && many.isHalfFull)).toEqual([
      false,
      false,
      true,
    ]);
    expect([5, 1].map((bytes) => large.add("x", bytes, true) && large.isHalfFull)).toEqual([false, true]);
  });
});

it("what is received is counted", () => {
  const some = copies();
  some.countReceived();
  some.countReceived();
  expect([some.received, some.sent]).toEqual([2, 0]);
});
