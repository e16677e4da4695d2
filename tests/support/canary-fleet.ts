import { compileRelease } from "../../worker/canary/choose-variant.ts";
import { BackendFleet, eventually } from "./backend-fleet.ts";
import { sendMany } from "./fleet/many.ts";
import type { TargetProcess } from "./origin/target-process.ts";
import { request } from "./raw-request.ts";

export const ISOLATES = 4;
/** The id of the route, and so the name of its release. */
export const ROUTE = "shop";
/** How paths begin, as targets see them, of what is sent in numbers. */
export const SENT = "/sent";
/** A tenth of it: a target may treat them in its own manner. */
export const SOME = `${SENT}/some`;

/** What is tried out. */
export interface CanaryTerms {
  readonly percent: number;
  /** As the configuration writes it. */
  readonly windowSeconds: number;
}

/** Isolates in front of a version and of another one that is tried out on a part of the clients, who say in `X-Client` who they are. */
export class CanaryFleet {
  readonly fleet: BackendFleet;
  readonly terms: CanaryTerms;
  #clients = 0;

  private constructor(fleet: BackendFleet, terms: CanaryTerms) {
    this.fleet = fleet;
    this.terms = terms;
  }

  static async start(terms: CanaryTerms, state?: string): Promise<CanaryFleet> {
    const fleet = await BackendFleet.start({
      isolates: ISOLATES,
      targets: 2,
      ...(state === undefined ? {} : { state }),
      document: ([control = "", next = ""]) => ({
        routes: [
          {
            id: ROUTE,
            prefix: "/shop",
            backend: "current",
            canary: {
              variants: [{ backend: "next", percent: terms.percent }],
              by: "header:x-client",
              header: "x-variant",
              cookie: "variant",
              abort: { window: `${terms.windowSeconds}s` },
            },
          },
          {
            id: "shared",
            prefix: "/shared",
            backend: "current",
            deduplication: true,
            canary: { variants: [{ backend: "next", percent: 100 }] },
          },
          { id: "plain", prefix: "/plain", backend: "current" },
        ],
        backends: { current: { targets: [{ url: control }] }, next: { targets: [{ url: next }] } },
      }),
    });
    return new CanaryFleet(fleet, terms);
  }

  get control(): TargetProcess {
    return this.#target(0);
  }

  get next(): TargetProcess {
    return this.#target(1);
  }

  /** Sends requests of as many new clients as fast as they are answered, to all isolates alike, and says who they were. */
  async send(requests: number, connections = 4 * ISOLATES): Promise<readonly string[]> {
    const first = this.#clients;
    this.#clients += requests;
    const names = Array.from({ length: requests }, (_, index) => `client ${first + index}`);
    await this.resend(names, 0, connections);
    return names;
  }

  /** Requests of clients by name, each to another isolate than with another shift. */
  async resend(names: readonly string[], shift: number, connections = 4 * ISOLATES): Promise<void> {
    const { urls } = this.fleet.gateway;
    const shifted = urls.map((_, index) => urls[(index + shift) % urls.length] ?? "");
    const bytes = (number: number) =>
      request({
        target: `/shop${number % 10 === 3 ? SOME : SENT}`,
        headers: [`X-Client: ${names[number] ?? ""}`],
      });
    await sendMany({ urls: shifted, requests: names.length, connections, request: bytes });
  }

  /** Sends requests of new clients, some at a time, until something holds; how long that took, in ms. */
  async sendUntil(what: string, isTrue: () => boolean, some = 10 * ISOLATES): Promise<number> {
    return eventually(what, async () => {
      await this.send(some);
      return isTrue();
    });
  }

  /** Lines of the log about the release, oldest first. */
  events(): readonly Readonly<Record<string, unknown>>[] {
    return this.fleet.gateway.logs().filter(({ event }) => String(event).startsWith("canary-"));
  }

  /** Who each client met, by the notes of the targets: one or both. */
  met(): ReadonlyMap<string, ReadonlySet<string>> {
    const met = new Map<string, Set<string>>();
    for (const [name, target] of [
      ["control", this.control],
      ["next", this.next],
    ] as const) {
      for (const { client } of target.received(SENT)) met.set(client, (met.get(client) ?? new Set()).add(name));
    }
    return met;
  }

  /** Who each client is to meet: what the configuration says, worked out by itself. */
  drawn(clients: readonly string[]): ReadonlyMap<string, ReadonlySet<string>> {
    const release = compileRelease({ name: ROUTE, variants: [{ name: "next", percent: this.terms.percent }] });
    const running = { promoted: null, aborted: [] };
    return new Map(
      clients.map((client) => [client, new Set([release.choose(`header:x-client\n${client}`, null, running).name])]),
    );
  }

  async stop(): Promise<void> {
    await this.fleet.stop();
  }

  #target(index: number): TargetProcess {
    const target = this.fleet.targets[index];
    if (target === undefined) throw new Error(`there is no target ${index}`);
    return target;
  }
}
