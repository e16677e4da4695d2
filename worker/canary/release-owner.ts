import { addresses } from "../../objects/address.ts";
import { dueRollout, rolloutFailed, rolloutHeard, type RolloutView } from "../../objects/rollout/rollout-view.ts";
import type { RolloutReport } from "../../objects/rollout/rollout-messages.ts";
import type { Rollout } from "../../objects/rollout/rollout.ts";
import { createDependency, ONE_TRY } from "../dependencies/dependency.ts";
import type { Exchange } from "../exchange.ts";
import { namingSecret } from "../limits/client-address.ts";

/** Off the request's path; as long as an isolate takes a report for under way. */
const CALL_MS = 1_000;
/** An owner that is gone for long is worth a line now and then. */
const COMPLAINT_MS = 60_000;

const owners = createDependency({ kind: "Rollout", remembers: 512 });
let complainedAt = -Infinity;

/** Makes one call to the owner of a route's release: see `Dependency.call`. */
export async function callRollout<Reply>(
  env: Env,
  route: string,
  call: (owner: DurableObjectStub<Rollout>) => Promise<Reply>,
  deadlineMs = CALL_MS,
): Promise<Reply> {
  const { name } = await addresses(namingSecret(env)).rollout(route);
  return owners.call(name, () => call(env.ROLLOUT.get(env.ROLLOUT.idFromName(name), ONE_TRY)), { deadlineMs });
}

/** Sends what is due to be said of a route's release, off the request's path. To be called when a request begins and when it ends. */
export function reportDue(view: RolloutView, { env, ctx, route }: Exchange, now: number): void {
  const report = dueRollout(view, now);
  if (report !== undefined) ctx.waitUntil(send(view, report, env, route.route.id));
}

async function send(view: RolloutView, report: RolloutReport, env: Env, route: string): Promise<void> {
  try {
    const reply = await callRollout(env, route, (owner) => owner.report(report));
    rolloutHeard(view, report.seq, reply, Date.now());
  } catch (error) {
    const now = Date.now();
    rolloutFailed(view, report.seq, now);
    if (now - complainedAt < COMPLAINT_MS) return;
    complainedAt = now;
    console.warn(JSON.stringify({ level: "warn", message: "release not reported", route, error: String(error) }));
  }
}
