import { fileURLToPath } from "node:url";
import { startGateway } from "../support/gateway.ts";
import { Origin } from "../support/origin/origin.ts";
import type { Proof } from "../support/proof.ts";
import { ask } from "../support/raw-client.ts";

const FAULTS = ["hang", "stuck", "throw", "late", "abort"] as const;
const POLICIES = [
  ["closed", 503],
  ["local", 200],
  ["open", 200],
] as const;
const REQUESTS = 100;
const LANES = 5;
const DEADLINE_MS = 150;
const MARGIN_MS = 50;

/** A failing limiter costs a request its deadline and no more, whatever the declared policy. */
export async function run(): Promise<Proof[]> {
  const origin = await Origin.start();
  const rateLimit = { requestsPerWindow: 100 * REQUESTS, windowSeconds: 3600, by: "route", clients: "own" };
  const routes = FAULTS.flatMap((fault) =>
    POLICIES.map(([onError]) => ({
      id: `${fault}-${onError}`,
      prefix: `/${fault}/${onError}`,
      target: origin.url,
      rateLimit: { ...rateLimit, onError },
    })),
  );
  const gateway = await startGateway({
    entry: fileURLToPath(new URL("../support/faulty-entry.ts", import.meta.url)),
    config: { allowPrivateTargets: true, routes },
  });
  try {
    const proofs: Proof[] = [];
    for (const fault of FAULTS) {
      for (const [onError, status] of POLICIES) proofs.push(await prove(gateway.url, fault, onError, status));
    }
    return proofs;
  } finally {
    await gateway.stop();
    await origin.stop();
  }
}

async function prove(url: string, fault: string, onError: string, status: number): Promise<Proof> {
  const times: number[] = [];
  let right = 0;
  // The first request makes the object; that is a matter of the platform.
  await ask(url, { target: `/${fault}/${onError}/first` });
  // A few at a time: fifteen hundred deadlines one after the other would take four minutes.
  const lane = async (): Promise<void> => {
    for (let n = 0; n < REQUESTS / LANES; n += 1) {
      const began = performance.now();
      const answer = await ask(url, { target: `/${fault}/${onError}/a` });
      times.push(performance.now() - began);
      if (answer.status === status) right += 1;
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  const p99 = times.toSorted((a, b) => a - b)[Math.ceil(REQUESTS * 0.99) - 1] ?? Number.POSITIVE_INFINITY;
  return {
    promise: `limiter fails by ${fault}, declared ${onError}`,
    bound: `all ${status}, p99 <= ${DEADLINE_MS} + ${MARGIN_MS} ms`,
    figure: `${right} of ${REQUESTS}, p99 ${p99.toFixed(1)} ms`,
    pass: right === REQUESTS && p99 <= DEADLINE_MS + MARGIN_MS,
  };
}
