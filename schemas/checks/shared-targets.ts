import type { BreakerPolicy, BreakerSettings, HealthCheck, StatusRange } from "../backend-types.ts";
import type { Config, ConfigProblem } from "../config-types.ts";
import type { ConfigInput } from "../config.ts";
import { quote } from "../document/describe-value.ts";
import { formatPath, type Path } from "../document/path.ts";
import { formatMs } from "../values/duration.ts";
import { breakerUses } from "./breaker-uses.ts";

/** What the fields of a breaker are called in a document. `fallback` and `shadow` are each route's own affair. */
const BREAKER_FIELDS: readonly (readonly [field: string, name: keyof BreakerPolicy])[] = [
  ["failureThreshold", "failureThreshold"],
  ["failureRate", "failureRate"],
  ["minimumCalls", "minimumCalls"],
  ["window", "windowMs"],
  ["slowCall", "slowCallMs"],
  ["slowCallRate", "slowCallRate"],
  ["timeout", "openMs"],
  ["maxTimeout", "openMaxMs"],
  ["jitter", "jitter"],
  ["successThreshold", "successThreshold"],
  ["halfOpenRequests", "halfOpenPermits"],
  ["halfOpenMaxFailures", "halfOpenMaxFailures"],
  ["operationTimeout", "operationTimeoutMs"],
];

/** Settings as a document writes them, field by field. */
type Fields = Readonly<Record<string, string>>;

/** Settings of one target, and where they are written. */
interface Stated {
  readonly path: Path;
  readonly url: string;
  readonly fields: Fields;
}

/**
 * Two settings for what there is one of: a target has one breaker and is checked by one prober, whichever routes and backends
 * use it. Told at both places, once for each pair of them.
 */
export function sharedTargets(input: ConfigInput, config: Config): readonly ConfigProblem[] {
  // Ten thousand routes may share one value.
  const known = new Map<BreakerSettings, Fields>();
  const breakers = breakerUses(input, config).flatMap(({ path, settings, backend }) => {
    const fields = known.get(settings) ?? breakerFields(settings);
    known.set(settings, fields);
    return backend.targets.map(({ url }) => ({ path, url, fields }));
  });
  const checks = [...config.backends.values()].flatMap(({ name, targets, healthCheck }) => {
    if (healthCheck === undefined) return [];
    const fields = checkFields(healthCheck);
    return targets.map(({ url }) => ({ path: ["backends", name, "healthCheck"], url, fields }));
  });
  return [...conflicts(breakers, "breaker"), ...conflicts(checks, "health check")];
}

function conflicts(all: readonly Stated[], what: string): readonly ConfigProblem[] {
  const firsts = new Map<string, Stated>();
  const problems = new Map<string, ConfigProblem>();
  for (const stated of all) {
    const first = firsts.get(stated.url) ?? stated;
    firsts.set(stated.url, first);
    if (first.fields === stated.fields) continue;
    for (const [one, other] of [
      [first, stated],
      [stated, first],
    ] as const) {
      const names = Object.keys(one.fields).filter((name) => one.fields[name] !== other.fields[name]);
      const key = `${formatPath(one.path)}\n${formatPath(other.path)}`;
      if (names.length > 0 && !problems.has(key)) problems.set(key, conflict(one, other, names, what));
    }
  }
  return [...problems.values()];
}

function conflict(one: Stated, other: Stated, names: readonly string[], what: string): ConfigProblem {
  const written = ({ fields }: Stated) => names.map((name) => `${name} ${fields[name] ?? ""}`).join(", ");
  const elsewhere = formatPath(other.path);
  return {
    path: formatPath(one.path),
    got: `${written(one)} for ${quote(one.url)}`,
    wanted: `${written(other)}, as ${elsewhere} has it for this target: one target has one ${what}; say the same in both places`,
  };
}

function breakerFields({ policy, failureStatuses }: BreakerSettings): Fields {
  const fields = BREAKER_FIELDS.map(([field, name]) => {
    const value = policy[name];
    return [field, name.endsWith("Ms") ? formatMs(value) : String(value)] as const;
  });
  return { ...Object.fromEntries(fields), failureStatuses: failureStatuses.join(" ") };
}

function checkFields(check: HealthCheck): Fields {
  return {
    path: quote(check.path),
    method: check.method,
    interval: formatMs(check.intervalMs),
    timeout: formatMs(check.timeoutMs),
    rise: String(check.rise),
    fall: String(check.fall),
    statuses: check.statuses.map(formatRange).join(" "),
    bodyIncludes: check.bodyIncludes === undefined ? "anything" : quote(check.bodyIncludes),
  };
}

function formatRange({ from, to }: StatusRange): string {
  return from === to ? String(from) : `${from}-${to}`;
}
