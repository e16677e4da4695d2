import { describe, expect, it } from "vitest";
import { resumeRequest, withoutResume } from "../../../objects/web-socket-relay/resume/resume-request.ts";
import type { ResumeRules } from "../../../objects/web-socket-relay/resume/resume-rules.ts";
import type { ResumeSession } from "../../../objects/web-socket-relay/resume/resume-session.ts";
import type { PassedMessage } from "../../../objects/web-socket-relay/resume/ring.ts";
import {
  createResumeSession,
  endsSession,
  restoreResumeSession,
} from "../../../objects/web-socket-relay/resume/session.ts";
import type { StoredSession } from "../../../objects/web-socket-relay/resume/stored-session.ts";

const START = 1_790_000_000_000;
const OWNER = "route and principal";
const RULES: ResumeRules = { holdMs: 30_000, ring: { messages: 4, bytes: 100 }, control: false, stored: false };
const GONE = { kind: "refused", code: 4410 };

function open(changes: Partial<ResumeRules> = {}): ResumeSession {
  return createResumeSession({ epoch: "e", owner: OWNER, rules: { ...RULES, ...changes } }, START);
}

/** Messages for the client, each of `bytes`; what becomes of them. */
function feed(session: ResumeSession, messages: string, bytes = 1): string[] {
  return messages.split("").map((data) => session.toClient({ data, bytes }, START));
}

function replayed(session: ResumeSession, recv: number, now = START): string | object {
  const reply = session.attach({ owner: OWNER, recv }, now);
  return reply.kind === "attached" ? reply.replay.map(textOf).join("") : reply;
}

function textOf({ data }: PassedMessage): string {
  return typeof data === "string" ? data : "binary";
}

function sends(session: ResumeSession, count: number, now = START): void {
  for (let sent = 0; sent < count; sent += 1) session.fromClient(session.connection, now);
}

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
  });

  it("of the client empty the ring, and show when too much is under way", () => {
    const session = open({ control: true });
    feed(session, "ab");
    expect(session.isWindowFull).toBe(false);
    feed(session, "c");
    expect(session.isWindowFull).toBe(true);
    session.acked(2);
    session.acked(99);
    expect([session.isWindowFull, session.status().oldest]).toEqual([false, 3]);
  });
});

