import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { admit, costOf, newFlow, release, waitMs, type FlowLimits } from "../../../objects/web-socket-relay/flow.ts";

const LIMITS: FlowLimits = {
  maxMessage: 1_000,
  messagesPerSecond: 10,
  messageBurst: 20,
  bytesPerSecond: 1_000,
  byteBurst: 2_000,
  maxBuffered: 500,
};
const ANY_RATE = { ...LIMITS, messagesPerSecond: null, bytesPerSecond: null };

describe("what becomes of a message", () => {
  it("one that is larger than all may be is refused, and counts for nothing", () => {
    const flow = newFlow(LIMITS, 0);
    expect([admit(flow, 1_001, 0), admit(flow, 1_000, 0)]).toEqual(["too-large", "send"]);
    expect([flow.messages, flow.bytes]).toEqual([1, 1_000]);
  });

  it("the burst passes at once, then as many a second as are allowed", () => {
    const flow = newFlow({ ...LIMITS, bytesPerSecond: null }, 0);
    const at = (now: number, times: number) => Array.from({ length: times }, () => admit(flow, 1, now));
    expect(at(0, 20)).toEqual(Array.from({ length: 20 }, () => "send"));
    expect(at(0, 1)).toEqual(["too-many"]);
    expect(at(100, 2)).toEqual(["send", "too-many"]);
    // 1,999 ms later, and after a long silence.
    expect(at(2_099, 20).filter((verdict) => verdict === "send")).toHaveLength(19);
    expect(at(10_000_000, 21).filter((verdict) => verdict === "send")).toHaveLength(20);
  });

  it("whatever comes is counted, and all that waits", () => {
    const flow = newFlow({ ...LIMITS, byteBurst: 1, maxBuffered: 1_000 }, 0);
    expect([1_000, 300, 400].map((bytes) => admit(flow, bytes, 0))).toEqual(["send", "wait", "wait"]);
    expect([flow.messages, flow.bytes, flow.buffered]).toEqual([3, 1_700, 700]);
  });

  it("over the budget of bytes messages wait, then there are too many of them", () => {
    const flow = newFlow({ ...LIMITS, messagesPerSecond: null }, 0);
    const sizes = [1_000, 1_000, 400, 1];
    expect(sizes.map((bytes) => admit(flow, bytes, 0))).toEqual(["send", "send", "wait", "too-much"]);
    expect(flow.buffered).toBe(400);
  });

  it("a message counts as 256 bytes, however small it is", () => {
    const flow = newFlow({ ...LIMITS, messagesPerSecond: null }, 0);
    const verdicts = Array.from({ length: 10 }, () => admit(flow, 0, 0));
    expect(verdicts).toEqual([...Array.from({ length: 8 }, () => "send"), "wait", "too-much"]);
    expect([flow.bytes, release(flow, 0, 1_000), flow.buffered]).toEqual([0, true, 0]);
    expect([0, 255, 256, 257].map(costOf)).toEqual([256, 256, 256, 257]);
  });

  it("what waits goes in its turn, when the budget has recovered", () => {
    const flow = newFlow({ ...LIMITS, messagesPerSecond: null }, 0);
    for (const bytes of [1_000, 1_000, 300]) admit(flow, bytes, 0);
    expect(release(flow, 300, 0)).toBe(false);
    const later = waitMs(flow);
    expect(release(flow, 300, later)).toBe(true);
    expect([flow.buffered, admit(flow, 1, later)]).toEqual([0, "wait"]);
  });

  it.each([
    [1_000, -300, 301],
    [1_000, -30_000, 30_001],
    [1_000, -0.5, 2],
    [4_000, -300, 76],
    [1_000, 5, 1],
    [null, -300, 0],
  ])("what waits is looked at when it may go: of %s a second there are %d", (bytesPerSecond, byteTokens, ms) => {
    expect(waitMs({ ...newFlow({ ...LIMITS, bytesPerSecond }, 0), byteTokens })).toBe(ms);
  });

  it("nothing overtakes what waits", () => {
    const flow = newFlow({ ...LIMITS, messagesPerSecond: null, maxBuffered: 512 }, 0);
    for (const bytes of [1_000, 1_000, 244]) admit(flow, bytes, 0);
    expect(admit(flow, 1, 10_000)).toBe("wait");
  });

  it("a clock that steps back grants nothing, and takes nothing", () => {
    const flow = newFlow({ ...LIMITS, bytesPerSecond: null }, 100_000);
    for (let n = 0; n < 20; n++) admit(flow, 1, 100_000);
    expect(admit(flow, 1, 50_000)).toBe("too-many");
    expect(admit(flow, 1, 50_100)).toBe("send");
  });

  it("without rates everything passes that is not too large", () => {
    const flow = newFlow(ANY_RATE, 0);
    expect(Array.from({ length: 1_000 }, () => admit(flow, 1_000, 0)).every((verdict) => verdict === "send")).toBe(
      true,
    );
  });
});

it("in any interval no more is sent than the burst, what flows in meanwhile, and one message on credit", () => {
  const message = fc.record({ afterMs: fc.nat(300), bytes: fc.integer({ min: 0, max: 1_000 }) });
  fc.assert(
    fc.property(fc.array(message, { minLength: 1, maxLength: 60 }), (messages) => {
      const flow = newFlow({ ...LIMITS, messagesPerSecond: null, maxBuffered: 0 }, 0);
      let now = 0;
      const sent: { at: number; bytes: number }[] = [];
      for (const { afterMs, bytes } of messages) {
        now += afterMs;
        if (admit(flow, bytes, now) === "send") sent.push({ at: now, bytes });
      }
      return sent.every(({ at: from }, first) => {
        let sum = 0;
        return sent.slice(first).every(({ at, bytes }) => {
          sum += bytes;
          return sum <= LIMITS.byteBurst + LIMITS.maxMessage + ((at - from) * 1_000) / 1_000 + 1;
        });
      });
    }),
  );
});
