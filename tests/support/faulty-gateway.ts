import { fileURLToPath } from "node:url";
import { Lane } from "./fleet/lane.ts";
import { type Gateway, startGateway } from "./gateway.ts";

/** Some requests at a time: one after the other, the deadlines would take minutes. Divides what is asked for evenly. */
export const LANES = 6;

/** What became of some requests. */
export interface Outcomes {
  /** How many ended with each status. */
  readonly statuses: Readonly<Record<number, number>>;
  /** How long each answer took, in ms. */
  readonly times: readonly number[];
}

/** The same with what the log says. */
export interface LoggedOutcomes extends Outcomes {
  /** Of those that passed, how many no owner of a limit had decided about. */
  readonly degraded: number;
}

/** A gateway whose owners fail when they are armed; see faulty-entry.ts for how a route or a target says by what. */
export class FaultyGateway {
  readonly gateway: Gateway;
  #logged = 0;

  private constructor(gateway: Gateway) {
    this.gateway = gateway;
  }

  /** Starts it with owners that work. */
  static async start(config: unknown, isolates: number): Promise<FaultyGateway> {
    const entry = fileURLToPath(new URL("faulty-entry.ts", import.meta.url));
    const faulty = new FaultyGateway(await startGateway({ isolates, entry, config }));
    await faulty.arm(false);
    return faulty;
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

  /** Sends so many requests to a route, whose prefix is its id, from each lane as many, and from the lanes to all isolates in turn. */
  async send(route: string, requests: number, path = "/a"): Promise<Outcomes> {
    const { urls } = this.gateway;
    const statuses: Record<number, number> = {};
    const times: number[] = [];
    const lane = async (place: number): Promise<void> => {
      const connection = new Lane(urls[place % urls.length] ?? "");
      for (let sent = place; sent < requests; sent += LANES) {
        const began = performance.now();
        const status = await connection.ask(`GET /${route}${path} HTTP/1.1\r\nHost: gateway.test\r\n\r\n`);
        times.push(performance.now() - began);
        statuses[status] = (statuses[status] ?? 0) + 1;
      }
      connection.close();
    };
    await Promise.all(Array.from({ length: LANES }, (_, place) => lane(place)));
    return { statuses, times };
  }

  /** Does as `send`, and waits for the log. One at a time. */
  async ask(route: string, requests: number): Promise<LoggedOutcomes> {
    const outcomes = await this.send(route, requests);
    const lines = await this.#logsOf(route, requests);
    const degraded = lines.filter((line) => line["status"] === 200 && line["degraded"] !== undefined).length;
    return { ...outcomes, degraded };
  }

  async stop(): Promise<void> {
    await this.gateway.stop();
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

/** All of them as one. */
export function together(all: readonly Outcomes[]): Outcomes {
  const statuses: Record<number, number> = {};
  for (const outcomes of all) {
    for (const [status, many] of Object.entries(outcomes.statuses)) {
      statuses[Number(status)] = (statuses[Number(status)] ?? 0) + many;
    }
  }
  return { statuses, times: all.flatMap(({ times }) => times) };
}

/** The time that 99 of 100 answers did not exceed, in ms. */
export function p99Of({ times }: Outcomes): number {
  return times.toSorted((a, b) => a - b)[Math.ceil(times.length * 0.99) - 1] ?? Number.POSITIVE_INFINITY;
}
