import { fileURLToPath } from "node:url";
import { type Gateway, type GatewayOptions, startGateway } from "../gateway.ts";

const ENTRY = fileURLToPath(new URL("../fleet-entry.ts", import.meta.url));

/** What owners were asked since the runtime started. */
export interface OwnerCounts {
  /** By the name of the method. */
  readonly calls: Readonly<Record<string, number>>;
  readonly instances: number;
  readonly owners: number;
}

/** Isolates over the same objects, which are counted and can be evicted. */
export interface Fleet extends Gateway {
  counts(): Promise<OwnerCounts>;
  /** Ends every instance of every owner, with all that it has in memory. */
  evictOwners(): Promise<void>;
}

/** Starts a gateway whose owners are counted. */
export async function startFleet(options: Omit<GatewayOptions, "entry">): Promise<Fleet> {
  const gateway = await startGateway({ ...options, entry: ENTRY });
  const control = (what: string) => fetch(gateway.url, { headers: { "x-test-control": what } });
  return {
    ...gateway,
    counts: async () => {
      const counts: OwnerCounts = JSON.parse(await (await control("count")).text());
      return counts;
    },
    evictOwners: async () => {
      await (await control("evict")).text();
    },
  };
}

/** Calls that requests made, of all methods. */
export function callsIn({ calls }: OwnerCounts): number {
  return Object.values(calls).reduce((sum, count) => sum + count, 0);
}
