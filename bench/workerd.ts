import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";

import { bareConfig } from "../scripts/local/bare-config.ts";
import { type ObjectBinding, readManifest } from "../scripts/local/manifest.ts";
import { guard } from "../scripts/local/runtime-process.ts";
import type { Running } from "./rounds.ts";

/** A Worker as the bench runs it. */
export interface WorkerOptions {
  /** The Worker's module, already bundled. */
  readonly code: string;
  /** Text bindings. */
  readonly variables: Readonly<Record<string, string>>;
  /** Its Durable Objects, with SQLite storage on disk. */
  readonly objects: readonly ObjectBinding[];
  /** A Worker's module that is the other side of its Cache API. Default: nothing is kept. */
  readonly cache?: string;
}

/**
 * Starts one Worker under plain `workerd serve`, on a free port of the loopback address, with the configuration that
 * `npm start -- --bare` writes: the product's compatibility date and flags for every Worker of the bench. stdout, where
 * log lines go, is /dev/null for all of them.
 */
export async function startWorkerd({ code, variables, objects, cache }: WorkerOptions): Promise<Running> {
  const directory = await mkdtemp(join(tmpdir(), "sluice-bench-"));
  const storage = join(directory, "storage");
  await mkdir(storage);
  const { config, files } = bareConfig(
    {
      code,
      manifest: { ...(await readManifest()), objects },
      variables,
      addresses: ["127.0.0.1:0"],
      stateDirectory: directory,
      allowedNetworks: ["private"],
      onLog: () => {},
    },
    storage,
  );
  const all = { ...files, "config.capnp": config, ...(cache === undefined ? {} : { "no-cache.mjs": cache }) };
  for (const [name, contents] of Object.entries(all)) {
    await mkdir(dirname(join(directory, name)), { recursive: true });
    await writeFile(join(directory, name), contents);
  }
  const child = spawn(workerdBinary(), ["serve", "--control-fd=3", join(directory, "config.capnp")], {
    stdio: ["ignore", "ignore", "inherit", "pipe"],
  });
  guard(child);
  const exited = once(child, "exit");
  const control = child.stdio[3];
  if (!control || !("read" in control) || child.pid === undefined) throw new Error("workerd did not start");
  const failed = exited.then(([status]) => {
    throw new Error(`workerd ended with ${String(status)} before it listened; its reason is above`);
  });
  const [line]: string[] = await Promise.race([once(createInterface(control), "line"), failed]);
  const { port }: { port: number } = JSON.parse(line ?? "");
  return {
    port,
    pids: [child.pid],
    async stop() {
      child.kill("SIGKILL");
      await exited;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** The package's main module exports the path of the binary for this platform; it comes without types. */
function workerdBinary(): string {
  const { default: path }: { default: string } = createRequire(import.meta.url)("workerd");
  return path;
}
