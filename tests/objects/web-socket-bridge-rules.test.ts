import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Close } from "../../objects/web-socket-relay/close-codes.ts";
import type { FlowLimits } from "../../objects/web-socket-relay/flow.ts";
import { ANY, CLOSE_MS, join, orderly } from "./bridge-sides.ts";

const START = 1_790_000_000_000;
const AWAY = { code: 1001, reason: "closed by the gateway" };
/** One message of 1,000 bytes at once, and then as much a second. */
const SLOW: FlowLimits = { ...ANY, bytesPerSecond: 1_000, byteBurst: 1_000, maxBuffered: 3_000 };
const KILO = "k".repeat(1_000);
const MIB = 2 ** 20;
/** What may be on its way. */
const IN_FLIGHT = 8 * MIB;

beforeEach(() => void vi.useFakeTimers({ now: START }));
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("messages", () => {
  it("pass as they are, each way, and are counted and seen", () => {
    const { client, upstream, joined, seen, relayed, ends } = join();
    expect([joined.lastAt(), joined.lastFrom("client"), joined.lastFrom("upstream")]).toEqual([START, null, null]);
    const binary = new ArrayBuffer(3);
    client.say("grüße");
    vi.advanceTimersByTime(10);
    upstream.say(binary);
    expect([upstream.told, client.told]).toEqual([["grüße"], [binary]]);
    expect(seen).toEqual([
      ["client", { data: "grüße", bytes: 7 }, START],
      ["upstream", { data: binary, bytes: 3 }, START + 10],
    ]);
    expect([joined.lastAt(), joined.lastFrom("client"), joined.lastFrom("upstream")]).toEqual([
      START + 10,
      START,
      START + 10,
    ]);
    expect([joined.fromClient.bytes, joined.fromUpstream.bytes]).toEqual([7, 3]);
    expect([relayed, ends, joined.isClosing(), joined.closeCode(), vi.getTimerCount()]).toEqual([
      [0, 0],
      [],
      false,
      null,
      0,
    ]);
  });

  it("over the budget wait, each until its turn, and are seen at once", () => {
    const { client, upstream, joined, seen, relayed } = join({ fromClient: SLOW });
    for (const _ of "1234") client.say(KILO);
    expect([upstream.told.length, seen.length, joined.fromClient.buffered, vi.getTimerCount()]).toEqual([
      1, 4, 3_000, 1,
    ]);
    // One goes on credit, and the next when that is paid.
    for (const [ms, relayedMs, told] of [
      [1, 1, 2],
      [999, 1, 2],
      [1, 1_001, 3],
      [1_000, 2_001, 4],
    ] as const) {
      vi.advanceTimersByTime(ms);
      expect([upstream.told.length, relayed.at(-1)]).toEqual([told, relayedMs]);
    }
    expect([joined.fromClient.buffered, vi.getTimerCount()]).toEqual([0, 0]);
  });

  it("that wait are forgotten when nobody is to get them any more", () => {
    const { client, upstream, joined } = join({ fromClient: SLOW });
    for (const _ of "12") client.say(KILO);
    joined.forgetWaiting();
    expect([joined.fromClient.buffered, vi.getTimerCount()]).toEqual([0, 0]);
    vi.advanceTimersByTime(2_000);
    client.say("next");
    expect(upstream.told).toEqual([KILO, "next"]);
  });
});

describe("a side that sends what it may not", () => {
  const [LARGE, MANY, MUCH] = [
    { code: 1009, reason: "message too large" },
    { code: 1008, reason: "too many messages" },
    { code: 1013, reason: "too much data" },
  ];
  const limits: readonly [string, FlowLimits, violator: Close, other: Close, why: object][] = [
    ["a message that is too large", { ...ANY, maxMessage: 999 }, LARGE, AWAY, {}],
    ["too many", { ...ANY, messagesPerSecond: 1, messageBurst: 0 }, MANY, AWAY, { why: "rateLimited" }],
    ["too much", { ...SLOW, byteBurst: 0, maxBuffered: 0 }, MUCH, MUCH, { why: "budgetClosed" }],
  ];
  it.each(limits)("is told so, and the other one that it is over: %s", (_, limit, violator, other, why) => {
    for (const from of ["client", "upstream"] as const) {
      const sides = join(from === "client" ? { fromClient: limit } : { fromUpstream: limit });
      const { client, upstream, joined, ends, seen } = sides;
      sides[from].say(KILO);
      const [toClient, toUpstream] = from === "client" ? [violator, other] : [other, violator];
      expect([client.told, upstream.told, seen]).toEqual([[toClient], [toUpstream], []]);
      expect([joined.isClosing(), ends]).toEqual([true, []]);
      upstream.end(1000);
      expect(ends).toEqual([]);
      client.end(1000);
      const { code } = toClient;
      expect([ends, joined.closeCode(), vi.getTimerCount()]).toEqual([[{ by: "gateway", code, ...why }], code, 0]);
    }
  });

  it("is not heard any more, nor what waited", () => {
    const { client, upstream, joined, seen } = join({ fromClient: { ...SLOW, maxMessage: 1_000 } });
    for (const message of [KILO, "waits", `${KILO}!`]) client.say(message);
    expect([upstream.told, vi.getTimerCount()]).toEqual([[KILO, AWAY], 1]);
    vi.advanceTimersByTime(1_000);
    for (const side of [client, upstream]) side.say("after");
    expect([seen.length, joined.lastAt(), joined.fromClient.messages]).toEqual([2, START, 2]);
  });
});

