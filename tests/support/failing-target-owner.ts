import { createServer } from "node:http";
import { MODES, type Mode } from "./failing-owner.ts";
import { FAULTS, type Fault } from "./faults.ts";
import { FaultyGateway } from "./faulty-gateway.ts";

/**
 * How a target and its breaker are when its owner fails. `closed`: well. `half-open`: well again after it was open. `outage`:
 * the target fails too. `both`: the owner of the limit fails too. `evicted`: its owner loses its memory now and then.
 * `killed`: open when the whole runtime is killed.
 */
export const TARGET_SCENES = ["closed", "half-open", "outage", "both", "evicted", "killed"] as const;
export type TargetScene = (typeof TARGET_SCENES)[number];

/** What is to be tried. */
export interface TargetTrial {
  /** Of the route's rate limit. */
  readonly mode: Mode;
  readonly fault: Fault;
  readonly scene: TargetScene;
}

/** How long a breaker stays open; much longer where it is to be open still after a restart. */
export const OPEN_MS = 3_000;
const LONG_OPEN_MS = 60_000;
/** An isolate that opens by itself says less: 1 s, or up to 1.5 while the owner has just started. */
const TOLD_RETRY_AFTER_S = 3;
const PATIENCE_MS = 30_000;
/** Failures in a row that an isolate must meet at a target. */
const THRESHOLD = 3;

/** A target that answers 500 below `/fail` and 200 everywhere else. */
export interface FickleOrigin {
  readonly url: string;
  stop(): Promise<void>;
}

export async function startFickleOrigin(): Promise<FickleOrigin> {
  const server = createServer(({ url = "" }, response) => {
    response.writeHead(url.endsWith("/fail") ? 500 : 200, { "content-length": "2" }).end("ok");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the origin has no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Starts a gateway with a route for each trial: a limit, breakers, health checks, and two targets of its own. */
export function startFailingTargetOwners(origin: string, isolates: number): Promise<FaultyGateway> {
  const backends = targetTrials().map((trial) => [backendOf(trial), backendFor(trial, origin)]);
  const routes = targetTrials().map((trial) => ({
    id: targetRouteOf(trial),
    prefix: `/${targetRouteOf(trial)}`,
    backend: backendOf(trial),
    rateLimit: {
      requestsPerWindow: 1_000_000,
      windowSeconds: 60,
      by: "route",
      clients: "own",
      mode: trial.mode,
      onError: "open",
    },
  }));
  return FaultyGateway.start({ allowPrivateTargets: true, backends: Object.fromEntries(backends), routes }, isolates);
}

/** Every fault under a breaker that is closed or half-open; in the other scenes the one that tells most. */
export function targetTrials(): readonly TargetTrial[] {
  return TARGET_SCENES.flatMap((scene) =>
    MODES.flatMap((mode) => faultsIn(scene).map((fault): TargetTrial => ({ mode, fault, scene }))),
  );
}

/** The id of a trial's route. */
export function targetRouteOf(trial: TargetTrial): string {
  // The owner of a limit fails by the route's id, the owner of a target by its URL.
  return trial.scene === "both" ? backendOf(trial) : `to-${backendOf(trial)}`;
}

/** Opens the breakers of both targets, while their owners are well, and resolves when every isolate was told so by them. */
export async function openBreakers({ gateway }: FaultyGateway, trial: TargetTrial): Promise<void> {
  const untold = new Set(gateway.urls);
  for (const end = performance.now() + PATIENCE_MS; untold.size > 0;) {
    if (performance.now() > end) throw new Error(`the breaker of ${targetRouteOf(trial)} did not open everywhere`);
    for (const url of gateway.urls) {
      const { status, headers } = await fetch(`${url}/${targetRouteOf(trial)}/fail`, { method: "HEAD" });
      if (status === 503 && Number(headers.get("retry-after")) >= TOLD_RETRY_AFTER_S) untold.delete(url);
    }
  }
}

function faultsIn(scene: TargetScene): readonly Fault[] {
  if (scene === "closed" || scene === "half-open") return FAULTS;
  return scene === "evicted" ? ["abort"] : ["hang"];
}

function backendOf({ mode, fault, scene }: TargetTrial): string {
  return `${fault}-${scene}-${mode}`;
}

function backendFor(trial: TargetTrial, origin: string) {
  const openMs = trial.scene === "killed" ? LONG_OPEN_MS : OPEN_MS;
  return {
    targets: [1, 2].map((number) => ({ url: `${origin}/${backendOf(trial)}/${number}` })),
    healthCheck: { path: "/well" },
    circuitBreaker: { failureThreshold: THRESHOLD, timeout: openMs, maxTimeout: openMs, jitter: 0 },
  };
}
