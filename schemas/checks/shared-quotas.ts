import type { Config, ConfigProblem } from "../config-types.ts";
import { quote } from "../document/describe-value.ts";
import { formatPath } from "../document/path.ts";

/** Backends that share a quota, with different numbers: it has one owner, which can keep to one policy. */
export function sharedQuotas({ backends }: Config): readonly ConfigProblem[] {
  const firsts = new Map<string, { readonly backend: string; readonly numbers: string }>();
  return [...backends.values()].flatMap(({ name: backend, quota }) => {
    if (quota === undefined) return [];
    const numbers = JSON.stringify(quota.policy);
    const first = firsts.get(quota.name) ?? { backend, numbers };
    firsts.set(quota.name, first);
    if (first.numbers === numbers) return [];
    const wanted = `those of ${formatPath(["backends", first.backend, "quota"])}: what has one name is one quota`;
    return [
      { path: formatPath(["backends", backend, "quota"]), got: `other numbers for ${quote(quota.name)}`, wanted },
    ];
  });
}
