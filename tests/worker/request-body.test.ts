import { afterEach, describe, expect, it, vi } from "vitest";
import { outgoingBody } from "../../worker/upstream/request-body.ts";

const timeouts = { headers: 10_000, total: 10_000, idle: 10_000, requestBody: 10_000 };

describe("a streamed request body that stops", () => {
  it("is the client's fault when nothing more comes from it", async () => {
    const silent = new ReadableStream({ type: "bytes", pull: () => new Promise(() => {}) });
    expect(await failureOf(silent)).toBe("request-timeout");
  });

  it("is the origin's fault when it takes nothing more", async () => {
    const endless = new ReadableStream({ type: "bytes", pull: (to) => to.enqueue(new Uint8Array(1024)) });
    expect(await failureOf(endless)).toBe("upstream-timeout");
  });
});

describe("a streamed request body", () => {
  afterEach(() => vi.restoreAllMocks());

  it("tells how long its client was waited for, and not how long the origin took", async () => {
    let now = 0;
    vi.spyOn(Date, "now").mockImplementation(() => now);
    const { readable, writable } = new IdentityTransformStream();
    const request = new Request("http://gateway.test/", { method: "POST", body: readable });
    const outgoing = await outgoingBody(request, { limits: undefined, timeouts, receivedAt: 0 });
    if (!(outgoing.body instanceof ReadableStream)) throw new Error("wanted a streamed body");
    const client = writable.getWriter();
    const taker = outgoing.body.getReader();
    const waited = (): number => outgoing.clientMs(now);
    const seen: number[] = [];
    now = 100;
    seen.push(waited());
    await client.write(new Uint8Array(1));
    now = 300;
    await taker.read();
    // The transfer goes on behind the read, by this clock in no time.
    await scheduler.wait(0);
    now = 700;
    const closed = client.close();
    await taker.read();
    await Promise.all([closed, outgoing.sent]);
    now = 1_500;
    seen.push(waited());
    expect(seen).toEqual([100, 500]);
  });
});

/** The code of what ended a body that nobody reads at the other end. */
async function failureOf(body: ReadableStream): Promise<string | undefined> {
  const request = new Request("http://gateway.test/", { method: "POST", body });
  const outgoing = await outgoingBody(request, {
    limits: undefined,
    timeouts: { ...timeouts, idle: 20 },
    receivedAt: Date.now(),
  });
  return (await outgoing.sent)?.code;
}
