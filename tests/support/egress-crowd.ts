import { parentPort, workerData } from "node:worker_threads";
import type { EgressAnswer } from "./egress-storm.ts";

const { urls, clients }: { readonly urls: readonly string[]; readonly clients: readonly string[] } = workerData;
const answers = await Promise.all(clients.map((client, index) => ask(`${urls[index % urls.length]}/api`, client)));
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port of Node's has no origin
parentPort?.postMessage(answers);

async function ask(url: string, client: string): Promise<EgressAnswer | undefined> {
  const began = performance.now();
  try {
    const response = await fetch(url, { headers: { "x-client": client } });
    const text = await response.text();
    const { status, headers } = response;
    const { code }: { code?: unknown } = status === 503 ? JSON.parse(text) : {};
    const comeBackIn = Number(headers.get("retry-after") ?? Number.NaN);
    return { status, code, comeBackIn, afterMs: performance.now() - began };
  } catch {
    return undefined;
  }
}
