import { describe, expect, it } from "vitest";
import type { BatchPolicy } from "../../schemas/index.ts";
import { batch, type AnswerPart } from "../../worker/batch/batch.ts";
import { readFields } from "../../worker/request-fields.ts";

const POLICY: BatchPolicy = {
  path: "/batch",
  maxRequests: 50,
  maxBodySize: 1_000_000,
  maxAnswerSize: 1_000_000,
  timeoutMs: 60_000,
};
const CLIENT = { address: "192.0.2.1", network: "192.0.2.1", forwardedFor: "192.0.2.1", scheme: "http" } as const;

/** What a batch of so many is answered, each by `answer`. */
async function answersOf(count: number, answer: AnswerPart, policy: Partial<BatchPolicy> = {}, signal?: AbortSignal) {
  const request = new Request("http://gateway.test/batch", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ requests: Array.from({ length: count }, (_, index) => ({ path: `/${index}` })) }),
    ...(signal === undefined ? {} : { signal }),
  });
  const call = {
    request,
    fields: readFields(request.headers),
    requestId: "id",
    client: CLIENT,
    notes: {},
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a batch uses nothing else of the context
    ctx: { waitUntil() {} } as unknown as ExecutionContext,
  };
  const response = await batch(call, { ...POLICY, ...policy }, answer);
  const { responses }: { responses: readonly { status: number; body: { code?: string } }[] } = JSON.parse(
    await response.text(),
  );
  return responses.map(({ status, body }) => `${status} ${body.code ?? "ok"}`);
}

/** A body of which nothing ever comes; tells whether it was cancelled. */
function silentBody(): { readonly body: ReadableStream<Uint8Array>; readonly cancelled: () => boolean } {
  let wasCancelled = false;
  const body = new ReadableStream({
    type: "bytes",
    cancel() {
      wasCancelled = true;
    },
  });
  return { body, cancelled: () => wasCancelled };
}

describe("a batch", () => {
  it("replaces what is not whole in its time, and lets go of it", async () => {
    const { body, cancelled } = silentBody();
    const answers = await answersOf(
      3,
      (request) => (request.url.endsWith("/1") ? new Response(body) : Response.json({})),
      { timeoutMs: 50 },
    );
    expect(answers).toEqual(["200 ok", "504 upstream-timeout", "200 ok"]);
    expect(cancelled()).toBe(true);
  });

  it("is answered in its time though a request on its way hears of nothing", async () => {
    const deaf = new Promise<Response>(() => {});
    const answers = await answersOf(2, ({ url }) => (url.endsWith("/1") ? deaf : Response.json({})), { timeoutMs: 50 });
    expect(answers).toEqual(["200 ok", "504 upstream-timeout"]);
  });

  it("ends what it still waits for when its client leaves", async () => {
    const left = new AbortController();
    const stopped: number[] = [];
    const answers = answersOf(
      2,
      ({ url }, _, { stop }) =>
        new Promise((_resolve, reject) => {
          stop.signal.addEventListener("abort", () => {
            stopped.push(1);
            reject(new Error("stopped"));
          });
          if (url.endsWith("/1")) left.abort();
        }),
      {},
      left.signal,
    );
    expect(await answers).toEqual(["400 invalid-request", "400 invalid-request"]);
    expect(stopped).toHaveLength(2);
  });

  it("replaces an answer that breaks off, and answers the others", async () => {
    const broken = new ReadableStream({
      type: "bytes",
      pull(controller) {
        controller.error(new Error("gone"));
      },
    });
    const answers = await answersOf(2, (request) =>
      request.url.endsWith("/0") ? new Response(broken) : Response.json({}),
    );
    expect(answers).toEqual(["502 upstream-invalid-response", "200 ok"]);
  });

  it("counts an answer as it is written, since a byte may take six letters", async () => {
    const texts = ["x".repeat(400), "\u0000".repeat(200), "x".repeat(400)];
    const answers = await answersOf(3, ({ url }) => new Response(texts[Number(url.at(-1))]), { maxAnswerSize: 1_000 });
    expect(answers).toEqual(["200 ok", "502 upstream-response-too-large", "200 ok"]);
  });

  it("stops each request once it is answered, since whatever was given up on the way still waits for a head", async () => {
    const stops: AbortSignal[] = [];
    await answersOf(2, (_, __, { stop }) => {
      stops.push(stop.signal);
      return Response.json({});
    });
    expect(stops.map(({ aborted }) => aborted)).toEqual([true, true]);
  });
});
