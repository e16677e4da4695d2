import { fileURLToPath } from "node:url";

import { median } from "../../bench/statistics.ts";
import { startWorkerd } from "../../bench/workerd.ts";
import { bundleWorker, gzipSize, workerEntry } from "../../scripts/local/bundle.ts";
import { readManifest } from "../../scripts/local/manifest.ts";
import type { Proof } from "../support/proof.ts";

const MAX_BYTES = 150 * 1024;
const MAX_START_MS = 50;
const STARTS = 15;

/** What is uploaded is small, and an isolate that has just begun answers soon. */
export async function run(): Promise<Proof[]> {
  return [await bundleProof(), await startProof()];
}

async function bundleProof(): Promise<Proof> {
  const minified = await gzipSize(bundleWorker(workerEntry, { minify: true }));
  const kib = (bytes: number) => `${(bytes / 1024).toFixed(1)} KiB`;
  return {
    promise: "Worker bundle as deployed, gzip",
    bound: `<= ${kib(MAX_BYTES)}`,
    figure: `${kib(minified)} (not minified: ${kib(await gzipSize(bundleWorker()))})`,
    pass: minified <= MAX_BYTES,
  };
}

/** As deployed: from the start of workerd to the first answer, less what an empty Worker takes. What is left is ours. */
async function startProof(): Promise<Proof> {
  const emptyEntry = fileURLToPath(new URL("../../bench/workers/empty.ts", import.meta.url));
  const empty = bundleWorker(emptyEntry, { minify: true }).code;
  const sluice = bundleWorker(workerEntry, { minify: true }).code;
  const { objects } = await readManifest();
  const variables = { CLIENT_IP_SOURCE: "socket", NAMING_SECRET: "size-gate-naming-secret" };
  const differences: number[] = [];
  for (let start = 0; start < STARTS; start += 1) {
    const emptyMs = await firstAnswer(() => startWorkerd({ code: empty, variables: {}, objects: [] }));
    const sluiceMs = await firstAnswer(() => startWorkerd({ code: sluice, variables, objects }));
    differences.push(sluiceMs - emptyMs);
  }
  const ms = median(differences);
  return {
    promise: "start-up: first answer, over an empty Worker's",
    bound: `<= ${MAX_START_MS} ms`,
    figure: `${ms.toFixed(1)} ms (${Math.min(...differences).toFixed(1)} to ${Math.max(...differences).toFixed(1)})`,
    pass: ms <= MAX_START_MS,
  };
}

async function firstAnswer(start: () => ReturnType<typeof startWorkerd>): Promise<number> {
  const began = performance.now();
  const running = await start();
  try {
    const response = await fetch(`http://127.0.0.1:${running.port}/healthz`);
    await response.arrayBuffer();
    const ms = performance.now() - began;
    if (response.status !== 200) throw new Error(`/healthz answered ${response.status}`);
    return ms;
  } finally {
    await running.stop();
  }
}
