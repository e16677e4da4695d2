import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { startGateway, type Gateway } from "./gateway.ts";
import { startQuotaUpstream, type Answering, type Arrival } from "./quota-upstream.ts";

/** Requests that are all offered at once to a gateway whose backend has a quota. */
export interface EgressStorm {
  readonly quota: unknown;
  /** How long a request may take in all, in ms. */
  readonly totalMs: number;
  readonly isolates: number;
  readonly clients: readonly string[];
  /** Of each client. */
  readonly requests: number;
  /** Once so many have arrived, runtime and parent are killed with SIGKILL and started again; what was lost is asked for again. */
  readonly killAfter?: number;
  readonly answering?: Answering;
}

/** What became of them. */
export interface EgressOutcome {
  readonly arrivals: readonly Arrival[];
  readonly answers: readonly EgressAnswer[];
  /** Of those that the kill has cut off. */
  readonly lost: number;
}

export interface EgressAnswer {
  readonly status: number;
  readonly code: unknown;
  /** `Retry-After`, in seconds; NaN: there was none. */
  readonly comeBackIn: number;
  /** From the offer, in ms. */
  readonly afterMs: number;
}

/** Runs one, in processes of its own. */
export async function egressStorm(storm: EgressStorm): Promise<EgressOutcome> {
  const { quota, totalMs, isolates, clients, requests, killAfter, answering } = storm;
  const upstream = await startQuotaUpstream(answering);
  const state = mkdtempSync(join(tmpdir(), "sluice-state-"));
  const config = {
    allowPrivateTargets: true,
    timeouts: { total: totalMs },
    backends: { api: { targets: [{ url: `${upstream.url}/api` }], quota } },
    routes: [
      { id: "api", prefix: "/api", backend: "api" },
      { id: "warm", prefix: "/warm", target: `${upstream.url}/warm` },
    ],
  };
  const start = async () => {
    const started = await startGateway({ isolates, state, config });
    // What the first request of a new isolate takes to leave it is no part of its quota.
    await Promise.all(started.urls.map((url) => fetch(`${url}/warm`).then((answer) => answer.text())));
    return started;
  };
  let gateway: Gateway | undefined;
  try {
    gateway = await start();
    const first = gateway;
    const offers = clients.flatMap((client) => Array.from({ length: requests }, () => client));
    const offered = ask(gateway.urls, offers);
    const isKilled = killAfter !== undefined;
    if (isKilled) {
      await Promise.race([upstream.whenArrived("api", killAfter), offered]);
      await first.kill();
    }
    const told = await offered;
    const lost = offers.filter((_, index) => told[index] === undefined);
    if (isKilled) {
      gateway = undefined;
      gateway = await start();
    }
    const answers = [...told, ...(await ask(gateway.urls, lost))].filter((answer) => answer !== undefined);
    return { arrivals: upstream.arrivals("api"), answers, lost: lost.length };
  } finally {
    await gateway?.stop();
    upstream.stop();
    rmSync(state, { recursive: true, force: true });
  }
}

/**
 * Offers requests at once, from a thread of its own: what two hundred connections take of this one would be counted as their way to the
 * upstream, which is here. Undefined: the connection was lost.
 */
async function ask(
  urls: readonly string[],
  clients: readonly string[],
): Promise<readonly (EgressAnswer | undefined)[]> {
  const crowd = new Worker(new URL("egress-crowd.ts", import.meta.url), { workerData: { urls, clients } });
  try {
    return await new Promise((resolve, reject) => crowd.once("message", resolve).once("error", reject));
  } finally {
    await crowd.terminate();
  }
}
