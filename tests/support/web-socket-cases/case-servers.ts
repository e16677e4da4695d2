import { createServer } from "node:http";
import { WebSocketServer } from "ws";
import { startGateway } from "../gateway.ts";
import { closed, listening } from "../web-socket-peers/peer.ts";
import { ANY_RATE } from "../web-socket/proofs.ts";
import type { Case } from "./case.ts";
import { runCase } from "./run-case.ts";

/** An echoing server, and a gateway before it. */
export interface CaseServers {
  readonly direct: string;
  readonly splice: string;
  readonly bridge: string;
  stop(): Promise<void>;
}

/** Starts both. */
export async function startCaseServers(): Promise<CaseServers> {
  const http = createServer();
  const server = new WebSocketServer({ server: http, perMessageDeflate: { threshold: 0 } });
  server.on("connection", (client) => {
    client.on("error", () => {});
    client.on("message", (data: Buffer, isBinary: boolean) => client.send(data, { binary: isBinary }));
  });
  const port = await listening(http);
  const target = `http://127.0.0.1:${port}`;
  const routes = [
    { prefix: "/splice", target, webSocket: { mode: "splice" } },
    { prefix: "/bridge", target, webSocket: { mode: "bridge", ...ANY_RATE } },
  ];
  const gateway = await startGateway({ config: { routes, allowPrivateTargets: true } });
  return {
    direct: `http://127.0.0.1:${port}/`,
    splice: `${gateway.url}/splice`,
    bridge: `${gateway.url}/bridge`,
    async stop() {
      await gateway.stop();
      await closed(http);
    },
  };
}

/** Everything that each case ended in, by its number; `ok: ` or `failed: ` and what was seen. */
export async function runCases(
  url: string,
  cases: readonly Case[],
  /** Most of a case is waiting for the other side. */
  atOnce = 8,
): Promise<ReadonlyMap<string, string>> {
  const results: [id: string, result: string][] = [];
  for (let at = 0; at < cases.length; at += atOnce) {
    const some = await Promise.all(cases.slice(at, at + atOnce).map((one) => runCase(url, one)));
    for (const { id, verdict, seen } of some) results.push([id, `${verdict}: ${seen}`]);
  }
  return new Map(results);
}

/** The numbers of those that failed. */
export function failedOf(results: ReadonlyMap<string, string>): readonly string[] {
  return [...results].filter(([, result]) => !result.startsWith("ok")).map(([id]) => id);
}

/**
 * What the runtime lets pass where it is read message by message: it looks at no text and no ping's length, answers the last of ten
 * pings alone (as RFC 6455 5.5.3 lets it), and a Close with half a code, or with 1005, is an empty one to whoever gets it.
 */
export function isRuntimes(id: string): boolean {
  return id.startsWith("6.") || ["2.5", "2.10", "2.11", "7.3.2", "7.5.1", "7.9.4"].includes(id);
}
