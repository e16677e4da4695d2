import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run, waitUntilGone } from "./process.ts";

/** What `startGateway` needs to know; only `config` is required. */
export interface GatewayOptions {
  /** The configuration document, as a user would write it in the file. */
  readonly config: unknown;
  /** Isolates over the same objects, each with its own URL; default 1. */
  readonly isolates?: number;
  /** The state directory, for tests that restart; default a fresh one, removed at the end. */
  readonly state?: string;
  /** The first isolate's port, the others follow; default free ports. Give it (from an earlier `url`) to restart in place. */
  readonly port?: number;
  /** Another Worker entry file to bundle instead of worker/index.ts: the same Worker with a fault injected. */
  readonly entry?: string;
  /** Plain `workerd serve` with Durable Objects alone. */
  readonly bare?: boolean;
  /** Added to the environment of the start script. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A gateway that runs as users run it: the start script and workerd as processes of their own. */
export interface Gateway {
  /** Origin of the first isolate, without a trailing slash. */
  readonly url: string;
  readonly urls: readonly string[];
  readonly adminToken: string;
  readonly workerdPid: number;
  /** The JSON lines that the gateway has printed so far, oldest first. */
  logs(): readonly Record<string, unknown>[];
  /** Those of its JSON lines that are warnings or errors. */
  warnings(): readonly Record<string, unknown>[];
  /** Lines that are not the gateway's own, such as what the runtime says of an error that nobody has caught. */
  complaints(): readonly string[];
  /** SIGTERM, as an operator would; resolves to the exit code once start script and workerd are gone. */
  stop(): Promise<number>;
  /** SIGKILL to the runtime and the start script at once, as a power cut would; the state directory stays. */
  kill(): Promise<void>;
}

/** Starts the gateway on loopback and resolves when every isolate answers; rejects with its output when it cannot start. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const scratch = mkdtempSync(join(tmpdir(), "sluice-test-"));
  const configFile = join(scratch, "sluice.json");
  writeFileSync(configFile, JSON.stringify(options.config));
  const started = run(process.execPath, startArguments(options, configFile, options.state ?? join(scratch, "state")), {
    env: { ...options.env, ...(options.entry === undefined ? {} : { SLUICE_ENTRY: options.entry }) },
  });
  const clean = () => rmSync(scratch, { recursive: true, force: true });
  await started.waitForOutput(READY).catch((error: unknown) => {
    clean();
    throw error;
  });
  const ready = readyLine(started.stdout());
  return {
    url: ready.urls[0] ?? "",
    urls: ready.urls,
    adminToken: ready.adminToken,
    workerdPid: ready.workerdPid,
    logs: () => jsonLines(started.stdout()),
    warnings: () => jsonLines(started.stderr()),
    complaints: () => `${started.stdout()}\n${started.stderr()}`.split("\n").filter((line) => !/^(?:\{|$)/.test(line)),
    stop: async () => {
      started.signal("SIGTERM");
      const code = await started.exited;
      await waitUntilGone(ready.workerdPid);
      clean();
      if (typeof code !== "number") throw new Error(`the start script ended by ${code}, wanted an exit code`);
      return code;
    },
    kill: async () => {
      // Workerd first would be restarted by its parent; both signals are sent before either can react.
      started.signal("SIGKILL");
      process.kill(ready.workerdPid, "SIGKILL");
      await started.exited;
      await waitUntilGone(ready.workerdPid);
      clean();
    },
  };
}

/** How the line that `--json` prints once every isolate answers begins. */
const READY = '{"sluice":"ready"';

interface ReadyLine {
  readonly urls: readonly string[];
  readonly adminToken: string;
  readonly workerdPid: number;
}

function startArguments(options: GatewayOptions, configFile: string, state: string): readonly string[] {
  return [
    "scripts/start.ts",
    "--json",
    `--config=${configFile}`,
    `--port=${options.port ?? 0}`,
    `--isolates=${options.isolates ?? 1}`,
    `--state=${state}`,
    ...(options.bare === true ? ["--bare"] : []),
  ];
}

function readyLine(output: string): ReadyLine {
  const line = output.split("\n").find((text) => text.startsWith(READY));
  if (line === undefined) throw new Error(`no ready line in:\n${output}`);
  const ready: ReadyLine = JSON.parse(line);
  return ready;
}

function jsonLines(output: string): Record<string, unknown>[] {
  return output
    .split("\n")
    .slice(0, -1)
    .filter((line) => line.startsWith("{") && !line.startsWith(READY))
    .map((line): Record<string, unknown> => JSON.parse(line));
}
