import { defaultDocument } from "../../schemas/default-config.ts";
import { parseConfig, parseConfigText, type ConfigResult } from "../../schemas/index.ts";
import { createDependency } from "../dependencies/dependency.ts";
import { retainTargets } from "../backends/target.ts";
import { retainGates } from "../backends/backend-gate.ts";
import { retainMirrors } from "../upstream/mirrored.ts";
import { GatewayError } from "../errors.ts";
import { compileConfig, type ActiveConfig, type ConfigSource } from "./compile.ts";

/** How long an isolate serves from its copy before it looks at KV again, off the request's path. */
const REFRESH_MS = 5_000;
/** KV has no deadline of its own. */
const KV_MS = 200;
/** A cold start waits for KV with every request. While it is dead, they are refused at once. */
const namespaces = createDependency({ kind: "KV", remembers: 1 });

/** Problems in one log line; a document of garbage has one at every token. */
const MAX_TOLD = 20;

interface Loaded {
  readonly text: string | undefined;
  readonly source: ConfigSource;
  readonly version: number;
}

let active: ActiveConfig | undefined;
/** The text behind `active`, to see whether KV has anything new. */
let activeText: string | undefined;
let checkedAt = 0;

/**
 * The configuration this isolate serves by. A file given at start wins over KV, KV over the bundled default. A bad or
 * unreachable document never replaces a good one: it is logged and the last good one serves on.
 *
 * @returns at once when there is one, which is always but at an isolate's first requests.
 * @throws GatewayError `dependency-unavailable` when there is no good one yet.
 */
export function activeConfig(
  env: Env,
  ctx: { waitUntil(work: Promise<unknown>): void },
): ActiveConfig | Promise<ActiveConfig> {
  if (active === undefined) return firstConfig(env);
  // A file or the bundled default cannot change under a running isolate.
  if (env.PROXY_CONFIG === undefined || active.source === "file") return active;
  const now = Date.now();
  // A clock that was set back would be waited for.
  if (Math.abs(now - checkedAt) > REFRESH_MS) {
    checkedAt = now;
    ctx.waitUntil(refresh(env));
  }
  return active;
}

async function firstConfig(env: Env): Promise<ActiveConfig> {
  checkedAt = Date.now();
  try {
    return adopt(await load(env), env);
  } catch (error) {
    logRejected(error);
    throw new GatewayError("dependency-unavailable", {
      detail: "The gateway has no valid configuration yet.",
      headers: { "retry-after": "5" },
      cause: error,
    });
  }
}

async function refresh(env: Env): Promise<void> {
  try {
    const loaded = await load(env);
    // An empty namespace says less than the document it held: the bundled default has no routes.
    if (loaded.text === undefined && activeText !== undefined) throw new Error("KV holds no configuration any more");
    if (loaded.text !== activeText && !isStale(loaded)) adopt(loaded, env);
  } catch (error) {
    logRejected(error);
  }
}

/** KV may show an old value after a new one. A document written by hand has no version, and is meant. */
function isStale({ version }: Loaded): boolean {
  return version > 0 && active !== undefined && version < active.version;
}

async function load(env: Env): Promise<Loaded> {
  if (env.SLUICE_CONFIG !== undefined) {
    return { text: env.SLUICE_CONFIG, source: "file", version: versionOf(Number(env.SLUICE_CONFIG_VERSION ?? 0)) };
  }
  const kv = env.PROXY_CONFIG;
  if (kv !== undefined) {
    const read = () => kv.getWithMetadata<{ version?: unknown }>("config");
    const { value, metadata } = await namespaces.call("config", read, { deadlineMs: KV_MS });
    if (value !== null) return { text: value, source: "kv", version: versionOf(metadata?.version) };
  }
  return { text: undefined, source: "default", version: 0 };
}

/** Limits are counted under the version, and their owners refuse anything but an integer. */
function versionOf(told: unknown): number {
  if (told === undefined) return 0;
  if (typeof told === "number" && Number.isSafeInteger(told) && told >= 0) return told;
  throw new Error(`the configuration's version is ${JSON.stringify(told)}, wanted an integer >= 0`);
}

function adopt(loaded: Loaded, env: Env): ActiveConfig {
  const { text, source, version } = loaded;
  const result = text === undefined ? parseConfig(defaultDocument) : parseConfigText(text);
  if (!result.ok) throw new Error(`configuration from ${source} refused: ${describe(result)}`);
  const platform = env.CLIENT_IP_SOURCE === "socket" ? "socket" : "cloudflare";
  active = compileConfig(result.config, {
    version,
    source,
    text: text ?? JSON.stringify(defaultDocument),
    warnings: result.warnings,
    platform,
  });
  retainTargets(active.config.backends.values());
  retainGates(active.config.backends);
  retainMirrors(active.config.routes);
  activeText = text;
  if (source === "kv") logActivated(active);
  return active;
}

function describe(result: ConfigResult & { ok: false }): string {
  const { problems } = result;
  const told = problems.slice(0, MAX_TOLD).map(({ path, got, wanted }) => `${path}: got ${got}, wanted ${wanted}`);
  if (problems.length > MAX_TOLD) told.push(`and ${problems.length - MAX_TOLD} more`);
  return told.join("; ");
}

/** A file's warnings were printed when it was started with; a document in KV has only the log to speak through. */
function logActivated({ version, warnings }: ActiveConfig): void {
  const level = warnings.length > 0 ? "warn" : "info";
  console.log(JSON.stringify({ level, message: "configuration active", source: "kv", version, warnings }));
}

function logRejected(error: unknown): void {
  console.error(
    JSON.stringify({
      level: "error",
      message: "configuration rejected",
      error: error instanceof Error ? error.message : String(error),
    }),
  );
}
