import type { Backend } from "../backend-types.ts";
import type { Config, ConfigWarning } from "../config-types.ts";
import type { ConfigInput } from "../config.ts";
import { quote } from "../document/describe-value.ts";
import { warning } from "../document/warning.ts";
import { formatKey, isVerified } from "../policies/rate-limit/limit-key.ts";
import { formatMs } from "../values/duration.ts";
import { breakerWarnings } from "./breaker-warnings.ts";
import { fallbackNames, waysOf } from "./breaker-uses.ts";
import { targetPath } from "./target-path.ts";

/** What backends and breakers say that has no effect, or not the one that their author may expect. */
export function backendWarnings(input: ConfigInput, config: Config): readonly ConfigWarning[] {
  const mirrors = config.routes.flatMap(({ mirror }) => (mirror === undefined ? [] : [mirror.backend]));
  const used = new Set([...waysOf(config.routes).map(({ way }) => way.backend), ...fallbackNames(config), ...mirrors]);
  const named = [...config.backends.values()].filter(({ name }) => input.backends?.[name] !== undefined);
  return [
    ...named
      .filter(({ name }) => !used.has(name))
      .map(({ name }) => warning(["backends", name], "no route uses this backend")),
    ...named.flatMap((backend) => choiceWarnings(backend, input)),
    ...sharedBindings(named),
    ...slowQuotas(named),
    ...breakerWarnings(input, config),
    ...timeWarnings(input, config),
    ...spellings(config),
  ];
}

type BackendInput = NonNullable<ConfigInput["backends"]>[string];

function choiceWarnings(backend: Backend, input: ConfigInput): readonly ConfigWarning[] {
  const { name, targets, balance, healthCheck } = backend;
  const path = ["backends", name];
  const written = input.backends?.[name];
  if (written === undefined) return [];
  if (targets.length === 1) return oneTarget(backend, written);
  const warnings: ConfigWarning[] = [];
  const unknown = balance.by.filter((key) => isVerified([key])).map(formatKey);
  if (unknown.length > 0) {
    warnings.push(warning([...path, "balance", "by"], unidentified(unknown)));
  }
  const { maxEjection, panicThreshold } = typeof written.balance === "object" ? written.balance : {};
  const idle = Object.entries({ maxEjection, panicThreshold }).filter(([, value]) => value !== undefined);
  for (const [field] of healthCheck === undefined ? idle : []) {
    warnings.push(warning([...path, "balance", field], 'without "healthCheck" no target is ever down'));
  }
  return warnings;
}

/** What keys mean that nobody vouches for yet. */
export function unidentified(keys: readonly string[]): string {
  return `nothing identifies clients yet: until authentication acts, ${keys.join(" and ")} means the address`;
}

/** What chooses among targets has nothing to choose. */
function oneTarget(
  { name, sticky, healthCheck, balance: known }: Backend,
  { balance }: BackendInput,
): readonly ConfigWarning[] {
  const path = ["backends", name];
  const mayEject = healthCheck !== undefined && known.maxEjection >= 1 && known.panicThreshold <= 0;
  return [
    ...(balance === undefined || mayEject
      ? []
      : [warning([...path, "balance"], "with one target there is nothing to choose")]),
    ...(sticky === undefined
      ? []
      : [warning([...path, "sticky"], "with one target every client stays with it anyway")]),
    ...(healthCheck === undefined || mayEject
      ? []
      : [warning([...path, "healthCheck"], "with one target checks tell operators, but take nothing out of use")]),
  ];
}

/** One cookie or header for two backends: it holds one binding. */
function sharedBindings(backends: readonly Backend[]): readonly ConfigWarning[] {
  const first = new Map<string, string>();
  const warnings: ConfigWarning[] = [];
  for (const { name: backend, sticky, targets } of backends) {
    if (sticky === undefined || targets.length === 1) continue;
    const { by, name } = sticky;
    const known = first.get(`${by} ${name}`);
    first.set(`${by} ${name}`, known ?? backend);
    if (known === undefined) continue;
    const message = `${quote(known)} binds by the ${by} ${name} too: on one host a client of both keeps only the later binding; give each a "name"`;
    warnings.push(warning(["backends", backend, "sticky"], message));
  }
  return warnings;
}

/** Quotas whose spacing is the narrower limit. */
function slowQuotas(backends: readonly Backend[]): readonly ConfigWarning[] {
  return backends.flatMap(({ name, quota }) => {
    if (quota === undefined || quota.policy.spacingMs === 0) return [];
    const { requests, windowMs, spacingMs } = quota.policy;
    const most = Math.ceil(windowMs / spacingMs);
    if (requests <= most) return [];
    const message = `at one every ${formatMs(spacingMs)} no ${formatMs(windowMs)} ever have more than ${most} of the ${requests} requests`;
    return [warning(["backends", name, "quota", "spacing"], message)];
  });
}

/** Retries and hedges that there is no time for. */
function timeWarnings(input: ConfigInput, { routes, backends }: Config): readonly ConfigWarning[] {
  const found = new Map<string, ConfigWarning>();
  for (const { index, way } of waysOf(routes)) {
    const { backend: name, timeouts, circuitBreaker } = way;
    const { retry, hedge } = backends.get(name) ?? {};
    const level = input.backends?.[name]?.retry === undefined ? [] : ["backends", name];
    const operationMs = circuitBreaker?.shadow === false ? circuitBreaker.policy.operationTimeoutMs : Infinity;
    const perTry = Math.min(retry?.perTryMs ?? Infinity, timeouts.headers, operationMs);
    if (retry !== undefined && perTry >= timeouts.total) {
      const message = `on routes[${index}] the first try may take all of timeouts.total (${formatMs(timeouts.total)}), which leaves no time for another`;
      const one = warning([...level, "retry"], message);
      if (!found.has(one.path)) found.set(one.path, one);
    }
    if (hedge !== undefined && hedge.afterMs !== "p95" && hedge.afterMs >= Math.min(timeouts.headers, timeouts.total)) {
      const message = `on routes[${index}] a request is given up before a second one is sent`;
      const one = warning(["backends", name, "hedge"], message);
      if (!found.has(one.path)) found.set(one.path, one);
    }
  }
  return [...found.values()];
}

/** One URL in two spellings: it would be two targets, each with a breaker and a prober of its own. */
function spellings(config: Config): readonly ConfigWarning[] {
  const first = new Map<string, string>();
  const found = new Map<string, ConfigWarning>();
  for (const { name, targets, healthCheck, circuitBreaker } of config.backends.values()) {
    if (healthCheck === undefined && circuitBreaker === undefined) continue;
    for (const [index, { url }] of targets.entries()) {
      const { href } = new URL(url);
      const known = first.get(href) ?? url;
      first.set(href, known);
      if (known === url || found.has(url)) continue;
      const message = `${quote(known)} elsewhere: written differently, these are two targets with a breaker each`;
      found.set(url, warning(targetPath(config, name, index), message));
    }
  }
  return [...found.values()];
}
