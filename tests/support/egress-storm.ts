import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
    routes: [{ id: "api", prefix: "/api", backend: "api" }],
  };
  const start = () => startGateway({ isolates, state, config });
  let gateway: Gateway | undefined;
  try {
    gateway = await start();
    const first = gateway;
    const offers = clients.flatMap((client) => Array.from({ length: requests }, () => client));
    const all = (urls: readonly string[], which: readonly string[]) =>
      Promise.all(which.map((client, index) => ask(urls, client, index)));
    const offered = all(gateway.urls, offers);
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
    const answers = [...told, ...(await all(gateway.urls, lost))].filter((answer) => answer !== undefined);
    return { arrivals: upstream.arrivals("api"), answers, lost: lost.length };
  } finally {
    await gateway?.stop();
    upstream.stop();
    rmSync(state, { recursive: true, force: true });
  }
}

/** Undefined: the connection was lost. */
async function ask(urls: readonly string[], client: string, index: number): Promise<EgressAnswer | undefined> {
  const began = performance.now();
  try {
    const response = await fetch(`${urls[index % urls.length]}/api`, { headers: { "x-client": client } });
    const text = await response.text();
    const { status, headers } = response;
    const { code }: { code?: unknown } = status === 503 ? JSON.parse(text) : {};
    const comeBackIn = Number(headers.get("retry-after") ?? Number.NaN);
    return { status, code, comeBackIn, afterMs: performance.now() - began };
  } catch {
    return undefined;
  }
}
