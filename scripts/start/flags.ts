import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { StartError } from "../local/start-error.ts";

/** More isolates than this show nothing new and one workerd process would have to hold them all. */
const MAX_ISOLATES = 64;

/** What `--help` prints. */
export const usage = `npm start -- [options]

  --config FILE    the configuration to run, JSON or JSONC; without it, a demo with an origin of its own
  --port N         listen on port N (default 8787); 0 takes a free one
  --isolates K     run K isolates of the gateway over the same state, on ports N to N+K-1 (default 1)
  --state DIR      where state lives (default .sluice)
  --host ADDRESS   the address to listen on (default 127.0.0.1, this machine only)
  --bare           plain workerd with Durable Objects alone: no KV, R2, D1, Queues or Cache API
  --json           print one JSON line when ready, instead of text
  --help           print this

SLUICE_ADMIN_TOKEN in the environment sets the admin token; otherwise one is made and kept with the state.`;

/** The command line, checked, with every default filled in and paths absolute. */
export interface Flags {
  readonly config: string | undefined;
  readonly port: number;
  readonly isolates: number;
  readonly state: string;
  readonly host: string;
  readonly bare: boolean;
  readonly json: boolean;
  readonly help: boolean;
}

/** Reads the command line; relative paths are the caller's, from `base`. Throws StartError that says what to write instead. */
export function readFlags(args: readonly string[], base: string): Flags {
  const values = parse(args);
  const isolates = integer("--isolates", values.isolates ?? "1", 1, MAX_ISOLATES);
  return {
    config: values.config === undefined ? undefined : resolve(base, values.config),
    port: integer("--port", values.port ?? "8787", 0, 65_536 - isolates),
    isolates,
    state:
      values.state === undefined
        ? fileURLToPath(new URL("../../.sluice", import.meta.url))
        : resolve(base, values.state),
    host: values.host ?? "127.0.0.1",
    bare: values.bare ?? false,
    json: values.json ?? false,
    help: values.help ?? false,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        config: { type: "string" },
        port: { type: "string" },
        isolates: { type: "string" },
        state: { type: "string" },
        host: { type: "string" },
        bare: { type: "boolean" },
        json: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    }).values;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new StartError(`${message}${isPositional(error) ? HINT : ""}\n\n${usage}`);
  }
}

/** npm keeps `--port 9000` to itself unless two dashes come first; only the 9000 arrives here. */
const HINT = ". Options come after two dashes: npm start -- --port 9000";

function isPositional(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL";
}

function integer(flag: string, value: string, least: number, most: number): number {
  if (/^\d{1,6}$/.test(value) && Number(value) >= least && Number(value) <= most) return Number(value);
  throw new StartError(`${flag} must be a whole number from ${least} to ${most}, got ${JSON.stringify(value)}`);
}
