import { addresses } from "../../objects/address.ts";
import type { UpstreamQuota } from "../../objects/upstream-quota/upstream-quota.ts";
import { createDependency, ONE_TRY, type Dependency } from "../dependencies/dependency.ts";
import { namingSecret } from "../limits/client-address.ts";

const owners = quotaOwners();

/** The owners of quotas as one kind of caller finds them: that they are silent for some says nothing to others. */
export function quotaOwners(): Dependency {
  return createDependency({ kind: "UpstreamQuota", remembers: 256 });
}

/**
 * Makes one call to the owner of a quota, behind the breaker of this isolate: see `Dependency.call`.
 *
 * @param terms.by default those that requests ask.
 */
export async function callQuota<Reply>(
  env: Env,
  quota: string,
  call: (owner: DurableObjectStub<UpstreamQuota>) => Promise<Reply>,
  { deadlineMs, by = owners }: { readonly deadlineMs: number; readonly by?: Dependency },
): Promise<Reply> {
  const { name } = await addresses(namingSecret(env)).upstreamQuota(quota);
  const namespace = env.UPSTREAM_QUOTA;
  return by.call(name, () => call(namespace.get(namespace.idFromName(name), ONE_TRY)), { deadlineMs });
}
