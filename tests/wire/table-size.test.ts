import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { TableSizes } from "../support/count-tables.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { Origin } from "../support/origin/origin.ts";
import { ask } from "../support/raw-client.ts";

/** Not as many as any other table of the Worker holds. */
const ENTRIES = 137;
const CLIENTS = 400;

let origin: Origin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await Origin.start();
  const limit = { requestsPerWindow: 1, windowSeconds: 31_536_000, by: "header:x-client", deadline: "20s" };
  gateway = await startGateway({
    entry: fileURLToPath(new URL("../support/tables-entry.ts", import.meta.url)),
    config: {
      allowPrivateTargets: true,
      logging: { enabled: false },
      limiter: { tableEntries: ENTRIES },
      routes: [{ id: "a", prefix: "/", target: origin.url, rateLimit: { ...limit, onError: "closed" } }],
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

test("an isolate remembers the leases and refusals of as many clients as it is told, and forgets no count with them", async () => {
  expect(await statuses()).toEqual(Array.from({ length: CLIENTS }, () => 200));
  expect(await statuses()).toEqual(Array.from({ length: CLIENTS }, () => 429));
  const sizes: TableSizes = JSON.parse(
    (await ask(gateway.url, { target: "/", headers: ["X-Test-Control: tables"] })).body.toString("utf8"),
  );
  expect(sizes.now).toContain(ENTRIES);
});

/** What each client gets that comes once. */
async function statuses(): Promise<readonly number[]> {
  const seen: number[] = [];
  for (let client = 0; client < CLIENTS; client += 1) {
    seen.push((await ask(gateway.url, { target: "/a", headers: [`X-Client: ${client}`] })).status);
  }
  return seen;
}
