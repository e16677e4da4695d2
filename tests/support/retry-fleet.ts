import { BackendFleet } from "./backend-fleet.ts";
import { sendMany } from "./fleet/many.ts";
import type { Manner } from "./origin/manner.ts";
import { request } from "./raw-request.ts";

export const ISOLATES = 4;
/** What is promised of the requests that reach a backend: so many per request, and so many a second beside that. */
export const BUDGET = { ratio: 0.2, perSecond: 10 };

/** For targets that say nothing: what a machine that is busy may take for a sound answer, and no longer. */
const HASTY = { timeouts: { headers: 1_000 } };

/** Ways of a target to fail a request that it has seen. */
export const FAILURES: readonly (readonly [string, Manner])[] = [
  ["answers 503", { kind: "answer", status: 503 }],
  ["answers 502", { kind: "answer", status: 502 }],
  ["breaks the connection", { kind: "reset" }],
  ["says nothing in time", { kind: "hold" }],
];

/**
 * Isolates in front of two targets by turns, whose failures are retried with the default budget; without a breaker. What
 * requests to `/retried` leave of their budget is nothing to `/failing`.
 */
export function startRetryFleet(): Promise<BackendFleet> {
  return BackendFleet.start({
    isolates: ISOLATES,
    targets: 2,
    document: (urls) => ({
      logging: { enabled: false },
      // Forwarded whole, so that a target can tell by the path what to do.
      routes: ["retried", "patient", "failing"].map((name) => ({ id: name, path: `/${name}/*`, backend: name })),
      backends: { retried: retriedOver(urls, HASTY), patient: retriedOver(urls), failing: retriedOver(urls) },
    }),
  });
}

function retriedOver(urls: readonly string[], terms: object = {}): unknown {
  const targets = urls.map((url) => ({ url }));
  return { balance: "round-robin", targets, retry: { maxRetries: 2 }, ...terms };
}

/** Sends so many POSTs, every other one in chunks, each to a path of its own below this one. */
export function post(fleet: BackendFleet, path: string, requests: number): Promise<Readonly<Record<number, number>>> {
  return sendMany({
    urls: fleet.gateway.urls,
    requests,
    connections: 4 * ISOLATES,
    request: (number) => {
      const body = number % 2 === 0 ? { body: "a body" } : { chunks: ["a ", "body"] };
      return request({ method: "POST", target: `${path}/${number}`, ...body });
    },
  });
}

/** How often the paths below this one were received, by all targets together: so many paths came once, twice, ... */
export function timesReceived(fleet: BackendFleet, path: string): Readonly<Record<number, number>> {
  const byPath = new Map<string, number>();
  for (const received of fleet.targets.flatMap((target) => target.received(`${path}/`))) {
    byPath.set(received.path, (byPath.get(received.path) ?? 0) + 1);
  }
  const times: Record<number, number> = {};
  for (const many of byPath.values()) times[many] = (times[many] ?? 0) + 1;
  return times;
}

/** What an all-503 backend saw of some requests. */
export interface Amplified {
  readonly requests: number;
  readonly received: number;
  readonly elapsedMs: number;
  /** The most that it may have seen. */
  readonly most: number;
}

/** Sends so many GETs to `/failing`, once, of which every target answers 503. */
export async function amplify(fleet: BackendFleet, requests: number): Promise<Amplified> {
  const path = "/failing";
  await Promise.all(fleet.targets.map((target) => target.behave({ kind: "answer", status: 503 }, path)));
  const began = performance.now();
  const statuses = await sendMany({
    urls: fleet.gateway.urls,
    requests,
    connections: 4 * ISOLATES,
    request: (number) => request({ target: `${path}/${number}` }),
  });
  const elapsedMs = performance.now() - began;
  if (statuses[503] !== requests) throw new Error(`wanted ${requests} x 503, got ${JSON.stringify(statuses)}`);
  const received = fleet.targets.reduce((sum, target) => sum + target.received(`${path}/`).length, 0);
  const most = (1 + BUDGET.ratio) * requests + (BUDGET.perSecond * elapsedMs) / 1_000;
  return { requests, received, elapsedMs, most };
}
