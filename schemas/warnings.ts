import type { Config, ConfigWarning } from "./config-types.ts";
import { backendWarnings } from "./checks/backend-warnings.ts";
import { cacheWarnings } from "./checks/cache-warnings.ts";
import { deduplicationWarnings } from "./checks/deduplication-warnings.ts";
import { placementWarnings } from "./checks/placement-warnings.ts";
import { webSocketWarnings } from "./checks/web-socket-warnings.ts";
import type { ConfigInput } from "./config.ts";
import type { Path } from "./document/path.ts";
import { warning } from "./document/warning.ts";
import { pendingDocumentPolicies, pendingRoutePolicies } from "./policies/pending.ts";
import { isOn } from "./policies/policy.ts";
import { rateLimitWarnings } from "./policies/rate-limit/warnings.ts";
import type { RouteInput } from "./routes/route.ts";

const DOES_NOT_ACT = "accepted but does not act yet";

// Validated, and waiting for the code that acts: whoever writes it takes the name out of here.
const PENDING_ON_ROUTES = Object.keys(pendingRoutePolicies);
const PENDING_ON_DOCUMENT = ["metrics", ...PENDING_ON_ROUTES, ...Object.keys(pendingDocumentPolicies)];

/** What a valid document says that has no effect, or not the one that its author may expect. */
export function warningsOf(input: ConfigInput, config: Config): readonly ConfigWarning[] {
  const routes = input.routes ?? [];
  return [
    ...(routes.length === 0 ? [warning(["routes"], "no routes: every request is answered 404 route-not-found")] : []),
    ...levelWarnings([], input, PENDING_ON_DOCUMENT),
    ...routes.flatMap((route, index) => levelWarnings(["routes", index], route, PENDING_ON_ROUTES)),
    ...multiplierWarnings(input),
    ...backendWarnings(input, config),
    ...placementWarnings(input, config),
    ...deduplicationWarnings(config),
    ...["jobs"].flatMap((name) => pendingWarnings(["endpoints"], input.endpoints ?? {}, [name])),
    ...shadowedRoutes(config),
  ];
}

function levelWarnings(
  path: Path,
  level: ConfigInput | RouteInput,
  pending: readonly string[],
): readonly ConfigWarning[] {
  const { sizeLimits } = level;
  const hasShadow = typeof sizeLimits === "object" && isOn(sizeLimits) && sizeLimits.shadow === true;
  return [
    ...pendingWarnings(path, level, pending),
    ...rateLimitWarnings(path, level),
    ...cacheWarnings(path, level),
    ...webSocketWarnings(path, level),
    ...(hasShadow ? [warning([...path, "sizeLimits", "shadow"], `${DOES_NOT_ACT}: the limits refuse`)] : []),
  ];
}

function multiplierWarnings({ routes = [], rateLimit, rateLimits }: ConfigInput): readonly ConfigWarning[] {
  if (isOn(rateLimit) || (rateLimits !== undefined && rateLimits !== false && rateLimits.some(isOn))) return [];
  return routes.flatMap(({ rateLimitMultiplier }, index) =>
    rateLimitMultiplier === undefined
      ? []
      : [warning(["routes", index, "rateLimitMultiplier"], "there is no limit at the top level to share")],
  );
}

function pendingWarnings(path: Path, level: object, pending: readonly string[]): readonly ConfigWarning[] {
  return Object.entries(level)
    .filter(([name, value]) => pending.includes(name) && !isSwitchedOff(value))
    .map(([name]) => warning([...path, name], DOES_NOT_ACT));
}

function isSwitchedOff(value: unknown): boolean {
  if (value === undefined || value === false) return true;
  return typeof value === "object" && value !== null && "enabled" in value && value.enabled === false;
}

/** The gateway's own endpoints win over routes. */
function shadowedRoutes({ routes, endpoints, admin, batch }: Config): readonly ConfigWarning[] {
  const own = [...Object.values(endpoints), batch?.path, admin.enabled ? admin.prefix : undefined].filter(
    (path) => path !== undefined,
  );
  return routes.flatMap(({ path: { value } }, index) => {
    const taken = own.find((path) => value === path || value.startsWith(`${path}/`));
    if (taken === undefined) return [];
    return [
      warning(
        ["routes", index],
        `${value} is at or below the gateway's own ${taken}, which wins; move it in "endpoints" or "admin", or switch it off`,
      ),
    ];
  });
}
