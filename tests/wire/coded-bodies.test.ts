import { brotliCompressSync, gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { valueOf } from "../support/message-head.ts";
import { send } from "../support/origin/act.ts";
import { Origin } from "../support/origin/origin.ts";
import { patternBytes } from "../support/origin/pattern-bytes.ts";
import { ask, type RawAnswer } from "../support/raw-client.ts";
import type { RawRequest } from "../support/raw-request.ts";

let origin: Origin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await Origin.start();
  gateway = await startGateway({
    config: {
      allowPrivateTargets: true,
      routes: [{ prefix: "/bare", target: origin.url }],
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

describe("a coded body", () => {
  const plain = Buffer.concat([...patternBytes(200_000)]);
  const codings = [
    ["gzip", gzipSync(plain.subarray(0, 1000))],
    ["br", brotliCompressSync(plain.subarray(0, 1000))],
    ["zstd", zstdCompressSync(plain.subarray(0, 1000))],
    ["gzip", gzipSync(plain)],
    ["br", brotliCompressSync(plain)],
  ] as const;

  test.each(codings)("%s passes byte for byte, whatever the client accepts", async (coding, bytes) => {
    for (const headers of [[], ["Accept-Encoding: identity"], ["Accept-Encoding: gzip, br, zstd"]]) {
      const answer = await answerOf(
        `Content-Encoding: ${coding}\r\nContent-Length: ${bytes.length}\r\n\r\n${bytes.toString("latin1")}`,
        { headers },
      );
      expect([
        valueOf(answer.headers, "content-encoding"),
        valueOf(answer.headers, "content-length"),
        answer.body.equals(bytes),
      ]).toEqual([coding, String(bytes.length), true]);
    }
  });

  test.each(codings)("%s passes byte for byte in chunks", async (coding, bytes) => {
    const answer = await answerOf(
      `Content-Encoding: ${coding}\r\nTransfer-Encoding: chunked\r\n\r\n${bytes.length.toString(16)}\r\n${bytes.toString("latin1")}\r\n0\r\n\r\n`,
    );
    expect([valueOf(answer.headers, "content-encoding"), answer.end, answer.body.equals(bytes)]).toEqual([
      coding,
      "last-chunk",
      true,
    ]);
  });

  test("is not touched on its way to the origin either", async () => {
    const bytes = codings[0][1];
    await ask(gateway.url, {
      method: "POST",
      target: "/bare/a",
      headers: ["Content-Encoding: gzip"],
      body: bytes.toString("latin1"),
    });
    const { headers, bodyBytes } = origin.seen.at(-1) ?? {};
    expect([valueOf(headers ?? [], "content-encoding"), bodyBytes]).toEqual(["gzip", bytes.length]);
  });
});

let scripted = 0;

/** What the client gets when the origin answers exactly this. */
function answerOf(headersAndBody: string, options: Partial<RawRequest> = {}): Promise<RawAnswer> {
  scripted += 1;
  origin.answer(`/scripted/${scripted}`, send(`HTTP/1.1 200 OK\r\n${headersAndBody}`));
  return ask(gateway.url, { ...options, target: `/bare/scripted/${scripted}` });
}
