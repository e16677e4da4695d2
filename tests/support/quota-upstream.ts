import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** A request as the upstream saw it come. */
export interface Arrival {
  /** By the clock of this process. */
  readonly at: number;
  /** As its `X-Client` says. */
  readonly client: string;
}

/** An upstream that notes who came when, by the first part of the path. */
export interface QuotaUpstream {
  readonly url: string;
  arrivals(path: string): readonly Arrival[];
  /** Resolves once so many have come. */
  whenArrived(path: string, count: number): Promise<void>;
  stop(): void;
}

/** What it answers that is not 200: the `count`th request of a path, the first being 1. */
export type Answering = (path: string, count: number) => Answer | undefined;

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** What the answer waits for. */
  readonly afterMs?: number;
}

/** Starts one on a free port of loopback. */
export async function startQuotaUpstream(answering: Answering = () => undefined): Promise<QuotaUpstream> {
  const seen = new Map<string, Arrival[]>();
  const waiting: { readonly path: string; readonly count: number; readonly resolve: () => void }[] = [];
  const server = createServer((request, response) => {
    const at = performance.now();
    const [, path = ""] = (request.url ?? "").split(/[/?]/);
    const arrivals = seen.get(path) ?? [];
    seen.set(path, arrivals);
    arrivals.push({ at, client: String(request.headers["x-client"]) });
    const { status, headers, afterMs = 0 } = { status: 200, ...answering(path, arrivals.length) };
    setTimeout(() => response.writeHead(status, headers).end("ok"), afterMs);
    for (const one of waiting) if (one.path === path && arrivals.length >= one.count) one.resolve();
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP server's address is never a path
  const { port } = server.address() as AddressInfo;
  const arrivals = (path: string) => seen.get(path) ?? [];
  return {
    url: `http://127.0.0.1:${port}`,
    arrivals,
    whenArrived(path, count) {
      if (arrivals(path).length >= count) return Promise.resolve();
      return new Promise((resolve) => waiting.push({ path, count, resolve: () => resolve() }));
    },
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** The most arrivals in any window of so many ms. */
export function mostIn(arrivals: readonly Arrival[], windowMs: number): number {
  let most = 0;
  for (const [index, { at }] of arrivals.entries()) {
    most = Math.max(most, arrivals.slice(0, index + 1).filter((one) => at - one.at < windowMs).length);
  }
  return most;
}

/** The least between two arrivals, in ms. */
export function leastBetween(arrivals: readonly Arrival[]): number {
  return Math.min(...arrivals.slice(1).map(({ at }, index) => at - (arrivals[index]?.at ?? -Infinity)));
}

/** By how many requests the clients served most and least ever differed. */
export function unfairness(arrivals: readonly Arrival[], clients: readonly string[]): number {
  const served = new Map(clients.map((client) => [client, 0]));
  let most = 0;
  for (const { client } of arrivals) {
    served.set(client, (served.get(client) ?? 0) + 1);
    most = Math.max(most, Math.max(...served.values()) - Math.min(...served.values()));
  }
  return most;
}
