import { readFileSync, statSync } from "node:fs";

import { type Config, type ConfigProblem, type ConfigWarning, parseConfigText } from "../../schemas/index.ts";
import { StartError } from "../local/start-error.ts";

/** A configuration document that has been validated. */
export interface Document {
  readonly text: string;
  /** At least this version: when it was last written, in ms since 1970. */
  readonly writtenAt: number;
  readonly config: Config;
  readonly warnings: readonly ConfigWarning[];
}

/** Reads and validates a file; throws StartError with every problem in it. */
export function readDocument(file: string): Document {
  try {
    return checkDocument(file, readFileSync(file, "utf8"), Math.trunc(statSync(file).mtimeMs));
  } catch (error) {
    if (error instanceof StartError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    throw new StartError(`cannot read the configuration (${message}): give the path of a readable file with --config`);
  }
}

/** What the demo runs: one route to its origin, and a limit low enough to meet with a shell loop. */
export function demoDocument(origin: string): Document {
  const document = {
    // The demo origin is on loopback, which targets may not be otherwise.
    allowPrivateTargets: true,
    routes: [{ id: "demo", prefix: "/api", target: `${origin}/api` }],
    rateLimit: { requestsPerWindow: 30, windowSeconds: 60 },
  };
  return checkDocument("the demo configuration", JSON.stringify(document), 0);
}

function checkDocument(name: string, text: string, writtenAt: number): Document {
  const result = parseConfigText(text);
  if (!result.ok) throw new StartError(explain(name, result.problems));
  return { text, writtenAt, config: result.config, warnings: result.warnings };
}

function explain(name: string, problems: readonly ConfigProblem[]): string {
  const lines = problems.map(
    ({ path, got, wanted }) => `  ${path === "" ? "(document)" : path}: got ${got}, wanted ${wanted}`,
  );
  return `${name} has ${problems.length} problem${problems.length === 1 ? "" : "s"}:\n${lines.join("\n")}`;
}
