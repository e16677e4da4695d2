import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { bridge, type Bridge } from "../../objects/web-socket-relay/bridge.ts";
import type { Close } from "../../objects/web-socket-relay/close-codes.ts";
import type { FlowLimits } from "../../objects/web-socket-relay/flow.ts";
import type { Line } from "../../objects/web-socket-relay/line.ts";

const START = 1_800_000_000_000;
const CLOSE_MS = 5_000;
const ANY: FlowLimits = {
  maxMessage: 1_000_000,
  messagesPerSecond: null,
  messageBurst: 0,
  bytesPerSecond: null,
  byteBurst: 0,
  maxBuffered: 0,
};

beforeEach(() => void vi.useFakeTimers({ now: START }));
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** A line whose other end is the test's. */
interface Side extends Line {
  readonly told: (string | ArrayBuffer | Close)[];
  /** Sending fails from now on. */
  isBroken: boolean;
  say(data: string): void;
  end(code: number, reason?: string): void;
}

function side(): Side {
  let say: (data: string) => void = () => undefined;
  let end: (code: number, reason: string) => void = () => undefined;
  return {
    told: [],
    isBroken: false,
    open(heard, over) {
      [say, end] = [heard, over];
    },
    send(data) {
      if (this.isBroken) throw new Error("it is gone");
      this.told.push(data);
    },
    close(close) {
      this.told.push(close);
    },
    say: (data) => say(data),
    end: (code, reason = "") => end(code, reason),
  };
}

interface Joined {
  readonly client: Side;
  readonly upstream: Side;
  readonly joined: Bridge;
  /** How it ended, and what was dropped, in order. */
  readonly ends: unknown[];
  readonly relayed: number[];
}

function join(limits: Partial<FlowLimits> = {}): Joined {
  const [client, upstream] = [side(), side()];
  const [ends, relayed]: [unknown[], number[]] = [[], []];
  const joined = bridge({
    client,
    upstream,
    fromClient: { ...ANY, ...limits },
    fromUpstream: ANY,
    closeMs: CLOSE_MS,
    drop: (which) => ends.push(`drop ${which}`),
    seen: () => undefined,
    relayed: (ms) => relayed.push(ms),
    ended: (end) => ends.push(end),
  });
  return { client, upstream, joined, ends, relayed };
}

describe("a bridge", () => {
  it("ends with 1011 for both sides when one cannot be told something, and says so in the log", () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => {});
    const { client, upstream, joined, ends } = join();
    upstream.isBroken = true;
    client.say("hello");
    const failed = { code: 1011, reason: "the gateway failed" };
    expect([client.told, upstream.told, joined.closeCode()]).toEqual([[failed], [failed], 1011]);
    const line = { level: "error", message: "web-socket-send", error: "Error: it is gone" };
    expect(logged.mock.calls).toEqual([[JSON.stringify(line)]]);
    client.end(1011);
    upstream.end(1011);
    expect(ends).toEqual([{ by: "gateway", code: 1011 }]);
  });

  it("lets a side speak to the end that the other has closed, and waits for it no longer than it may", () => {
    const { client, upstream, joined, ends } = join();
    client.end(4001, "enough");
    upstream.say("one more");
    expect([upstream.told, client.told, joined.isClosing()]).toEqual([
      [{ code: 4001, reason: "enough" }],
      ["one more"],
      true,
    ]);
    vi.advanceTimersByTime(CLOSE_MS);
    expect([client.told, ends]).toEqual([
      ["one more", { code: 4001, reason: "enough" }],
      ["drop upstream", { by: "client", code: 4001 }],
    ]);
    expect(vi.getTimerCount()).toBe(0);
  });

  const turns: readonly [what: string, happens: (sides: Joined) => void][] = [
    ["its client has answered", ({ client }) => client.end(4000)],
    ["its client is lost", ({ client }) => client.end(1006)],
    ["it closes by itself", ({ upstream }) => upstream.end(1000)],
    ["its client has answered nothing for 500 ms", () => vi.advanceTimersByTime(250)],
  ];
  it.each(turns)("that is closed from the middle tells its upstream when %s", (_, happens) => {
    const said = { code: 4000, reason: "kicked" };
    const sides = join();
    const { client, upstream, joined, ends } = sides;
    joined.close(said);
    upstream.say("unheard");
    vi.advanceTimersByTime(250);
    expect([client.told, upstream.told, joined.isClosing()]).toEqual([[said], [], true]);
    happens(sides);
    expect([client.told, upstream.told]).toEqual([[said], [said]]);
    client.end(4000);
    upstream.end(4000);
    expect(ends).toEqual([{ by: "gateway", code: 4000 }]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("that is closed from the middle waits for a silent client no longer than for any", () => {
    const { client, upstream, joined, ends } = join();
    joined.close({ code: 4000 });
    vi.advanceTimersByTime(CLOSE_MS - 1);
    upstream.end(4000);
    expect(ends).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(ends).toEqual(["drop client", { by: "gateway", code: 4000 }]);
    expect([client.told, vi.getTimerCount()]).toEqual([[{ code: 4000 }], 0]);
  });

  it("says how long messages were in it", () => {
    const { client, upstream, relayed } = join({ bytesPerSecond: 1_000, byteBurst: 1_000, maxBuffered: 10_000 });
    for (const text of ["a".repeat(1_500), "b"]) client.say(text);
    expect(relayed).toEqual([0]);
    vi.advanceTimersByTime(10_000);
    expect([upstream.told.length, relayed.length]).toEqual([2, 2]);
    expect(relayed[1]).toBeGreaterThanOrEqual(500);
  });
});
