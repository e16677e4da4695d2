import type { ConfigWarning } from "../../config-types.ts";
import type { Path } from "../../document/path.ts";
import { warning } from "../../document/warning.ts";
import { normaliseEscapes } from "../../values/url-path.ts";
import { isOn } from "../policy.ts";
import { resolveBan } from "./ban.ts";
import type { RateLimitInput } from "./fields.ts";
import { formatKey, isVerified } from "./limit-key.ts";
import type { LimitFields } from "./resolve.ts";

/** What the limits of one level say that has no effect, or not the one that their author may expect. */
export function rateLimitWarnings(path: Path, { rateLimit, rateLimits, prefix }: Level): readonly ConfigWarning[] {
  const list = rateLimits === undefined || rateLimits === false ? [] : rateLimits;
  return [
    ...warningsOf([...path, "rateLimit"], rateLimit, prefix),
    ...list.flatMap((limit, index) => warningsOf([...path, "rateLimits", index], limit, prefix)),
  ];
}

/** Where limits are written: the top level, or a route. */
interface Level extends LimitFields {
  readonly prefix?: string | undefined;
}

function warningsOf(
  path: Path,
  limit: RateLimitInput | false | undefined,
  prefix: string | undefined,
): readonly ConfigWarning[] {
  if (!isOn(limit)) return [];
  const warnings: ConfigWarning[] = [];
  const unknown = (limit.by ?? []).filter((key) => isVerified([key])).map(formatKey);
  if (unknown.length > 0) {
    const message = `nothing identifies clients yet: until authentication acts, ${unknown.join(" and ")} means the address`;
    warnings.push(warning([...path, "by"], message));
  }
  if ((limit.exempt?.principals ?? []).length > 0) {
    warnings.push(
      warning(
        [...path, "exempt", "principals"],
        "nothing identifies clients yet: until authentication acts, nobody is exempt by name",
      ),
    );
  }
  if ((resolveBan(limit.ban)?.exemptPrincipals ?? []).length > 0) {
    const message = "nothing identifies clients yet: until authentication acts, bans spare nobody";
    warnings.push(warning([...path, "ban", "exemptPrincipals"], message));
  }
  if (prefix !== undefined) warnings.push(...strayCosts([...path, "cost", "paths"], limit, prefix));
  return warnings;
}

/** Costs of paths that no request of the route has: its prefix is stripped on the way to the origin, but not here. */
function strayCosts(path: Path, { cost }: RateLimitInput, prefix: string): readonly ConfigWarning[] {
  if (typeof cost !== "object" || cost.paths === undefined) return [];
  const served = normaliseEscapes(prefix);
  return Object.keys(cost.paths).flatMap((costly) => {
    const written = normaliseEscapes(costly);
    if (isWithin(written, served) || isWithin(served, written)) return [];
    const message = `no request of this route has this path: write it as clients do, with the route's prefix ${prefix}`;
    return [warning([...path, costly], message)];
  });
}

function isWithin(path: string, prefix: string): boolean {
  return path === prefix || path.startsWith(prefix.endsWith("/") ? prefix : `${prefix}/`);
}
