import type { ConfigWarning } from "../config-types.ts";
import type { Path } from "../document/path.ts";
import { warning } from "../document/warning.ts";
import type { CacheInput } from "../policies/cache.ts";
import { isOn } from "../policies/policy.ts";

/** Where caching is written: the top level, or a route. */
interface Level {
  readonly cache?: CacheInput | undefined;
  readonly methods?: readonly string[] | undefined;
}

/**
 * Refusals that whoever sends a strange enough request gets for a URL of others ("CPDoS", Nguyen et al., 2019): an oversized header, a
 * control character, another method.
 */
const PROVOKED: ReadonlySet<string> = new Set(["400", "401", "403", "405", "406", "413", "414", "416", "417", "431"]);

/** What the caching of one level says that has no effect, or one that its author may not expect. */
export function cacheWarnings(path: Path, { cache, methods }: Level): readonly ConfigWarning[] {
  if (cache === true || !isOn(cache)) return [];
  const warnings: ConfigWarning[] = [];
  const at = [...path, "cache"];
  if (methods?.includes("GET") === false) {
    warnings.push(warning(at, "nothing is kept: GET is not among the route's methods"));
  }
  const { colo, kv, r2 } = cache.tiers ?? {};
  if ([colo, kv, r2].every((tier) => tier !== undefined && tier !== true && !isOn(tier))) {
    warnings.push(warning([...at, "tiers"], "nothing is kept: every tier is switched off"));
  }
  if (cache.respectCacheControl === false && cache.ttl === undefined) {
    warnings.push(
      warning([...at, "respectCacheControl"], 'there is no "ttl" to take the place of what the origin says'),
    );
  }
  if (cache.authorization === "public") {
    const message =
      "responses to requests with credentials that say public, s-maxage or must-revalidate are given to everybody";
    warnings.push(warning([...at, "authorization"], message));
  }
  const provoked = Object.keys(cache.negativeTtl ?? {}).filter(
    (status) => PROVOKED.has(status) || status.startsWith("5"),
  );
  for (const status of provoked) {
    const message = `whoever makes the origin answer ${status} to a request of his own takes the URL from everybody for so long`;
    warnings.push(warning([...at, "negativeTtl", status], message));
  }
  return warnings;
}
