import type { QuotaStatus } from "../../objects/upstream-quota/quota-status.ts";
import type { QuotaSettings } from "../../schemas/index.ts";
import { callQuota, quotaOwners } from "../egress/quota-owner.ts";
import { askAll, type Answered } from "./ask-all.ts";
import type { AdminContext } from "./index.ts";
import { json } from "./json.ts";
import { isolateTraffic } from "./traffic.ts";

const owners = quotaOwners();

/**
 * GET /admin/egress: the quotas of the active configuration, each with the backends that share it and what its owner says of tokens,
 * queue, waits and pause. An owner that doesn't answer is shown as `silent`; one that nobody has asked for an hour as `unused`.
 * Beside that what the isolate that answers knows itself: its pools, gates and mirrors.
 */
export async function readEgress({ env, active: { config } }: AdminContext): Promise<Response> {
  const quotas = new Map<string, QuotaSettings>();
  const backends = new Map<string, string[]>();
  for (const { name, quota } of config.backends.values()) {
    if (quota === undefined) continue;
    quotas.set(quota.name, quota);
    backends.set(quota.name, [...(backends.get(quota.name) ?? []), name]);
  }
  const answers = await askAll([...quotas.keys()], (quota, deadlineMs) =>
    callQuota<QuotaStatus | null>(env, quota, (owner) => owner.status(), { deadlineMs, by: owners }),
  );
  function shown({ name, policy }: QuotaSettings, index: number) {
    return { quota: name, backends: backends.get(name), policy, ...saidBy(answers[index]) };
  }
  return json({ quotas: [...quotas.values()].map(shown), ...isolateTraffic() });
}

function saidBy(answer: Answered<QuotaStatus | null> | undefined) {
  if (answer?.kind !== "answered") return { owner: "silent", problem: answer?.problem };
  return answer.reply === null ? { owner: "unused" } : { owner: "answered", ...answer.reply };
}
