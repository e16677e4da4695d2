import { BackendFleet, eventually } from "./backend-fleet.ts";
import type { TargetProcess } from "./origin/target-process.ts";

export const ISOLATES = 4;
/** Where targets are checked. */
export const CHECK = "/check";
export const HEALTH = { path: CHECK, interval: 1_000, timeout: 500, rise: 2, fall: 3 };

/** Isolates in front of two targets by turns, which are checked once a second. */
export function startHealthFleet(): Promise<BackendFleet> {
  return BackendFleet.start({
    isolates: ISOLATES,
    targets: 2,
    document: (urls) => ({
      logging: { enabled: false },
      routes: [{ id: "api", prefix: "/api", backend: "checked" }],
      backends: {
        checked: { balance: "round-robin", targets: urls.map((url) => ({ url })), healthCheck: HEALTH },
      },
    }),
  });
}

/** Uses every isolate, so that each of them asks how the targets are, until the end of this. */
export async function underTraffic<T>(fleet: BackendFleet, run: () => Promise<T>): Promise<T> {
  const over = new AbortController();
  const traffic = async (): Promise<void> => {
    while (!over.signal.aborted) {
      await fleet.everywhere("/api/traffic");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const all = traffic();
  try {
    return await run();
  } finally {
    over.abort();
    await all;
  }
}

/** Resolves when a target has been checked so many times more; to when each of these was, in ms since 1970. */
export async function checked(target: TargetProcess, times: number): Promise<readonly number[]> {
  const before = target.received(CHECK).length;
  await eventually(`${times} checks`, () => target.received(CHECK).length >= before + times);
  return target
    .received(CHECK)
    .slice(before)
    .map(({ at }) => at);
}

/** What health checks said of one target, as an operator is told. */
export interface ToldHealth {
  readonly isDown: boolean;
  /** In ms since 1970. */
  readonly since: number;
}

/** Resolves when the target is called down, or up again; to what an operator is told of it. */
export async function called(fleet: BackendFleet, target: TargetProcess, isDown: boolean): Promise<ToldHealth> {
  let told: ToldHealth | undefined;
  await eventually(`${target.url} to be ${isDown ? "down" : "up"}`, async () => {
    told = await healthOf(fleet, target);
    return told?.isDown === isDown;
  });
  if (told === undefined) throw new Error(`nothing is told of ${target.url}`);
  return told;
}

/** Resolves when the newest requests to every isolate went to nobody else, or when all of them have their share again. */
export async function servedBy(fleet: BackendFleet, ports: readonly number[]): Promise<number> {
  return eventually(`requests to be served by ${ports.join(" and ")} alone`, async () => {
    const rounds = await Promise.all(
      Array.from({ length: 4 * ISOLATES }, (_, isolate) => fleet.ask("/api/a", { isolate })),
    );
    const met = new Set(rounds.map((answer) => answer.servedBy));
    return met.size === ports.length && ports.every((port) => met.has(port));
  });
}

async function healthOf(fleet: BackendFleet, target: TargetProcess): Promise<ToldHealth | undefined> {
  const { health } = await fleet.detailsOf("checked", target);
  if (typeof health !== "object" || health === null || !("isDown" in health) || !("since" in health)) return undefined;
  return { isDown: health.isDown === true, since: Number(health.since) };
}
