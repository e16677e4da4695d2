import { describe, expect, it } from "vitest";
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
