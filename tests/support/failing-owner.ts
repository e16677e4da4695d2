import { fileURLToPath } from "node:url";
import { type Gateway, startGateway } from "./gateway.ts";
import { Lane } from "./fleet/lane.ts";

/** Ways of an owner to fail that tests/support/faulty-entry.ts knows: a route whose id begins with one meets it. */
export const FAULTS = ["hang", "stuck", "throw", "late", "busy", "abort"] as const;
export type Fault = (typeof FAULTS)[number];
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
/** Some requests at a time: one after the other, the deadlines would take minutes. Divides what is asked for evenly. */
export const LANES = 6;

/** What is to be tried. */
export interface Trial {
  readonly mode: Mode;
  readonly fault: Fault;
  readonly policy: Policy;
  readonly scene: Scene;
}

/** What became of some requests under one trial. */
export interface Outcomes {
  /** How many ended with each status. */
  readonly statuses: Readonly<Record<number, number>>;
  /** Of those that passed, how many no owner had decided about, as the log has it. */
  readonly degraded: number;
  /** How long each answer took, in ms. */
  readonly times: readonly number[];
}

/** A gateway with a route for each trial, whose owners fail when they are armed. */
export class FailingOwners {
  readonly gateway: Gateway;
  #logged = 0;

  private constructor(gateway: Gateway) {
    this.gateway = gateway;
  }

  /** Starts it with owners that work. */
  static async start(target: string, isolates: number): Promise<FailingOwners> {
    const routes = trials().map((trial) => ({
      id: routeOf(trial),
      prefix: `/${routeOf(trial)}`,
      target,
      // An owner of its own for each route, so that no fault reaches another row.
      rateLimit: { ...LIMIT, by: "route", clients: "own", mode: trial.mode, onError: trial.policy },
    }));
    const entry = fileURLToPath(new URL("faulty-entry.ts", import.meta.url));
    const owners = new FailingOwners(
      await startGateway({ isolates, entry, config: { allowPrivateTargets: true, routes } }),
    );
    await owners.arm(false);
    return owners;
  }

  /** Lets owners fail, or not. */
  async arm(isArmed: boolean): Promise<void> {
    await (await fetch(this.gateway.url, { headers: { "x-test-arm": isArmed ? "yes" : "no" } })).text();
  }

  /** Kills the runtime, and waits until it has been started again. */
  async killRuntime(): Promise<void> {
    process.kill(this.gateway.workerdPid, "SIGKILL");
    const lane = new Lane(this.gateway.url);
    // Another process starts it, which gives no event to await.
    for (const end = performance.now() + 10_000; performance.now() < end;) {
      if ((await lane.ask("GET /healthz HTTP/1.1\r\nHost: gateway.test\r\n\r\n")) === 200) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    lane.close();
    await this.arm(false);
  }

  /** Sends so many requests to a trial's route, from each lane as many, and from the lanes to all isolates in turn. */
  async ask(trial: Trial, requests: number): Promise<Outcomes> {
    const { urls } = this.gateway;
    const route = routeOf(trial);
    const statuses: Record<number, number> = {};
    const times: number[] = [];
    const lane = async (place: number): Promise<void> => {
      const connection = new Lane(urls[place % urls.length] ?? "");
      for (let sent = place; sent < requests; sent += LANES) {
        const began = performance.now();
        const status = await connection.ask(`GET /${route}/a HTTP/1.1\r\nHost: gateway.test\r\n\r\n`);
        times.push(performance.now() - began);
        statuses[status] = (statuses[status] ?? 0) + 1;
      }
      connection.close();
    };
    await Promise.all(Array.from({ length: LANES }, (_, place) => lane(place)));
    const lines = await this.#logsOf(route, requests);
    const degraded = lines.filter((line) => line["status"] === 200 && line["degraded"] !== undefined).length;
    return { statuses, degraded, times };
  }

  /** The log lines of the requests just made, which come through a pipe a little later. */
  async #logsOf(route: string, requests: number): Promise<readonly Record<string, unknown>[]> {
    const end = performance.now() + 10_000;
    for (;;) {
      const lines = this.gateway
        .logs()
        .slice(this.#logged)
        .filter((line) => line["route"] === route);
      if (lines.length >= requests) {
        this.#logged = this.gateway.logs().length;
        return lines;
      }
      if (performance.now() > end) throw new Error(`${lines.length} of ${requests} requests to ${route} were logged`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
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

function routeOf({ mode, fault, policy, scene }: Trial): string {
  return `${fault}-${policy}-${mode}-${scene}`;
}