describe("a stored session", () => {
  const rules = { ...RULES, stored: true, ring: { messages: 100, bytes: 1_000_000 } };

  it("writes what has changed 250 ms after it did, or at 64 KiB", () => {
    const session = open(rules);
    expect(session.takeFlush(START + 249)).toBeUndefined();
    expect(session.takeFlush(START + 250)).toMatchObject({ record: { recv: 0, first: 1 }, messages: [] });
    expect(session.nextAt()).toBe(START + 30_250);
    feed(session, "ab");
    sends(session, 1);
    expect([session.takeFlush(START + 249), session.nextAt()]).toEqual([undefined, START + 250]);
    feed(session, "c", 65_536);
    expect(session.takeFlush(START + 249)).toEqual({
      record: {
        epoch: "e",
        owner: OWNER,
        openedAt: START,
        recv: 1,
        restarts: 0,
        restoredTo: null,
        first: 1,
        savedAt: START + 249,
      },
      isAnew: false,
      from: 1,
      messages: [
        { data: "a", bytes: 1 },
        { data: "b", bytes: 1 },
        { data: "c", bytes: 65_536 },
      ],
    });
    session.acked(2);
    feed(session, "d");
    expect(session.flush(START + 300)).toMatchObject({ record: { first: 3 }, from: 4, messages: [{ data: "d" }] });
    expect(session.flush(START + 300)).toBeUndefined();
  });

  it("says that it lives once a hold, so that a restart knows whether it was waited for long enough", () => {
    const session = open(rules);
    const stored = written(session);
    expect(session.takeFlush(START + 29_999)).toBeUndefined();
    expect(session.takeFlush(START + 30_000)).toMatchObject({ record: { savedAt: START + 30_000 } });
    expect(restoreResumeSession(stored, rules, START + 60_000)?.state).toBe("held");
    expect(restoreResumeSession(stored, rules, START + 60_001)).toBeUndefined();
  });

  it.each([
    ["a minute later", START, START + 60_000, START],
    ["with a clock that was set back", START, START - 1, START - 1],
    ["as an older version wrote it", null, START + 60_000, START + 60_000],
  ])("knows after a restart when it was opened: %s", (_what, openedAt, now, since) => {
    const stored = { ...written(open(rules)), openedAt };
    const session = restoreResumeSession(stored, rules, now);
    expect([session?.openedAt, session?.flush(now)?.record.openedAt]).toEqual([since, since]);
  });

  it("acknowledges only what was written", () => {
    const session = open({ ...rules, control: true });
    session.flush(START);
    sends(session, 100);
    expect(session.takeAck(START + 1_000)).toBeUndefined();
    session.takeFlush(START + 1_000);
    expect(session.takeAck(START + 1_000)).toBe(100);
  });

  it("asks for what waits for its upstream again, since a crash would lose it", () => {
    const session = open(rules);
    sends(session, 5);
    session.setWaiting(2, START);
    expect(session.status().recv).toBe(3);
    expect(session.attach({ owner: OWNER, recv: 0 }, START)).toMatchObject({ recv: 3 });
    sends(session, 2);
    expect(session.status().recv).toBe(5);
  });

  /** Of `abcd` all were sent and `ab` written. */
  function crashed(): ResumeSession {
    const session = open(rules);
    feed(session, "ab");
    const stored = written(session);
    feed(session, "cd");
    return restored(stored);
  }

  function written(session: ResumeSession): StoredSession {
    const flush = session.flush(START);
    if (flush === undefined) throw new Error("there was nothing to write");
    return { ...flush.record, messages: flush.messages };
  }

  function restored(stored: StoredSession): ResumeSession {
    const session = restoreResumeSession(stored, rules, START);
    if (session === undefined) throw new Error("it was waited for long enough");
    return session;
  }

  it.each([
    [1, "bxy", 4],
    [2, "xy", 4],
    [4, "xy", 6],
  ])("goes on after a crash where its client says that it was: %i messages", (recv, replay, sent) => {
    const session = crashed();
    expect(feed(session, "xy")).toEqual(["held", "held"]);
    expect(replayed(session, recv)).toBe(replay);
    expect(session.status()).toEqual({ epoch: "e", recv: 0, sent, oldest: recv + 1, live: true, restarts: 1 });
  });

  it("knows that still after a second crash before its client is back, and writes all anew then", () => {
    const session = crashed();
    feed(session, "xy");
    const stored = written(session);
    expect(stored).toMatchObject({ restoredTo: 2, messages: [{ data: "x" }, { data: "y" }] });
    const again = restored({ ...stored, messages: ["a", "b", "x", "y"].map((data) => ({ data, bytes: 1 })) });
    expect(replayed(again, 4)).toBe("xy");
    expect(again.flush(START)).toMatchObject({
      isAnew: true,
      from: 5,
      messages: [{ data: "x" }, { data: "y" }],
      record: { first: 5, restarts: 2, restoredTo: null },
    });
    expect(replayed(again, 7)).toEqual({ ...GONE, reason: "more was received than was sent" });
  });
});

describe("what a request says of a session", () => {
  const id = "abcdefghijklmnopqrstu_";
  it.each([
    ["", undefined],
    [`_ws_session=${id}`, { session: id, recv: undefined, control: false }],
    [`_ws_session=${id}&_ws_recv=0&_ws_ctl=1`, { session: id, recv: 0, control: true }],
    [`_ws_session=${id}&_ws_ctl=yes`, { session: id, recv: undefined, control: false }],
    [
      "_ws_session=short",
      "_ws_session: got 5 characters, wanted 22 to 128 letters, digits, - or _, and at least 128 random bits",
    ],
    [`_ws_session=${"a".repeat(129)}`, expect.stringMatching(/^_ws_session: got/)],
    [`_ws_session=${id}%00`, expect.stringMatching(/^_ws_session: got/)],
    [`_ws_session=${id}&_ws_recv=-1`, '_ws_recv: got "-1", wanted how many messages were received, a whole number'],
    [`_ws_session=${id}&_ws_recv=1e3`, expect.stringMatching(/^_ws_recv: got/)],
    [`_ws_session=${id}&_ws_recv=9999999999999999`, expect.stringMatching(/^_ws_recv: got/)],
    ["_ws_recv=3", expect.stringMatching(/^_ws_recv: got a count without/)],
    [`_ws_session=${id}&_ws_session=${id}`, "_ws_session: got it twice, wanted it once"],
    [`_ws_session=${id}&_ws_recv=1&_ws%5frecv=2`, "_ws_recv: got it twice, wanted it once"],
  ])("%s", (query, said) => {
    expect(resumeRequest(new URLSearchParams(query), new Headers())).toEqual(said);
  });

  it("may be in a header too, and none of it reaches the upstream", () => {
    const headers = new Headers({ "x-ws-session": id });
    expect(resumeRequest(new URLSearchParams("_ws_recv=7"), headers)).toEqual({ session: id, recv: 7, control: false });
    expect(withoutResume(`a=1&_ws_session=${id}&b=%20&_ws_recv=1&_ws_ctl=1`)).toBe("a=1&b=%20");
  });
});
