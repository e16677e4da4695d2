import { BackendFleet, eventually } from "./backend-fleet.ts";
import { sendMany } from "./fleet/many.ts";
import { request } from "./raw-request.ts";

export const ISOLATES = 4;

/** Isolates in front of two targets with all that keeps a client from noticing that one of them is lost: breaker, retries, checks. */
export function startOutageFleet(): Promise<BackendFleet> {
  return BackendFleet.start({
    isolates: ISOLATES,
    targets: 2,
    document: (urls) => ({
      logging: { enabled: false },
      routes: [{ id: "api", prefix: "/", methods: ["GET"], hosts: ["gateway.test"], backend: "both" }],
      backends: {
        both: {
          targets: urls.map((url) => ({ url })),
          circuitBreaker: { timeout: 1_000, maxTimeout: 1_000 },
          retry: true,
          healthCheck: { path: "/check", interval: 1_000, timeout: 500 },
        },
      },
    }),
  });
}

/** What clients met while one of two targets was killed and came back. */
export interface Outage {
  /** How many answers had each status; 0: none. */
  readonly statuses: Readonly<Record<number, number>>;
  /** Requests that reached the other target, and this one before the kill and after its return. */
  readonly received: { readonly other: number; readonly before: number; readonly after: number };
}

/** Sends so many GETs; a target is killed after a quarter of them and comes back after a half. */
export async function loseOne(fleet: BackendFleet, requests: number): Promise<Outage> {
  const [lost, other] = fleet.targets;
  if (lost === undefined || other === undefined) throw new Error("the fleet has two targets");
  const bytes = request({ target: "/a" });
  const sent = sendMany({ urls: fleet.gateway.urls, requests, connections: 4 * ISOLATES, request: () => bytes });
  const received = () => lost.received("/a").length + other.received("/a").length;
  await eventually("a quarter of the requests", () => received() >= requests / 4, 50);
  await lost.kill();
  const before = lost.received("/a").length;
  await eventually("half of the requests", () => received() >= requests / 2, 50);
  await lost.restart();
  const statuses = await sent;
  const after = lost.received("/a").length - before;
  return { statuses, received: { other: other.received("/a").length, before, after } };
}
