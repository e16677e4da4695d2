import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

import { bareConfig } from "./bare-config.ts";
import { drain, guard } from "./runtime-process.ts";
import type { LocalRuntime, Plan } from "./start-local.ts";

/** Starts plain `workerd serve` with a generated configuration: Durable Objects alone, no simulated tiers. */
export async function startWorkerd(plan: Plan): Promise<Omit<LocalRuntime, "urls">> {
  const config = await writeConfig(plan);
  // A class without storage is experimental.
  const child = spawn(workerdBinary(), ["serve", "--experimental", "--control-fd=3", config], {
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  guard(child);
  const [, stdout, stderr, control] = child.stdio;
  if (stdout === null || stderr === null || !isReadable(control))
    throw new Error("workerd was started without its pipes");
  createInterface(stdout).on("line", (message) => plan.onLog({ level: "log", message }));
  createInterface(stderr).on("line", (message) => plan.onLog({ level: "error", message }));
  const exited = once(child, "exit");
  const failed = exited.then(([code, signal]) => {
    throw new Error(`workerd ended with ${String(code ?? signal)} before it listened; its reason is above`);
  });
  await Promise.race([listening(control, plan.addresses.length), failed]);
  let stopping = false;
  return {
    pid: () => child.pid ?? 0,
    ended: exited.then(([code, signal]) => {
      if (stopping) return new Promise<never>(() => {});
      return `workerd ended with ${String(code ?? signal)}`;
    }),
    stop: async () => {
      stopping = true;
      await drain(child);
    },
  };
}

/** Where the objects of both profiles lie under the state directory: Miniflare's own name for it. */
const OBJECTS = "do";

/** Leaves the configuration where its user can read it, and only its user: it holds the secrets. */
async function writeConfig(plan: Plan): Promise<string> {
  const directory = join(plan.stateDirectory, "bare");
  const objects = join(plan.stateDirectory, OBJECTS);
  await rm(directory, { recursive: true, force: true });
  await mkdir(objects, { recursive: true });
  const { config, files } = bareConfig(plan, objects);
  for (const [name, contents] of [...Object.entries(files), ["config.capnp", config] as const]) {
    const path = join(directory, name);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeFile(path, contents, { mode: 0o600 });
  }
  return join(directory, "config.capnp");
}

/** The package's main module exports the path of the binary for this platform; it comes without types. */
function workerdBinary(): string {
  const { default: path }: { default: string } = createRequire(import.meta.url)("workerd");
  return path;
}

/** Resolves once workerd has said on its control pipe that `count` sockets listen; never when it ends before. */
function listening(control: Readable, count: number): Promise<void> {
  let left = count;
  return new Promise((resolve) => {
    createInterface(control).on("line", (line) => {
      const message: { event?: string } = JSON.parse(line);
      if (message.event === "listen" && --left === 0) resolve();
    });
  });
}

function isReadable(stream: ChildProcess["stdio"][number]): stream is Readable {
  return stream !== null && stream !== undefined && "read" in stream;
}
