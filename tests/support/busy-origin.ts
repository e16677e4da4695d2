import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** An origin that does so much and no more: what it can't do at once waits, also when nobody waits for it any longer. */
export interface BusyOrigin {
  readonly url: string;
  /** Answers a second, when it has always something to do. */
  readonly capacity: number;
  stop(): Promise<void>;
}

/**
 * Starts one on a free loopback port.
 *
 * @param servers requests that it serves at once.
 * @param serviceMs for how long it is busy with one, on average; it varies by 40 % either way.
 */
export async function startBusyOrigin(servers: number, serviceMs: number): Promise<BusyOrigin> {
  const queue: ServerResponse[] = [];
  let busy = 0;
  function serveNext(): void {
    const next = busy < servers ? queue.shift() : undefined;
    if (next === undefined) return;
    busy += 1;
    setTimeout(
      () => {
        busy -= 1;
        next.end("ok");
        serveNext();
      },
      serviceMs * (0.6 + 0.8 * Math.random()),
    );
  }
  const server = createServer((request, response) => {
    request.resume();
    queue.push(response);
    serveNext();
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", 1_024, resolve));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP server's address is never a path
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    capacity: (servers * 1_000) / serviceMs,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
