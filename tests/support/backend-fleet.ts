import { fileURLToPath } from "node:url";
import { type Gateway, startGateway } from "./gateway.ts";
import { SERVED_BY } from "./origin/manner.ts";
import { TargetProcess } from "./origin/target-process.ts";

const RELOADABLE = fileURLToPath(new URL("kv-config-entry.ts", import.meta.url));
/** No route has it, so a request for it reaches no target. */
const NOWHERE = "/nowhere";
const PATIENCE_MS = 30_000;

/** What to start. */
export interface BackendFleetOptions {
  readonly isolates: number;
  /** How many targets there are. */
  readonly targets: number;
  /** The document, but for `allowPrivateTargets`, which is set; no route may take "/nowhere". */
  readonly document: (targets: readonly string[]) => Readonly<Record<string, unknown>>;
  /** The state directory, for a gateway that starts again. */
  readonly state?: string;
  /** Reads its configuration from KV, so that `reload` can change it. */
  readonly isReloadable?: boolean;
}

/** An answer of the gateway. */
export interface FleetAnswer {
  readonly status: number;
  /** A problem's code, else the status: what tells answers apart. */
  readonly what: string;
  /** The port of the target that answered; undefined: none did. */
  readonly servedBy: number | undefined;
  readonly headers: Headers;
  /** The JSON that it holds; empty for anything else. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** A request; GET to each isolate in turn unless it says otherwise. */
export interface FleetRequest {
  readonly isolate?: number;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Isolates that share their objects, in front of targets that are processes and can be killed. */
export class BackendFleet {
  readonly targets: readonly TargetProcess[];
  readonly #options: BackendFleetOptions;
  #gateway: Gateway;
  #next = 0;
  #version = 0;

  private constructor(options: BackendFleetOptions, targets: readonly TargetProcess[], gateway: Gateway) {
    this.#options = options;
    this.targets = targets;
    this.#gateway = gateway;
  }

  static async start(options: BackendFleetOptions): Promise<BackendFleet> {
    const targets = await Promise.all(Array.from({ length: options.targets }, () => TargetProcess.start()));
    const gateway = await start(options, targets);
    const fleet = new BackendFleet(options, targets, gateway);
    if (options.isReloadable === true) await fleet.reload(options.document(urlsOf(targets)));
    return fleet;
  }

  get gateway(): Gateway {
    return this.#gateway;
  }

  get isolates(): number {
    return this.#options.isolates;
  }

  async ask(path: string, request: FleetRequest = {}): Promise<FleetAnswer> {
    const { isolate = this.#next++, ...init } = request;
    return answerOf(await fetch(`${this.#gateway.urls[isolate % this.isolates]}${path}`, init));
  }

  /** What each isolate answers to the same request. */
  async everywhere(path: string, request: FleetRequest = {}): Promise<readonly string[]> {
    const asked = Array.from({ length: this.isolates }, (_, isolate) => this.ask(path, { ...request, isolate }));
    return (await Promise.all(asked)).map(({ what }) => what);
  }

  /** A request of the admin API, below its prefix. */
  async admin(method: string, path: string, body?: unknown): Promise<FleetAnswer> {
    const init = body === undefined ? {} : { body: JSON.stringify(body) };
    const headers = { authorization: `Bearer ${this.#gateway.adminToken}` };
    return answerOf(await fetch(`${this.#gateway.url}/admin${path}`, { method, headers, ...init }));
  }

  /** What an operator is told of one target of a backend; throws when the gateway knows none such. */
  async detailsOf(backend: string, target: TargetProcess): Promise<Readonly<Record<string, unknown>>> {
    const { body } = await this.admin("GET", `/backends/${backend}`);
    const targets: readonly Readonly<Record<string, unknown>>[] = Array.isArray(body["targets"]) ? body["targets"] : [];
    const found = targets.find(({ url }) => url === target.url);
    if (found === undefined) throw new Error(`nothing is told of ${target.url}: ${JSON.stringify(body)}`);
    return found;
  }

  /** Puts another document into KV and resolves when every isolate works by it. */
  async reload(document: Readonly<Record<string, unknown>>): Promise<void> {
    this.#version += 1;
    const version = this.#version;
    const headers = { "x-test-config-version": String(version) };
    const body = JSON.stringify({ allowPrivateTargets: true, ...document });
    await (await fetch(this.#gateway.url, { method: "PUT", headers, body })).text();
    await eventually(`version ${version} to be active on every isolate`, async () => {
      await this.everywhere(NOWHERE);
      const lines = this.#gateway.logs().filter((line) => line["message"] === "configuration active");
      return lines.filter((line) => line["version"] === version).length === this.isolates;
    });
  }

  /** SIGKILL to the gateway, as a power cut would; targets stay. */
  async kill(): Promise<void> {
    await this.#gateway.kill();
  }

  /** SIGTERM to the gateway, as an operator would; targets stay. */
  async stopGateway(): Promise<void> {
    await this.#gateway.stop();
  }

  /** Starts the gateway again on its state. */
  async again(): Promise<void> {
    this.#gateway = await start(this.#options, this.targets);
  }

  async stop(): Promise<void> {
    await Promise.all(this.targets.map((target) => target.stop()));
    await this.#gateway.stop();
  }
}

/**
 * Polls, since what is waited for happens in another process; rejects after 30 s. Resolves to how long it took, in ms.
 *
 * @param everyMs the pause between two looks.
 */
export async function eventually(
  what: string,
  isTrue: () => boolean | Promise<boolean>,
  everyMs = 10,
): Promise<number> {
  const since = performance.now();
  while (performance.now() - since < PATIENCE_MS) {
    if (await isTrue()) return performance.now() - since;
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  throw new Error(`waited ${PATIENCE_MS} ms for ${what}`);
}

function urlsOf(targets: readonly TargetProcess[]): readonly string[] {
  return targets.map(({ url }) => url);
}

function start(options: BackendFleetOptions, targets: readonly TargetProcess[]): Promise<Gateway> {
  const { isolates, state, isReloadable, document } = options;
  return startGateway({
    isolates,
    config: { allowPrivateTargets: true, ...document(urlsOf(targets)) },
    ...(state === undefined ? {} : { state }),
    ...(isReloadable === true ? { entry: RELOADABLE } : {}),
  });
}

async function answerOf(response: Response): Promise<FleetAnswer> {
  const text = await response.text();
  const body: Readonly<Record<string, unknown>> = text.startsWith("{") ? JSON.parse(text) : {};
  const servedBy = response.headers.get(SERVED_BY);
  return {
    status: response.status,
    what: typeof body["code"] === "string" ? body["code"] : String(response.status),
    servedBy: servedBy === null ? undefined : Number(servedBy),
    headers: response.headers,
    body,
  };
}
