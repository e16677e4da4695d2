import { createServer } from "node:http";
import { WebSocketServer } from "ws";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { deflateCases, sizeCases, strictCases } from "../support/web-socket-cases/families.ts";
import { runCase } from "../support/web-socket-cases/run-case.ts";
import { closed, listening } from "../support/web-socket-peers/peer.ts";

const CASES = [...strictCases(), ...sizeCases(1_048_576), ...deflateCases()];
const http = createServer();
const server = new WebSocketServer({ server: http, perMessageDeflate: { threshold: 0 } });
server.on("connection", (client) => {
  client.on("error", () => {});
  client.on("message", (data: Buffer, isBinary: boolean) => client.send(data, { binary: isBinary }));
});
let direct: string;

beforeAll(async () => {
  direct = `ws://127.0.0.1:${await listening(http)}/`;
});

afterAll(() => closed(http));

/** Everything that a case ended in, by its number. */
async function runAll(url: string): Promise<ReadonlyMap<string, string>> {
  const results = new Map<string, string>();
  for (const one of CASES) {
    const { id, verdict, seen } = await runCase(url, one);
    results.set(id, `${verdict}: ${seen}`);
  }
  return results;
}

describe("families 1 to 7, 9, 10 and 12 of the Autobahn Testsuite", () => {
  it("hold of the origin itself", async () => {
    const failed = [...(await runAll(direct))].filter(([, result]) => !result.startsWith("ok"));
    expect(strictCases()).toHaveLength(247);
    expect(failed).toEqual([]);
  });
});
