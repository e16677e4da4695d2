import { describe, expect, it } from "vitest";
import type { ResumeSession } from "../../../objects/web-socket-relay/resume/resume-session.ts";
import { restoreResumeSession } from "../../../objects/web-socket-relay/resume/session.ts";
import type { StoredSession } from "../../../objects/web-socket-relay/resume/stored-session.ts";
import { feed, GONE, open, OWNER, replayed, RULES, sends, START } from "./resume-steps.ts";

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

  it("writes at 64 KiB, whatever they are made of, and waits no longer for more that comes", () => {
    const session = open(rules);
    session.flush(START);
    feed(session, "ab", 32_767);
    feed(session, "c");
    expect(session.takeFlush(START)).toBeUndefined();
    feed(session, "d");
    expect(session.takeFlush(START)).toMatchObject({ messages: [{}, {}, {}, {}] });
    feed(session, "e");
    sends(session, 1, START + 200);
    expect(session.takeFlush(START + 249)).toBeUndefined();
    expect(session.takeFlush(START + 250)).toMatchObject({ from: 5, record: { recv: 1 } });
  });

  it("writes what its ring still has of what came since the last batch", () => {
    const session = open({ ...rules, ring: { messages: 4, bytes: 100 } });
    feed(session, "a");
    session.flush(START);
    feed(session, "bcdefg");
    const messages = ["d", "e", "f", "g"].map((data) => ({ data, bytes: 1 }));
    expect(session.flush(START)).toMatchObject({ from: 4, messages, record: { first: 4 } });
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
    // It has waited for the batch already.
    sends(session, 1, START + 1_000);
    session.takeFlush(START + 1_250);
    expect(session.takeAck(START + 1_250)).toBe(101);
  });

  it.each<[string, (session: ResumeSession) => unknown]>([
    ["its client is lost", (session) => session.detach(1, START)],
    ["its client is back", (session) => session.attach({ owner: OWNER, recv: 0 }, START)],
    ["what waits for the upstream is more", (session) => session.setWaiting(1, START)],
  ])("is written when %s", (_, happens) => {
    const session = open(rules);
    session.flush(START);
    session.setWaiting(0, START);
    expect(session.takeFlush(START + 250)).toBeUndefined();
    happens(session);
    expect(session.takeFlush(START + 250)).toBeDefined();
  });

  it("says no more that it lives when its client is away", () => {
    const session = open(rules);
    session.detach(1, START);
    session.flush(START);
    expect([session.takeFlush(START + 30_000), session.nextAt()]).toEqual([undefined, START + 30_000]);
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

  it("alone does so: without storage what waits is lost with the session", () => {
    const session = open();
    sends(session, 5);
    session.setWaiting(2, START);
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

  it("takes in a client that has more than was written, and hears no acks before", () => {
    const session = crashed();
    expect([session.acked(1), session.connection]).toEqual([false, 0]);
    expect(replayed(session, 4)).toBe("");
    expect([feed(session, "e"), session.status()]).toEqual([
      ["send"],
      { epoch: "e", recv: 0, sent: 5, oldest: 5, live: true, restarts: 1 },
    ]);
  });

  it("is too full when something would go that its client cannot have", () => {
    const small = { ...rules, ring: { messages: 4, bytes: 100 } };
    const messages = ["a", "b", "x", "y"].map((data) => ({ data, bytes: 1 }));
    const stored = { ...written(open(small)), restoredTo: 2, messages };
    const session = restoreResumeSession(stored, small, START);
    expect(session && feed(session, "zwv")).toEqual(["held", "held", "overflow"]);
  });

  it("writes all anew that has another number now, once", () => {
    const session = crashed();
    feed(session, "uvwxyz");
    session.flush(START);
    expect(replayed(session, 3)).toBe("uvwxyz");
    const messages = ["u", "v", "w", "x", "y", "z"].map((data) => ({ data, bytes: 1 }));
    expect(session.flush(START)).toMatchObject({ isAnew: true, from: 4, messages });
    feed(session, "!");
    expect(session.flush(START)).toMatchObject({ isAnew: false, from: 10, messages: [{ data: "!" }] });
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
