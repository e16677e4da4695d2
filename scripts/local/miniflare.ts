import { AsyncLocalStorage } from "node:async_hooks";
import type { ChildProcess } from "node:child_process";
import { subscribe } from "node:diagnostics_channel";
import { basename } from "node:path";
import type { Readable } from "node:stream";

import {
  kUnsafeEphemeralUniqueKey,
  Log,
  LogLevel,
  Miniflare,
  type MiniflareOptions,
  type UnsafeUniqueKey,
} from "miniflare";

import { storageKey, type ObjectBinding } from "./manifest.ts";
import { type Rewiring, rewire, unwire } from "./outbound.ts";
import { drain, guard } from "./runtime-process.ts";
import type { LocalRuntime, Plan } from "./start-local.ts";

/** Tiers that Miniflare simulates; the Worker takes each as optional. The binding's name is also the resource's. */
const TIERS = {
  PROXY_CONFIG: { type: "kv", id: "PROXY_CONFIG" },
  PROXY_CACHE: { type: "kv", id: "PROXY_CACHE" },
  CACHE_BUCKET: { type: "r2", name: "cache-bucket" },
  RESULTS: { type: "r2", name: "results" },
  JOBS_DB: { type: "d1", id: "JOBS_DB" },
  JOBS_QUEUE: { type: "queue", name: "jobs" },
  JOBS_DLQ: { type: "queue", name: "jobs-dlq" },
} as const;

/** Starts one Miniflare with an isolate for each address, all over the objects of the first. */
export async function startMiniflare(plan: Plan): Promise<Omit<LocalRuntime, "urls">> {
  const names = plan.addresses.map((_, index) => `gateway-${index}`);
  const rewiring: Rewiring = {
    addresses: new Map(names.map((name, index) => [name, plan.addresses[index] ?? ""])),
    allowedNetworks: plan.allowedNetworks,
    rewired: new Set(),
  };
  rewire(plan.stateDirectory, rewiring);
  const runtime = new RuntimeWatch();
  const miniflare = runtime.watch(() => withoutSignalHandlers(() => new Miniflare(miniflareOptions(plan, names))));
  const dispose = async () => {
    unwire(plan.stateDirectory);
    await miniflare.dispose();
  };
  try {
    await miniflare.ready;
    assertRewired(rewiring, names);
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    pid: () => runtime.pid(),
    // Miniflare restarts a runtime that dies.
    ended: new Promise(() => {}),
    stop: () => runtime.stop(dispose),
  };
}

function miniflareOptions(plan: Plan, names: readonly string[]): MiniflareOptions {
  const [owner = ""] = names;
  const variables = Object.entries(plan.variables).map(([name, value]) => [name, { type: "text" as const, value }]);
  const objects = plan.manifest.objects.map(({ binding, className }) => [
    binding,
    { type: "durable-object" as const, worker: owner, exportName: className },
  ]);
  const env = { ...Object.fromEntries(variables), ...Object.fromEntries(objects), ...TIERS };
  const exports = Object.fromEntries(plan.manifest.objects.map((object) => [object.className, exportOf(object)]));
  return {
    resourcePersistencePath: plan.stateDirectory,
    // Nothing is fetched from the network and no other instance is looked for: a start works offline and alone.
    cf: false,
    enableDevRegistry: false,
    logRequests: false,
    log: new StderrLog(LogLevel.WARN),
    handleStructuredLogs: plan.onLog,
    workers: names.map((name) => ({
      config: {
        name,
        compatibilityDate: plan.manifest.compatibilityDate,
        compatibilityFlags: [...plan.manifest.compatibilityFlags],
        manifest: { mainModule: "index.mjs", modules: { "index.mjs": { type: "esm", contents: plan.code } } },
        env,
        ...(name === owner ? { exports } : {}),
      },
    })),
  };
}

interface ObjectExport {
  readonly type: "durable-object";
  readonly storage: "sqlite";
  readonly unsafeUniqueKey: UnsafeUniqueKey;
}

function exportOf({ className, isEphemeral }: ObjectBinding): ObjectExport {
  const unsafeUniqueKey = isEphemeral ? kUnsafeEphemeralUniqueKey : storageKey(className);
  return { type: "durable-object", storage: "sqlite", unsafeUniqueKey };
}

function assertRewired(rewiring: Rewiring, names: readonly string[]): void {
  if (rewiring.rewired.size === names.length) return;
  throw new Error(
    `Miniflare's configuration was rewired for ${rewiring.rewired.size} of ${names.length} Workers, wanted all: this version of ` +
      "Miniflare builds it differently, so install the one that package-lock.json pins or adapt scripts/local/outbound.ts",
  );
}

/** Miniflare's own SIGTERM and SIGINT handlers end this process at once, without letting requests in flight finish. */
function withoutSignalHandlers<T>(make: () => T): T {
  const signals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;
  const before = new Map(signals.map((signal) => [signal, process.listeners(signal)]));
  const made = make();
  for (const [signal, kept] of before) {
    for (const listener of process.listeners(signal)) if (!kept.includes(listener)) process.off(signal, listener);
  }
  return made;
}

/** stdout belongs to the Worker's log lines. */
class StderrLog extends Log {
  protected override log(message: string): void {
    process.stderr.write(`${message}\n`);
  }
}

const watching = new AsyncLocalStorage<RuntimeWatch>();
subscribe("child_process", (message) => {
  const watch = watching.getStore();
  if (watch !== undefined && isMessage(message)) message.process.once("spawn", () => watch.adopt(message.process));
});

function isMessage(message: unknown): message is { readonly process: ChildProcess } {
  return typeof message === "object" && message !== null && "process" in message;
}

/** Knows the workerd process that a Miniflare instance runs at present; Miniflare itself keeps it private. */
class RuntimeWatch {
  #workerd: ChildProcess | undefined;

  /** Calls `make`; every workerd that what it makes starts, now or later, is adopted. */
  watch<T>(make: () => T): T {
    return watching.run(this, make);
  }

  adopt(child: ChildProcess): void {
    if (!basename(child.spawnfile).startsWith("workerd")) return;
    this.#workerd = child;
    guard(child);
  }

  pid(): number {
    const pid = this.#workerd?.pid;
    if (pid === undefined) throw new Error("Miniflare is ready but no workerd process was seen to start");
    return pid;
  }

  /** Drains workerd, then disposes of Miniflare. Disposal begins within the exit event: a moment later, it would have restarted it. */
  async stop(dispose: () => Promise<void>): Promise<void> {
    const workerd = this.#workerd;
    if (workerd === undefined) return dispose();
    for (const pipe of [workerd.stdout, workerd.stderr]) if (pipe !== null) readToEnd(pipe);
    let disposed: Promise<void> | undefined;
    workerd.once("exit", () => (disposed = dispose()));
    await drain(workerd);
    await (disposed ?? dispose());
  }
}

/** Disposing cuts workerd's output off, and with it the log lines of the requests that were in flight: not before its end. */
function readToEnd(pipe: Readable): void {
  const destroy = pipe.destroy.bind(pipe);
  pipe.destroy = () => pipe;
  pipe.once("end", () => destroy());
}
