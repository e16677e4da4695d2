import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TableSizes } from "../count-tables.ts";
import { startGateway } from "../gateway.ts";
import { ArrivalsOrigin } from "./arrivals-origin.ts";
import { Lane } from "./lane.ts";
import { type ObjectStorage, readObjectStorage } from "./object-storage.ts";

/** The first holds the objects, and their tables; everyone comes to the second at first. */
const ISOLATES = 2;
const FIRST_VISIT = 1;
const SECOND_VISIT = 0;
/** Many at a time: what comes to an object together is committed to the disk together. */
const CONNECTIONS = 1_000;
/** Every so manieth client comes again, to another isolate. */
const RETURNING = 10;

/** How many clients to make up; half of them by a header's value, half by their address. */
export interface MadeUpOptions {
  readonly clients: number;
  readonly windowSeconds: number;
  /** How long after the last request to look at storage again; default 0. */
  readonly laterMs?: number;
}

/** What was left of them. */
export interface MadeUpReport {
  /** First and second visits that were let through; each client may come once in a window. */
  readonly admitted: number;
  /** Statuses of first visits that were not, and how many there were of each; 0: lost with its connection. */
  readonly otherwise: Readonly<Record<number, number>>;
  readonly admittedAgain: number;
  readonly returned: number;
  /** Of each isolate. */
  readonly tables: readonly TableSizes[];
  /** Resident memory of the runtime, in MB, before and after. */
  readonly residentMb: readonly [before: number, after: number];
  readonly storage: ObjectStorage;
  readonly storageLater: ObjectStorage;
}

/** Lets every client that can be made up come once, and some once more. */
export async function madeUpKeys({ clients, windowSeconds, laterMs = 0 }: MadeUpOptions): Promise<MadeUpReport> {
  const state = mkdtempSync(join(tmpdir(), "sluice-made-up-"));
  const origin = await ArrivalsOrigin.start(() => {});
  const gateway = await startGateway({
    isolates: ISOLATES,
    state,
    entry: fileURLToPath(new URL("../tables-entry.ts", import.meta.url)),
    config: configFor(origin.url, windowSeconds),
  });
  try {
    const before = residentMb(gateway.workerdPid);
    let admitted = 0;
    const otherwise: Record<number, number> = {};
    let admittedAgain = 0;
    let returned = 0;
    await forEach(clients, gateway.urls, async (client, visit) => {
      const status = await visit(FIRST_VISIT);
      if (status === 200) admitted += 1;
      else otherwise[status] = (otherwise[status] ?? 0) + 1;
      if (client % RETURNING !== 0) return;
      returned += 1;
      if ((await visit(SECOND_VISIT)) === 200) admittedAgain += 1;
    });
    const storage = readObjectStorage(state, "RateLimiter");
    const tables = await Promise.all(gateway.urls.map(tablesOf));
    const after = residentMb(gateway.workerdPid);
    await new Promise((resolve) => setTimeout(resolve, laterMs));
    const storageLater = readObjectStorage(state, "RateLimiter");
    return { admitted, otherwise, admittedAgain, returned, tables, residentMb: [before, after], storage, storageLater };
  } finally {
    await gateway.stop();
    await origin.stop();
    rmSync(state, { recursive: true, force: true });
  }
}

function configFor(target: string, windowSeconds: number): unknown {
  const limit = { requestsPerWindow: 1, windowSeconds, onError: "closed", deadline: "30s" };
  return {
    allowPrivateTargets: true,
    logging: { enabled: false },
    // However busy the machine is.
    timeouts: { headers: "60s", total: "60s" },
    clientIp: { header: "X-Forwarded-For", trustedProxies: ["127.0.0.0/8"] },
    routes: [
      { id: "keys", prefix: "/keys", target, rateLimit: { ...limit, by: "header:x-client" } },
      { id: "addresses", prefix: "/addresses", target, rateLimit: { ...limit, by: "ip" } },
    ],
  };
}

type Visit = (isolate: number) => Promise<number>;

/** As many clients at a time as there are connections to each isolate. */
async function forEach(
  clients: number,
  urls: readonly string[],
  come: (client: number, visit: Visit) => Promise<void>,
): Promise<void> {
  let next = 0;
  const connection = async (): Promise<void> => {
    const lanes = urls.map((url) => new Lane(url));
    for (let client = next++; client < clients; client = next++) {
      await come(client, (isolate) => lanes[isolate]?.ask(requestOf(client)) ?? Promise.resolve(0));
    }
    for (const lane of lanes) lane.close();
  };
  await Promise.all(Array.from({ length: Math.min(clients, CONNECTIONS) }, connection));
}

function requestOf(client: number): string {
  const byKey = client % 4 < 2;
  const address = `11.${(client >> 16) & 255}.${(client >> 8) & 255}.${client & 255}`;
  const prefix = byKey ? "/keys" : "/addresses";
  const who = byKey ? `X-Client: made-up-${client}` : `X-Forwarded-For: ${address}`;
  return `GET ${prefix}/${client} HTTP/1.1\r\nHost: fleet.test\r\n${who}\r\n\r\n`;
}

async function tablesOf(url: string): Promise<TableSizes> {
  const answer = await fetch(url, { headers: { "x-test-control": "tables" } });
  const sizes: TableSizes = JSON.parse(await answer.text());
  return sizes;
}

function residentMb(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Math.round(Number(kilobytes) / 1_024);
}