describe("a side that closes", () => {
  it("is answered with what the other one says", () => {
    const { client, upstream, joined, ends } = join();
    upstream.end(4000, "done");
    expect([client.told, upstream.told, joined.closeCode()]).toEqual([
      [orderly({ code: 4000, reason: "done" })],
      [],
      4000,
    ]);
    client.say("last words");
    client.end(1000, "bye");
    expect(upstream.told).toEqual(["last words", orderly({ code: 1000, reason: "bye" })]);
    expect([ends, vi.getTimerCount()]).toEqual([[{ by: "upstream", code: 4000 }], 0]);
    client.end(4001);
    expect([ends.length, upstream.told.length]).toEqual([1, 2]);
  });

  it("in a way in which nobody may is told so at once", () => {
    const { client, upstream, ends } = join();
    client.end(1015);
    upstream.say("unheard");
    expect([client.told, upstream.told]).toEqual([[{ code: 1002 }], [orderly({ code: 1002 })]]);
    upstream.end(1002);
    expect(ends).toEqual([{ by: "client", code: 1015 }]);
  });

  it("has all delivered before that it has said, and is waited for no longer than a close may take", () => {
    const { client, upstream, ends } = join({ fromClient: SLOW });
    for (const _ of "123") client.say(KILO);
    client.end(1000);
    expect([upstream.told, vi.getTimerCount()]).toEqual([[KILO], 2]);
    vi.advanceTimersByTime(2_002);
    expect(upstream.told).toEqual([KILO, KILO, KILO, orderly({ code: 1000, reason: "" })]);
    expect(ends).toEqual([]);
    vi.advanceTimersByTime(CLOSE_MS - 2_003);
    expect(ends).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(ends).toEqual(["drop upstream", { by: "client", code: 1000 }]);
    // Who closed first gets his own answer, since nobody else has given one.
    expect([client.told, vi.getTimerCount()]).toEqual([[{ code: 1000, reason: "" }], 0]);
  });

  it("is heard once", () => {
    const { client, upstream } = join({ fromClient: SLOW });
    for (const _ of "12") client.say(KILO);
    client.end(4000);
    client.end(1006);
    vi.advanceTimersByTime(1);
    expect(upstream.told).toEqual([KILO, KILO, orderly({ code: 4000, reason: "" })]);
  });

  it("second has all delivered too that it has said, and the session is over then", () => {
    const { client, upstream, ends } = join({ fromUpstream: SLOW });
    client.end(1000);
    for (const _ of "123") upstream.say(KILO);
    upstream.end(4000);
    vi.advanceTimersByTime(1_000);
    expect([client.told, ends]).toEqual([[KILO, KILO], []]);
    vi.advanceTimersByTime(1);
    expect(client.told).toEqual([KILO, KILO, KILO, orderly({ code: 4000, reason: "" })]);
    expect([ends, vi.getTimerCount()]).toEqual([[{ by: "client", code: 1000 }], 0]);
  });

  it("while each has something to say waits for both", () => {
    const { client, upstream, ends } = join({ fromClient: SLOW, fromUpstream: SLOW });
    for (const side of [client, upstream]) for (const _ of "12") side.say(KILO);
    for (const side of [client, upstream]) side.end(1000);
    expect(ends).toEqual([]);
    vi.advanceTimersByTime(1);
    expect([client.told.length, upstream.told.length, ends]).toEqual([3, 3, [{ by: "client", code: 1000 }]]);
  });

  it("second, whose last words cannot be told, ends the session all the same", () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const { client, upstream, ends } = join({ fromUpstream: SLOW });
    client.end(1000);
    for (const _ of "12") upstream.say(KILO);
    upstream.end(4000);
    client.send = () => {
      throw new Error("it is gone");
    };
    vi.advanceTimersByTime(1);
    expect([ends, vi.getTimerCount(), logged.mock.calls.length]).toEqual([[{ by: "client", code: 1000 }], 0, 1]);
  });

  it("while what it said waits loses that when the time is over", () => {
    const { client, upstream, ends } = join({ fromClient: SLOW, closeMs: 500 });
    for (const _ of "123") client.say(KILO);
    client.end(1006);
    vi.advanceTimersByTime(500);
    expect([upstream.told, client.told]).toEqual([[KILO, KILO, AWAY], [{ code: 1001, reason: "client lost" }]]);
    expect([ends, vi.getTimerCount()]).toEqual([["drop upstream", { by: "client", code: 1006 }], 0]);
  });
});

