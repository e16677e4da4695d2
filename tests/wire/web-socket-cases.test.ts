import { createServer } from "node:http";
import { WebSocketServer } from "ws";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { deflateCases, sizeCases, strictCases } from "../support/web-socket-cases/families.ts";
import { runCase } from "../support/web-socket-cases/run-case.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";
import { closed, listening } from "../support/web-socket-peers/peer.ts";

const CASES = [...strictCases(), ...sizeCases(262_144, 50), ...deflateCases()];
/** Most of a case is waiting for the other side. */
const AT_ONCE = 8;
const http = createServer();
const server = new WebSocketServer({ server: http, perMessageDeflate: { threshold: 0 } });
server.on("connection", (client) => {
  client.on("error", () => {});
  client.on("message", (data: Buffer, isBinary: boolean) => client.send(data, { binary: isBinary }));
});
let direct: string;
let gateway: Gateway;

/** The defaults are for people; here are megabytes, and a thousand messages in a row. */
const ANY = { maxMessage: "32MiB", messagesPerSecond: false, bytesPerSecond: false };

beforeAll(async () => {
  const port = await listening(http);
  direct = `ws://127.0.0.1:${port}/`;
  const target = `http://127.0.0.1:${port}`;
  const routes = [
    { prefix: "/splice", target, webSocket: { mode: "splice" } },
    { prefix: "/bridge", target, webSocket: { mode: "bridge", fromClient: ANY, fromUpstream: ANY } },
  ];
  gateway = await startGateway({ config: { routes, allowPrivateTargets: true } });
});

afterAll(async () => {
  await gateway.stop();
  await closed(http);
});

/** Everything that a case ended in, by its number. */
async function runAll(url: string): Promise<ReadonlyMap<string, string>> {
  const results: [id: string, result: string][] = [];
  for (let at = 0; at < CASES.length; at += AT_ONCE) {
    const some = await Promise.all(CASES.slice(at, at + AT_ONCE).map((one) => runCase(url, one)));
    for (const { id, verdict, seen } of some) results.push([id, `${verdict}: ${seen}`]);
  }
  return new Map(results);
}

/**
 * What the runtime lets pass where it is read message by message: it looks at no text and no ping's length, answers the last of ten
 * pings alone (as RFC 6455 5.5.3 lets it), and a Close with half a code, or with 1005, is an empty one to whoever gets it.
 */
function isRuntimes(id: string): boolean {
  return id.startsWith("6.") || ["2.5", "2.10", "2.11", "7.3.2", "7.5.1", "7.9.4"].includes(id);
}

describe("families 1 to 7, 9, 10 and 12 of the Autobahn Testsuite", () => {
  it("hold of the origin itself, and end alike through a splice", { timeout: 120_000 }, async () => {
    const itself = await runAll(direct);
    const failed = [...itself].filter(([, result]) => !result.startsWith("ok"));
    expect(strictCases()).toHaveLength(247);
    expect(failed).toEqual([]);
    expect(await runAll(`${gateway.url.replace("http", "ws")}/splice`)).toEqual(itself);
  });

  it("hold of a bridge, but for what the runtime does not look at", { timeout: 120_000 }, async () => {
    const results = [...(await runAll(`${gateway.url.replace("http", "ws")}/bridge`))];
    const failed = results.filter(([, result]) => !result.startsWith("ok")).map(([id]) => id);
    expect(failed.filter((id) => !isRuntimes(id))).toEqual([]);
    expect(results.length - failed.length).toBeGreaterThanOrEqual(CASES.length - 81);
  });
});
