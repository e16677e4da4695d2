import { createHash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { Origin } from "../support/origin/origin.ts";
import { patternBytes, patternDigest } from "../support/origin/pattern-bytes.ts";
import { peakGrowth } from "../support/peak-memory.ts";
import type { Proof } from "../support/proof.ts";
import { exchange, RawClient } from "../support/raw-client.ts";
import { request } from "../support/raw-request.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const MAX_GROWTH = 64 * MIB;
/** How long a client or an origin that stopped reading is left alone; its peer fills whatever buffer there is in a blink. */
const STALL_MS = 3_000;
const MINUTES_MS = 600_000;

/** 1 GiB passes each way, and a side that stops reading is waited for, in flat memory. */
export async function run(): Promise<Proof[]> {
  const origin = await Origin.start();
  const gateway = await startGateway({
    config: {
      allowPrivateTargets: true,
      sizeLimits: { maxBodySize: 2 * GIB },
      routes: [{ prefix: "/", target: origin.url, timeouts: { requestBody: MINUTES_MS, idle: MINUTES_MS } }],
    },
  });
  try {
    const digest = patternDigest(GIB);
    // The first large body sizes the heap; growth is what comes after it.
    await download(gateway, 64 * MIB);
    await upload(gateway, 64 * MIB);
    return [
      await bodyProof(gateway, "1 GiB download", async () => (await download(gateway, GIB)) === digest),
      await bodyProof(gateway, "1 GiB upload", async () => {
        await upload(gateway, GIB);
        return origin.seen.at(-1)?.bodySha256 === digest;
      }),
      await bodyProof(gateway, "a client that stops reading 1 GiB", () => stalledDownload(gateway, origin)),
      await bodyProof(gateway, "an origin that stops reading 1 GiB", () => stalledUpload(gateway, origin)),
    ];
  } finally {
    await gateway.stop();
    await origin.stop();
  }
}

async function bodyProof(gateway: Gateway, promise: string, work: () => Promise<boolean>): Promise<Proof> {
  let isRight = false;
  const began = performance.now();
  const growth = await peakGrowth(gateway.workerdPid, async () => {
    isRight = await work();
  });
  const seconds = (performance.now() - began) / 1000;
  return {
    promise,
    bound: "right, memory grows < 64 MiB",
    figure: `${isRight ? "right" : "WRONG"}, ${(growth / MIB).toFixed(1)} MiB, ${seconds.toFixed(1)} s`,
    pass: isRight && growth < MAX_GROWTH,
  };
}

/** SHA-256 of what came; undefined when it did not come whole. */
async function download(gateway: Gateway, bytes: number): Promise<string | undefined> {
  const hash = createHash("sha256");
  const answer = await exchange(gateway.url, request({ target: `/bytes/${bytes}` }), {
    onBytes: (piece) => void hash.update(piece),
  });
  return answer?.status === 200 && answer.end === "length" ? hash.digest("hex") : undefined;
}

async function upload(gateway: Gateway, bytes: number): Promise<void> {
  const client = await RawClient.open(gateway.url);
  await client.send(uploadHead("/upload", bytes));
  for (const piece of patternBytes(bytes)) await client.send(piece);
  await client.answer();
  client.close();
}

async function stalledDownload(gateway: Gateway, origin: Origin): Promise<boolean> {
  const client = await RawClient.open(gateway.url);
  await client.send(request({ target: `/bytes/${GIB}` }));
  await origin.until("the download to begin", ({ busy }) => busy === 1);
  await pause(STALL_MS);
  const isWaiting = origin.busy === 1;
  client.reset();
  await origin.until("the download to end", ({ busy }) => busy === 0);
  return isWaiting;
}

async function stalledUpload(gateway: Gateway, origin: Origin): Promise<boolean> {
  const client = await RawClient.open(gateway.url);
  await client.send(uploadHead("/unread", GIB));
  void (async () => {
    for (const piece of patternBytes(GIB)) if (!(await client.send(piece))) return;
  })();
  await origin.until("the upload to begin", ({ busy }) => busy === 1);
  await pause(STALL_MS);
  const isWaiting = origin.busy === 1;
  client.reset();
  origin.release();
  await origin.until("the upload to end", ({ busy }) => busy === 0);
  return isWaiting && origin.seen.at(-1)?.bodyEnd !== "length";
}

function uploadHead(target: string, bytes: number): string {
  return `PUT ${target} HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: ${bytes}\r\n\r\n`;
}
