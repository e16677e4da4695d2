import { bundleWorker, workerEntry } from "./bundle.ts";
import { logWriter, type LogLine } from "./log-writer.ts";
import { readManifest } from "./manifest.ts";
import { startMiniflare } from "./miniflare.ts";
import { claimPorts } from "./ports.ts";
import { startWorkerd } from "./workerd.ts";

/** What the local runtime runs; only `stateDirectory` is required. */
export interface LocalOptions {
  /** Where storage lives; must exist and be used by one runtime at a time (see state.ts). */
  readonly stateDirectory: string;
  /** The Worker's entry file; default worker/index.ts. */
  readonly entry?: string;
  /** Isolates of the Worker over the same objects, each with a port of its own; default 1. */
  readonly isolates?: number;
  /** The address to listen on; default 127.0.0.1. */
  readonly host?: string;
  /** The first isolate's port, the others follow; default 0: free ports. */
  readonly port?: number;
  /** Text bindings, on top of those in wrangler.jsonc. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Whether the Worker may connect to private and loopback addresses, whatever a name resolves to; default false. */
  readonly privateNetwork?: boolean;
  /** Plain `workerd serve` with Durable Objects alone, instead of Miniflare with every tier; default false. */
  readonly bare?: boolean;
  /** Receives each line that the Worker logs; default: log to stdout, warnings and errors to stderr. */
  readonly onLog?: (line: LogLine) => void;
}

/** A running gateway. */
export interface LocalRuntime {
  /** Origin of each isolate, without a trailing slash. */
  readonly urls: readonly string[];
  /** The runtime's process; another one after the runtime crashed and was restarted. */
  pid(): number;
  /** Resolves with the reason when the runtime is gone for good without `stop`. */
  readonly ended: Promise<string>;
  /** Lets requests in flight finish for at most a second, then ends the runtime. */
  stop(): Promise<void>;
}

/** What a profile needs to start: the options with every default filled in. */
export interface Plan {
  readonly code: string;
  readonly manifest: Awaited<ReturnType<typeof readManifest>>;
  readonly variables: Readonly<Record<string, string>>;
  /** `host:port` of each isolate. */
  readonly addresses: readonly string[];
  readonly stateDirectory: string;
  /** Address classes that the Worker's fetch may reach, as workerd names them. */
  readonly allowedNetworks: readonly string[];
  readonly onLog: (line: LogLine) => void;
}

/** Starts the Worker on workerd; resolves once every isolate listens. Throws StartError when the user can cure the cause. */
export async function startLocal(options: LocalOptions): Promise<LocalRuntime> {
  const host = options.host ?? "127.0.0.1";
  const urlHost = host.includes(":") ? `[${host}]` : host;
  const ports = await claimPorts(host, options.port ?? 0, options.isolates ?? 1);
  const { code } = bundleWorker(options.entry ?? workerEntry);
  const manifest = await readManifest();
  const plan: Plan = {
    code,
    manifest,
    variables: { ...manifest.variables, ...options.variables },
    addresses: ports.map((port) => `${urlHost}:${port}`),
    stateDirectory: options.stateDirectory,
    allowedNetworks: options.privateNetwork === true ? ["public", "private"] : ["public"],
    onLog: options.onLog ?? logWriter(),
  };
  const profile = options.bare === true ? await startWorkerd(plan) : await startMiniflare(plan);
  return { urls: ports.map((port) => `http://${reachable(urlHost)}:${port}`), ...profile };
}

/** A wildcard address is for listening; what a client connects to is loopback. */
function reachable(urlHost: string): string {
  if (urlHost === "0.0.0.0") return "127.0.0.1";
  return urlHost === "[::]" ? "[::1]" : urlHost;
}