describe("a session that is closed from the middle", () => {
  it("tells each side what it is to be told, once, and nothing that waits", () => {
    const { client, upstream, joined, ends } = join({ fromClient: SLOW, fromUpstream: SLOW });
    for (const side of [client, upstream]) for (const _ of "12") side.say(KILO);
    joined.close({ code: 4401, reason: "expired" }, AWAY);
    joined.close({ code: 4000 });
    expect([client.told, upstream.told]).toEqual([[KILO, { code: 4401, reason: "expired" }], [KILO]]);
    expect([joined.closeCode(), vi.getTimerCount()]).toEqual([4401, 1]);
    client.end(4401);
    upstream.end(1001);
    expect(upstream.told).toEqual([KILO, AWAY]);
    expect([ends, vi.getTimerCount()]).toEqual([[{ by: "gateway", code: 4401 }], 0]);
    joined.close({ code: 4000 });
    vi.advanceTimersByTime(CLOSE_MS);
    expect([ends.length, client.told.length, upstream.told.length]).toEqual([1, 2, 2]);
  });

  it("tells its upstream after half a second though its client has not answered", () => {
    const { upstream, joined } = join();
    joined.close({ code: 4000 });
    vi.advanceTimersByTime(499);
    expect(upstream.told).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(upstream.told).toEqual([{ code: 4000 }]);
  });

  it("without a code is one without a code", () => {
    const { client, joined } = join();
    joined.close({});
    expect([client.told, joined.closeCode()]).toEqual([[{}], 1005]);
  });

  it("drops both when neither answers, in the time that there is", () => {
    const { upstream, joined, ends } = join({ closeMs: 300 });
    joined.close({ code: 4000 });
    vi.advanceTimersByTime(299);
    expect([upstream.told, ends]).toEqual([[], []]);
    vi.advanceTimersByTime(1);
    expect(upstream.told).toEqual([{ code: 4000 }]);
    vi.advanceTimersByTime(1);
    expect([ends, vi.getTimerCount()]).toEqual([["drop client", "drop upstream", { by: "gateway", code: 4000 }], 0]);
  });

  it("has ended once though those who are dropped say at once that they are gone", () => {
    const sides = join({ drop: (which) => sides[which].end(1006) });
    sides.joined.close({ code: 4000 });
    vi.advanceTimersByTime(CLOSE_MS);
    expect(sides.ends).toEqual([{ by: "gateway", code: 4000 }]);
  });

  it("changes nothing of one that a side has closed", () => {
    const { client, upstream, joined } = join();
    client.end(1000);
    joined.close({ code: 4000 });
    expect([upstream.told, client.told, joined.closeCode()]).toEqual([[orderly({ code: 1000, reason: "" })], [], 1000]);
  });
});

describe("who goes on speaking to a closed session", () => {
  const half = "h".repeat(IN_FLIGHT / 2 - 256);

  it("is dropped when that is more than may be on its way, a client with its session", () => {
    const { client, upstream, joined, ends } = join();
    joined.close({ code: 4000 });
    for (const side of [upstream, client]) for (const _ of "12") side.say(half);
    expect(ends).toEqual([]);
    upstream.say("");
    expect(ends).toEqual(["drop upstream"]);
    client.say("");
    expect(ends).toEqual(["drop upstream", "drop client", "drop upstream", { by: "gateway", code: 4000 }]);
    client.say("");
    expect([ends.length, vi.getTimerCount()]).toEqual([4, 0]);
  });

  it("has what is binary let go at once, which costs its frame alone", () => {
    const { client, joined, ends } = join();
    joined.close({ code: 4000 });
    const binary = new ArrayBuffer(MIB);
    client.say(binary);
    expect([binary.byteLength, binary.detached]).toEqual([0, true]);
    for (let sent = 1; sent < IN_FLIGHT / 256; sent += 1) client.say(new ArrayBuffer(1));
    expect(ends).toEqual([]);
    client.say(new ArrayBuffer(1));
    expect(ends[0]).toBe("drop client");
  });
});
