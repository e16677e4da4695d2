import type { ConfigWarning } from "../../config-types.ts";
import type { Path } from "../../document/path.ts";
import { warning } from "../../document/warning.ts";
import { isOn } from "../policy.ts";
import type { RateLimitInput } from "./fields.ts";
import { formatKey, isVerified } from "./limit-key.ts";
import type { LimitFields } from "./resolve.ts";

/** What the limits of one level say that has no effect, or not the one that their author may expect. */
export function rateLimitWarnings(path: Path, { rateLimit, rateLimits }: LimitFields): readonly ConfigWarning[] {
  const list = rateLimits === undefined || rateLimits === false ? [] : rateLimits;
  return [
    ...warningsOf([...path, "rateLimit"], rateLimit),
    ...list.flatMap((limit, index) => warningsOf([...path, "rateLimits", index], limit)),
  ];
}

function warningsOf(path: Path, limit: RateLimitInput | false | undefined): readonly ConfigWarning[] {
  if (!isOn(limit)) return [];
  const warnings: ConfigWarning[] = [];
  if (limit.countCacheHits === false) {
    warnings.push(warning([...path, "countCacheHits"], "accepted; does not act before caching does"));
  }
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
  return warnings;
}
