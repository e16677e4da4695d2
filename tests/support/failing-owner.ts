import { FAULTS, type Fault } from "./faults.ts";
import { FaultyGateway } from "./faulty-gateway.ts";

export const MODES = ["strict", "leased"] as const;
export type Mode = (typeof MODES)[number];
export const POLICIES = ["closed", "local", "open"] as const;
export type Policy = (typeof POLICIES)[number];

/**
 * What comes before and after: `failing` owners fail from the first call, `lent` ones after they have lent tokens, `evicted`
 * ones lose their memory now and then, `killed` ones with the whole runtime.
 */
export const SCENES = ["failing", "lent", "evicted", "killed"] as const;
export type Scene = (typeof SCENES)[number];

/** The deadline of a limit that doesn't say. */
export const DEADLINE_MS = 150;
/** A limit of which a share of 10 % is soon used up, and which earns nothing while a test runs. */
export const LIMIT = { requestsPerWindow: 200, windowSeconds: 86_400 };

/** What is to be tried. */
export interface Trial {
  readonly mode: Mode;
  readonly fault: Fault;
  readonly policy: Policy;
  readonly scene: Scene;
}

/** Starts a gateway with a route for each trial, whose owners of limits fail when they are armed. */
export function startFailingOwners(target: string, isolates: number): Promise<FaultyGateway> {
  const routes = trials().map((trial) => ({
    id: routeOf(trial),
    prefix: `/${routeOf(trial)}`,
    target,
    // An owner of its own for each route, so that no fault reaches another row.
    rateLimit: { ...LIMIT, by: "route", clients: "own", mode: trial.mode, onError: trial.policy },
  }));
  return FaultyGateway.start({ allowPrivateTargets: true, routes }, isolates);
}

/** Every fault in the scene where it lasts; in the others the one that tells most. */
export function trials(): readonly Trial[] {
  return SCENES.flatMap((scene) =>
    MODES.flatMap((mode) =>
      faultsIn(scene).flatMap((fault) => POLICIES.map((policy): Trial => ({ mode, fault, policy, scene }))),
    ),
  );
}

function faultsIn(scene: Scene): readonly Fault[] {
  if (scene === "failing") return FAULTS;
  return scene === "evicted" ? ["abort"] : ["hang"];
}

/** The id of a trial's route. */
export function routeOf({ mode, fault, policy, scene }: Trial): string {
  return `${fault}-${policy}-${mode}-${scene}`;
}
