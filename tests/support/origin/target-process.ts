import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { claimPorts } from "../../../scripts/local/ports.ts";
import type { Manner, MannerOrder } from "./manner.ts";

/** One request as a target received it. */
export interface Received {
  /** In ms since 1970. */
  readonly at: number;
  /** Which connection carried it; unique over restarts. */
  readonly connection: string;
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  /** Its `X-Client`; empty: none. */
  readonly client: string;
}

/**
 * A target that is a process of its own, which can be killed and started again in place, and which treats requests as it
 * is told. It notes every request, and what was noted survives it.
 */
export class TargetProcess {
  readonly port: number;
  readonly #directory: string;
  readonly #notes: string;
  #child: ChildProcess | undefined;
  #told: Promise<unknown> = Promise.resolve();

  private constructor(port: number) {
    this.port = port;
    this.#directory = mkdtempSync(join(tmpdir(), "sluice-target-"));
    this.#notes = join(this.#directory, "received");
    writeFileSync(this.#notes, "");
  }

  /** Starts one on a free loopback port; it answers 200 with two bytes, and with its port as `X-Served-By`. */
  static async start(): Promise<TargetProcess> {
    // Not a port for outgoing connections, one of which could have taken it before a killed target comes back.
    const [port = 0] = await claimPorts("127.0.0.1", 0, 1);
    const target = new TargetProcess(port);
    await target.restart();
    return target;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Every request since the start whose path begins so, oldest first, those before a kill included. */
  received(prefix = ""): readonly Received[] {
    const lines = readFileSync(this.#notes, "utf8").split("\n").slice(0, -1);
    return lines.map(receivedIn).filter(({ path }) => path.startsWith(prefix));
  }

  /** Treats requests whose path begins so in another manner from now on, those that are held included. */
  async behave(manner: Manner, prefix = ""): Promise<void> {
    const child = this.#child;
    if (child === undefined) throw new Error("this target is not running");
    const order: MannerOrder = { prefix, manner };
    // One at a time: an answer doesn't say to which order.
    this.#told = this.#told.then(async () => {
      const done = once(child, "message");
      child.send(order);
      await done;
    });
    await this.#told;
  }

  /** SIGKILL: connections break, new ones are refused. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }

  /** Starts it again after a kill, on the same port. It knows no manner but this one, from its first request on. */
  async restart(manner: Manner = { kind: "answer", status: 200 }): Promise<void> {
    const main = new URL("target-main.ts", import.meta.url);
    const child = fork(main, [String(this.port), this.#notes, JSON.stringify(manner)]);
    const failed = once(child, "exit").then(([code]) => {
      throw new Error(`the target ended with ${String(code)} before it listened`);
    });
    await Promise.race([once(child, "message"), failed]);
    this.#child = child;
  }

  /** Ends it, and forgets what it received. */
  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

function receivedIn(line: string): Received {
  const [at = "", connection = "", method = "", path = "", client = ""] = line.split("\t");
  return { at: Number(at), connection, method, path, client };
}
