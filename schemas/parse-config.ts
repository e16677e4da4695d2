import * as v from "valibot";
import { checkConfig } from "./check-config.ts";
import { checkMultipliers } from "./check-multipliers.ts";
import { ownFallbacks } from "./checks/own-fallbacks.ts";
import { sharedQuotas } from "./checks/shared-quotas.ts";
import { sharedTargets } from "./checks/shared-targets.ts";
import { ConfigSchema } from "./config.ts";
import type { ConfigProblem, ConfigResult } from "./config-types.ts";
import { draftOf } from "./draft.ts";
import { parseJsonc } from "./document/parse-jsonc.ts";
import { plainCopy } from "./document/plain-copy.ts";
import { toProblems } from "./document/to-problems.ts";
import { resolveConfig } from "./resolve-config.ts";
import { warningsOf } from "./warnings.ts";

/**
 * Reads a configuration document from JSON or JSONC text (comments, trailing commas). Where the text does not parse,
 * the problems are those places and nothing else; a key given twice is reported along with every other problem.
 */
export function parseConfigText(text: string): ConfigResult {
  const { value, problems } = parseJsonc(text);
  if (value === undefined) return { ok: false, problems };
  return withProblems(problems, parseConfig(value));
}

/** Validates a document and fills in every default. Never throws, whatever the document; reports every problem at once. */
export function parseConfig(document: unknown): ConfigResult {
  const { value, problems } = plainCopy(document);
  if (value === undefined) return { ok: false, problems };
  return withProblems(problems, parsePlain(value));
}

function parsePlain(document: unknown): ConfigResult {
  const parsed = v.safeParse(ConfigSchema, document);
  const problems = [...toProblems(parsed.issues ?? [], document), ...checkConfig(draftOf(document))];
  if (!parsed.success || problems.length > 0) return { ok: false, problems };
  const config = resolveConfig(parsed.output);
  const together = [
    ...checkMultipliers(parsed.output, config),
    ...sharedTargets(parsed.output, config),
    ...ownFallbacks(parsed.output, config),
    ...sharedQuotas(config),
  ];
  if (together.length > 0) return { ok: false, problems: together };
  return { ok: true, config, warnings: warningsOf(parsed.output, config) };
}

function withProblems(problems: readonly ConfigProblem[], result: ConfigResult): ConfigResult {
  if (problems.length === 0) return result;
  return { ok: false, problems: result.ok ? problems : [...problems, ...result.problems] };
}
