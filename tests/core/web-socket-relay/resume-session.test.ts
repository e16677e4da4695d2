import { describe, expect, it } from "vitest";
import { endsSession } from "../../../objects/web-socket-relay/resume/session.ts";
import { feed, GONE, open, OWNER, replayed, sends, START } from "./resume-steps.ts";

describe("a client that comes back", () => {
  it("gets what it has not received, and hears what has come", () => {
    const session = open();
    feed(session, "abc");
    sends(session, 2);
    session.detach(1, START);
    expect(feed(session, "d")).toEqual(["held"]);
    expect(session.attach({ owner: OWNER, recv: 1 }, START)).toEqual({
      kind: "attached",
      connection: 2,
      supersedes: false,
      recv: 2,
      replay: ["b", "c", "d"].map((data) => ({ data, bytes: 1 })),
    });
  });

  it("wins over its own connection that the relay still believes in, whose messages come too late then", () => {
    const session = open();
    expect(session.attach({ owner: OWNER, recv: 0 }, START)).toMatchObject({ kind: "attached", supersedes: true });
    expect([session.fromClient(1, START), session.fromClient(2, START)]).toEqual([false, true]);
    session.detach(1, START);
    expect(session.status()).toEqual({ epoch: "e", recv: 1, sent: 0, oldest: 1, live: true, restarts: 0 });
  });

  it("is refused exactly, which changes nothing", () => {
    const session = open();
    feed(session, "abcdef");
    expect(session.attach({ owner: "somebody else", recv: 6 }, START)).toEqual({ kind: "refused", status: 403 });
    expect(replayed(session, 1)).toEqual({ ...GONE, reason: "what is missing is not kept any more" });
    expect(replayed(session, 7)).toEqual({ ...GONE, reason: "more was received than was sent" });
    expect(session.attach({ owner: OWNER, recv: undefined }, START)).toEqual({
      kind: "refused",
      code: 4409,
      reason: "this session is in use; resume it, or choose another id",
    });
    expect([session.connection, session.state]).toEqual([1, "live"]);
    expect(replayed(session, 2)).toBe("cdef");
  });

  it("is waited for until the hold is over", () => {
    const session = open();
    session.detach(1, START);
    expect(session.nextAt()).toBe(START + 30_000);
    expect(replayed(session, 0, START + 29_999)).toBe("");
    session.detach(2, START + 40_000);
    expect(session.isExpired(START + 69_999)).toBe(false);
    expect(replayed(session, 0, START + 70_000)).toEqual({ ...GONE, reason: "this session is gone" });
    expect([session.state, session.nextAt()]).toEqual(["over", null]);
  });

  it("finds a session that was closed gone, and one of which too much came too full", () => {
    const [closed, full] = [open(), open()];
    closed.end();
    expect(replayed(closed, 0)).toEqual({ ...GONE, reason: "this session is gone" });
    feed(full, "ab");
    full.detach(1, START);
    // Those that were sent make room, those that were not cannot.
    expect(feed(full, "cdefg")).toEqual(["held", "held", "held", "held", "overflow"]);
    expect(replayed(full, 2)).toEqual({
      kind: "refused",
      code: 4413,
      reason: "more came for this session than can be held",
    });
  });

  it("is not saved by a ring that is smaller than a message", () => {
    const session = open();
    feed(session, "ab");
    feed(session, "c", 101);
    expect(session.status()).toMatchObject({ sent: 3, oldest: 4 });
    expect(replayed(session, 2)).toEqual({ ...GONE, reason: "what is missing is not kept any more" });
    expect(replayed(session, 3)).toBe("");
  });
});

describe("a session", () => {
  it("that is held counts nothing of the connection that is lost, and waits no longer for losing it again", () => {
    const session = open();
    expect(feed(session, "a")).toEqual(["send"]);
    session.detach(1, START);
    session.detach(1, START + 10_000);
    expect([session.fromClient(1, START), session.status().live, session.takeAck(START + 1_000)]).toEqual([
      false,
      false,
      undefined,
    ]);
    expect([session.isExpired(START + 29_999), session.isExpired(START + 30_000)]).toEqual([false, true]);
  });

  it("that has ended counts, keeps and writes nothing any more", () => {
    const session = open({ stored: true });
    session.end();
    session.detach(1, START);
    expect([session.fromClient(1, START), feed(session, "a"), session.takeFlush(START + 1_000)]).toEqual([
      false,
      ["over"],
      undefined,
    ]);
    expect([session.status(), session.state]).toEqual([
      { epoch: "e", recv: 0, sent: 0, oldest: 1, live: false, restarts: 0 },
      "over",
    ]);
  });

  it("that came to be too full stays so, whatever comes after that", () => {
    const session = open();
    session.detach(1, START);
    expect(feed(session, "abcde").at(-1)).toBe("overflow");
    session.end();
    expect(replayed(session, 0, START + 90_000)).toMatchObject({ code: 4413 });
  });
});

describe("a Close frame", () => {
  it.each([
    [1000, true],
    [1001, true],
    [1005, true],
    [4000, true],
    [1006, false],
    [1012, false],
  ])("%i ends the session: %s", (code, ends) => {
    expect(endsSession(code, { resumeOn1001: false })).toBe(ends);
    expect(endsSession(code, { resumeOn1001: true })).toBe(ends && code !== 1001);
  });
});

describe("acks", () => {
  it("are due after 64 messages or 250 ms", () => {
    const session = open({ control: true });
    sends(session, 63);
    expect([session.takeAck(START), session.nextAt()]).toEqual([undefined, START + 250]);
    expect([session.takeAck(START + 250), session.nextAt()]).toEqual([63, null]);
    sends(session, 64, START + 300);
    expect([session.takeAck(START + 300), session.takeAck(START + 1_000)]).toEqual([127, undefined]);
    sends(session, 1, START + 1_000);
    sends(session, 1, START + 1_200);
    expect([session.takeAck(START + 1_249), session.takeAck(START + 1_250)]).toEqual([undefined, 129]);
  });

  it("of the client empty the ring, and show when too much is under way", () => {
    const session = open({ control: true });
    feed(session, "ab");
    expect(session.isWindowFull).toBe(false);
    feed(session, "c");
    expect(session.isWindowFull).toBe(true);
    // More than were sent, as before, less than before.
    expect([2, 99, 2, 1].map((count) => session.acked(count))).toEqual([true, false, false, false]);
    expect([session.isWindowFull, session.status().oldest]).toEqual([false, 3]);
    expect([session.acked(3), session.status().oldest]).toEqual([true, 4]);
    feed(session, "d", 50);
    expect(session.isWindowFull).toBe(false);
    feed(session, "e");
    expect(session.isWindowFull).toBe(true);
    session.detach(1, START);
    expect(session.isWindowFull).toBe(false);
  });

  it("are neither waited for nor due where they were not asked for", () => {
    const session = open();
    feed(session, "abcd", 25);
    sends(session, 64);
    expect([session.isWindowFull, session.takeAck(START + 1_000), session.nextAt()]).toEqual([false, undefined, null]);
  });

  it("begin with the first message", () => {
    const session = open({ control: true });
    feed(session, "a");
    expect([session.acked(0), session.acked(1)]).toEqual([false, true]);
  });

  it("are for who is there alone", () => {
    const session = open({ control: true });
    sends(session, 1);
    session.detach(1, START);
    expect(session.takeAck(START + 1_000)).toBeUndefined();
    session.attach({ owner: OWNER, recv: 0 }, START);
    expect(session.takeAck(START + 1_000)).toBe(1);
  });
});
