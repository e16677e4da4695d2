import { BackendFleet, eventually } from "./backend-fleet.ts";
import { sendMany } from "./fleet/many.ts";
import { request } from "./raw-request.ts";

export const ISOLATES = 4;
/** In percent, one for each target. */
export const WEIGHTS = [70, 20, 10] as const;

/** Isolates in front of three targets of unequal weight, shared in several ways: `/weighted-random`, `/round-robin`. */
export function startWeightedFleet(): Promise<BackendFleet> {
  return BackendFleet.start({
    isolates: ISOLATES,
    targets: WEIGHTS.length,
    document: (urls) => ({
      logging: { enabled: false },
      routes: ["weighted-random", "round-robin"].map((name) => ({ id: name, prefix: `/${name}`, backend: name })),
      backends: {
        "weighted-random": { balance: "weighted-random", targets: weighted(urls) },
        "round-robin": { balance: "round-robin", targets: weighted(urls) },
      },
    }),
  });
}

/** How the targets of a weighted fleet shared so many requests, in percent, and how many were answered. */
export async function sharesOf(
  fleet: BackendFleet,
  balance: "weighted-random" | "round-robin",
  requests: number,
): Promise<{ readonly shares: readonly number[]; readonly answered: number }> {
  const before = fleet.targets.map((target) => target.received().length);
  const bytes = request({ target: `/${balance}/a` });
  const statuses = await sendMany({
    urls: fleet.gateway.urls,
    requests,
    connections: 4 * ISOLATES,
    request: () => bytes,
  });
  const received = fleet.targets.map((target, index) => target.received().length - (before[index] ?? 0));
  return { shares: received.map((many) => (100 * many) / requests), answered: statuses[200] ?? 0 };
}

/** Which target each client meets: the port, by the client's name. */
export async function metBy(
  fleet: BackendFleet,
  path: string,
  clients: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const met = await Promise.all(clients.map((client) => fleet.ask(path, { headers: { "x-client": client } })));
  return new Map(clients.map((client, index) => [client, met[index]?.servedBy ?? 0]));
}

/** A client that gives back what binds it to a target: cookies, and the header of that name. */
export class BoundClient {
  readonly #fleet: BackendFleet;
  readonly #kept = new Map<string, string>();

  constructor(fleet: BackendFleet) {
    this.#fleet = fleet;
  }

  /** The port of the target that it meets. */
  async meet(path: string): Promise<number> {
    const { headers, servedBy, what } = await this.#fleet.ask(path, { headers: Object.fromEntries(this.#kept) });
    if (servedBy === undefined) throw new Error(`no target answered, but the gateway: ${what}`);
    const [cookie] = headers.getSetCookie();
    if (cookie !== undefined) this.#kept.set("cookie", cookie.split(";", 1)[0] ?? "");
    const named = headers.get("x-sluice-target");
    if (named !== null) this.#kept.set("x-sluice-target", named);
    return servedBy;
  }
}

/** New clients until every target has one, and as many more as the first took; each with the target that it met. */
export async function bindClients(
  fleet: BackendFleet,
  path: string,
  wanted: number,
): Promise<readonly (readonly [BoundClient, number])[]> {
  const bound: (readonly [BoundClient, number])[] = [];
  const met = new Set<number>();
  await eventually(
    "every target to have a client",
    async () => {
      const client = new BoundClient(fleet);
      const port = await client.meet(path);
      met.add(port);
      bound.push([client, port]);
      return bound.length >= wanted && met.size === fleet.targets.length;
    },
    0,
  );
  return bound;
}

function weighted(urls: readonly string[]): readonly unknown[] {
  return urls.map((url, index) => ({ url, weight: WEIGHTS[index] }));
}
