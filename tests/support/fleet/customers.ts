import type { Customer, CustomerLimit } from "./traffic.ts";

/** A limit as the configuration states it, and as it is to be judged. */
interface Stated {
  readonly document: Readonly<Record<string, unknown>>;
  readonly judged: CustomerLimit;
}

interface Group {
  readonly id: string;
  readonly by: string;
  readonly mode: "leased" | "strict";
  readonly names: readonly string[];
  readonly weight: number;
  readonly costs: readonly number[];
  readonly limits: readonly Stated[];
}

/**
 * Clients that come more often than they may and clients that don't, under one limit and under two at once, at one token a
 * request and at several, with owners of their own and in pools, on leases and asking for each request.
 */
const GROUPS: readonly Group[] = [
  group({ id: "two-limits", names: ["ada", "ben", "cai"], weight: 4, limits: [per(1, 15), per(60, 600)] }),
  group({ id: "edge", names: ["dee", "eli"], weight: 4, limits: [per(10, 1_000)] }),
  group({ id: "roomy", names: ["fay", "gus"], weight: 4, limits: [per(10, 50_000)] }),
  group({ id: "costly", names: ["hal", "ida"], weight: 3, costs: [1, 2, 5], limits: [per(2, 200)] }),
  group({ id: "pooled", names: ["everyone"], by: "ip", weight: 3, limits: [per(1, 30)] }),
  // Refused however slow the machine is.
  group({ id: "rare", names: ["kim"], weight: 2, limits: [per(3_600, 20)] }),
  group({ id: "asked", names: ["jon"], mode: "strict", weight: 1, limits: [per(1, 10)] }),
];

/** Everyone who takes part. */
export const CUSTOMERS: readonly Customer[] = GROUPS.flatMap(({ id, names, weight, costs, limits }) =>
  names.map((name) => ({ name, prefix: `/${id}`, weight, costs, limits: limits.map(({ judged }) => judged) })),
);

/** The document of their routes. What `onError` would let pass is no admission, so nothing passes without its owner. */
export function customersConfig(originUrl: string): unknown {
  return {
    allowPrivateTargets: true,
    logging: { enabled: false },
    routes: GROUPS.map(({ id, by, mode, limits }) => ({
      id,
      prefix: `/${id}`,
      target: originUrl,
      rateLimits: limits.map(({ document }) => ({
        ...document,
        by,
        mode,
        clients: by === "ip" ? "pooled" : "own",
        onError: "closed",
        // The machine may be busy, and a limiter that gives up admits nothing to be judged.
        deadline: "5s",
      })),
    })),
  };
}

function group(stated: Partial<Group> & Pick<Group, "id" | "names" | "weight" | "limits">): Group {
  const weighs = stated.costs !== undefined;
  return {
    by: "header:x-client",
    mode: "leased",
    costs: [1],
    ...stated,
    limits: weighs ? stated.limits.map(weighed) : stated.limits,
  };
}

function per(windowSeconds: number, requestsPerWindow: number): Stated {
  const name = `per-${windowSeconds}s`;
  const judged = {
    name,
    tokensPerWindow: requestsPerWindow,
    windowMs: 1_000 * windowSeconds,
    burst: requestsPerWindow,
  };
  return { document: { name, requestsPerWindow, windowSeconds }, judged };
}

function weighed({ document, judged }: Stated): Stated {
  return { document: { ...document, cost: { header: "X-Cost" } }, judged: { ...judged, weighs: true } };
}
