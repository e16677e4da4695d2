import type { Config, ConfigWarning } from "../config-types.ts";
import type { ConfigInput } from "../config.ts";
import { warning } from "../document/warning.ts";
import { formatKey, isVerified } from "../policies/rate-limit/limit-key.ts";
import { unidentified } from "./backend-warnings.ts";

/** What places and canaries say that has no effect, or not the one that their author may expect. */
export function placementWarnings(input: ConfigInput, { routes, backends }: Config): readonly ConfigWarning[] {
  const ofCanaries = routes.flatMap(({ canary }, index) => {
    const unknown = (canary?.by ?? []).filter((key) => isVerified([key])).map(formatKey);
    const level = input.routes?.[index]?.canary === undefined ? [] : ["routes", index];
    return unknown.length === 0 ? [] : [warning([...level, "canary", "by"], unidentified(unknown))];
  });
  const ofTargets = [...backends.values()].flatMap(({ name, targets }) =>
    targets.length === 1 && targets[0]?.regions !== undefined
      ? [warning(["backends", name, "targets", 0, "regions"], "with one target there is nothing to choose")]
      : [],
  );
  return [...new Map([...ofCanaries, ...ofTargets].map((one) => [one.path, one])).values()];
}
