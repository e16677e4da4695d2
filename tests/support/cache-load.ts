import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Lane } from "./fleet/lane.ts";

/** What became of a request to a gateway that caches. */
export interface CacheAnswer {
  readonly status: number;
  readonly ms: number;
  /** `X-Cache`; empty: none. */
  readonly cache: string;
  /** The tier that a hit came from, or what else `Cache-Status` has to say. */
  readonly detail: string;
  readonly body: string;
}

/** Asks for these paths, from so many connections, to each gateway in turn. In the order of the paths. */
export async function askFor(
  urls: readonly string[],
  paths: readonly string[],
  connections: number,
): Promise<readonly CacheAnswer[]> {
  const answers: CacheAnswer[] = [];
  const lane = async (place: number): Promise<void> => {
    const connection = new Lane(urls[place % urls.length] ?? "");
    for (let next = place; next < paths.length; next += connections) {
      const began = performance.now();
      const status = await connection.ask(`GET ${paths[next]} HTTP/1.1\r\nHost: gateway.test\r\n\r\n`);
      const ms = performance.now() - began;
      const [head = "", body = ""] = connection.answer.split("\r\n\r\n");
      const [, cache = ""] = /\r\nx-cache: *([A-Z]+)/i.exec(head) ?? [];
      const [, detail = ""] = /\r\ncache-status: .*detail=([\w-]+)/i.exec(head) ?? [];
      answers[next] = { status, ms, cache, detail, body };
    }
    connection.close();
  };
  await Promise.all(Array.from({ length: connections }, (_, place) => lane(place)));
  return answers;
}

/** The time that this share of answers did not exceed, in ms. */
export function percentile(answers: readonly CacheAnswer[], share: number): number {
  const times = answers.map(({ ms }) => ms).sort((a, b) => a - b);
  return times[Math.ceil(times.length * share) - 1] ?? Number.POSITIVE_INFINITY;
}

/** An origin whose answers are fresh for an hour and come after so long. */
export interface SlowOrigin {
  readonly url: string;
  /** Requests so far. */
  asked(): number;
  /** What it answers from now on. */
  answer(body: string): void;
  stop(): Promise<void>;
}

/** Starts one on a free loopback port. */
export async function startSlowOrigin(ms: number): Promise<SlowOrigin> {
  let asked = 0;
  let body = "x".repeat(2_048);
  const server = createServer((_request, response) => {
    asked += 1;
    response.setHeader("cache-control", "max-age=3600");
    setTimeout(() => response.end(body), ms);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP server's address is never a path
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    asked: () => asked,
    answer: (next) => void (body = next),
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
