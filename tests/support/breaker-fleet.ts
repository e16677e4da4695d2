import { BackendFleet, eventually } from "./backend-fleet.ts";
import type { TargetProcess } from "./origin/target-process.ts";

/** Probes that may be in flight, fleet-wide. */
export const PROBES = 3;
/** Failures in a row that one isolate must meet for the breaker of `/long`; for that of `/short` it is the default. */
export const THRESHOLD = 50;
/** How long the breaker of `/short` stays open, each time. */
export const OPEN_MS = 3_000;
export const ISOLATES = 4;

/** Clients of each isolate that find an outage: as many as failures in a row open a breaker by default. */
const CLIENTS_EACH = 5;
/** How often a client that is refused comes again. */
const COMES_AGAIN_MS = 200;
/** How often clients come again while probes are under way, before it is looked how many those are. */
const REFUSALS = 3;

/** How long the target of `/hasty` may take. */
export const HASTY_MS = 300;
/** The name of a backend, and its prefix. */
export type Place = "short" | "long" | "hasty";

/**
 * Isolates in front of three targets with a breaker each: behind `/short` and `/hasty` one that is open for a while, behind
 * `/long` one that stays open for an hour.
 */
export async function startBreakerFleet(state: string): Promise<BackendFleet> {
  const common = { halfOpenRequests: PROBES, successThreshold: 2, jitter: 0 };
  const short = { ...common, timeout: OPEN_MS, maxTimeout: OPEN_MS };
  const long = { ...common, failureThreshold: THRESHOLD, timeout: "1h", maxTimeout: "1h" };
  return BackendFleet.start({
    isolates: ISOLATES,
    targets: 3,
    state,
    document: ([first, second, third]) => ({
      logging: { enabled: false },
      routes: ["short", "long", "hasty"].map((name) => ({ id: name, prefix: `/${name}`, backend: name })),
      backends: {
        short: { targets: [{ url: first }], circuitBreaker: short },
        hasty: { targets: [{ url: third }], circuitBreaker: short, timeouts: { headers: HASTY_MS } },
        long: { targets: [{ url: second }], circuitBreaker: long },
      },
    }),
  });
}

/** One of a fleet's targets; throws when there is no such. */
export function targetOf(fleet: BackendFleet, index: number): TargetProcess {
  const target = fleet.targets[index];
  if (target === undefined) throw new Error(`the fleet has no target ${index}`);
  return target;
}

/** What an operator is told of a target, but for what changes by the second. */
export async function toldOf(fleet: BackendFleet, backend: string, target: TargetProcess): Promise<unknown> {
  const { breaker, events } = await fleet.detailsOf(backend, target);
  if (typeof breaker !== "object" || breaker === null) throw new Error(`no breaker is told of ${target.url}`);
  const { state, since, openings }: Readonly<Record<string, unknown>> = { ...breaker };
  return { state, since, openings, events };
}

/** Requests at one isolate alone until that one refuses. */
export async function openAt(fleet: BackendFleet, isolate: number, path: string): Promise<void> {
  await eventually(
    `isolate ${isolate} to refuse`,
    async () => (await fleet.ask(path, { isolate })).what === "breaker-open",
    1,
  );
}

/** Few requests at an isolate until it refuses; resolves to how many failures it met until then. */
export async function failuresUntilRefused(fleet: BackendFleet, isolate: number, path: string): Promise<number> {
  let failures = 0;
  const isRefusing = async () => {
    const { what } = await fleet.ask(path, { isolate });
    if (what !== "breaker-open") failures += 1;
    return what === "breaker-open";
  };
  await eventually(`isolate ${isolate} to refuse`, isRefusing, 100);
  return failures;
}

/**
 * Asks every isolate, by some clients, until all refuse and the breaker itself is open: an isolate refuses by itself for a second, whatever the others
 * say. Resolves to how long that took, in ms.
 */
export async function openEverywhere(fleet: BackendFleet, backend: Place, target: TargetProcess): Promise<number> {
  return eventually("the breaker to be open for every isolate", async () => {
    // At once: a target that hangs is noticed when so many calls have timed out.
    const clients = Array.from({ length: CLIENTS_EACH }, () => fleet.everywhere(`/${backend}/a`));
    const answers = (await Promise.all(clients)).flat();
    if (answers.some((what) => what !== "breaker-open")) return false;
    const { breaker } = await fleet.detailsOf(backend, target);
    return JSON.stringify(breaker).includes('"state":"open"');
  });
}

/** Asks every isolate until all let a request pass; resolves to how long that took, in ms. */
export async function passedEverywhere(fleet: BackendFleet, path: string): Promise<number> {
  return eventually("every isolate to pass", async () =>
    (await fleet.everywhere(path)).every((what) => what === "200"),
  );
}

/** What came of clients that all came while the breaker was half-open. */
export interface HalfOpen {
  /** Requests that reached the target before it had answered one. */
  readonly probes: number;
  /** Refusals meanwhile. */
  readonly refusals: number;
  /** What each client got in the end, once the target answered. */
  readonly answers: readonly string[];
}

/**
 * Clients that come again and again while the target, which has just come back, says nothing; and what they get once it
 * answers. Begins with an open breaker and a target that is killed.
 */
export async function comeHalfOpen(
  fleet: BackendFleet,
  target: TargetProcess,
  path: string,
  clients: number,
): Promise<HalfOpen> {
  const before = target.received().length;
  await target.restart({ kind: "hold" });
  const refusals = Array.from({ length: clients }, () => 0);
  const client = async (index: number): Promise<string> => {
    for (;;) {
      const { what } = await fleet.ask(path, { isolate: index });
      if (what !== "breaker-open") return what;
      refusals[index] = (refusals[index] ?? 0) + 1;
      await new Promise((resolve) => setTimeout(resolve, COMES_AGAIN_MS));
    }
  };
  const all = Promise.all(Array.from({ length: clients }, (_, index) => client(index)));
  const probes = () => target.received().length - before;
  await eventually("a probe to come", () => probes() >= PROBES);
  const since = [...refusals];
  const haveAllComeAgain = () =>
    refusals.filter((many, index) => many - (since[index] ?? 0) < REFUSALS).length <= probes();
  await eventually("every other client to have come again", haveAllComeAgain);
  const met = { probes: probes(), refusals: refusals.reduce((sum, many) => sum + many, 0) };
  await target.behave({ kind: "answer", status: 200 });
  return { ...met, answers: await all };
}
