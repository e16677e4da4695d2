import * as v from "valibot";
import type { BanView } from "../../objects/rate-limiter/bans/abuse-messages.ts";
import type { ClientView } from "../../objects/rate-limiter/client-view.ts";
import type { Granted } from "../../objects/rate-limiter/by-order.ts";
import { closedObject } from "../../schemas/document/closed-object.ts";
import { duration } from "../../schemas/values/duration.ts";
import { integer } from "../../schemas/values/primitives.ts";
import { GatewayError } from "../errors.ts";
import { readBody } from "./body.ts";
import { ownerAt } from "./client-owner.ts";
import type { AdminContext } from "./index.ts";
import { json } from "./json.ts";

const REASON = "the reason of the ban, 1 to 200 characters";
const POLICY = "the id of a limit, as GET /admin/clients/{id} shows it";
/** With at most 1,000 units a token everything stays a safe integer. */
const MAX_TOKENS = 1_000_000_000_000;

const BanBody = closedObject({
  duration: duration(undefined, { min: 1_000 }),
  reason: v.pipe(v.string(REASON), v.minLength(1, REASON), v.maxLength(200, REASON)),
});

const GrantBody = closedObject({
  policy: v.pipe(v.string(POLICY), v.minLength(1, POLICY), v.maxLength(256, POLICY)),
  tokens: integer(1, MAX_TOKENS),
});

/** POST /admin/clients/{id}/ban {duration, reason}: shuts a client out from now on, whatever ban there was. */
export async function banClient(id: string, context: AdminContext): Promise<Response> {
  const { ask, client } = await ownerAt(id, context);
  const order = await readBody(context.request, BanBody);
  const ban: BanView = await ask((owner) => owner.ban(client, { durationMs: order.duration, reason: order.reason }));
  return json({ client, ban });
}

/** POST /admin/clients/{id}/unban: ends a ban within 2 s everywhere, and forgives what led to it. */
export async function unbanClient(id: string, context: AdminContext): Promise<Response> {
  const { ask, client } = await ownerAt(id, context);
  const { wasBanned } = await ask((owner) => owner.unban(client));
  return json({ client, wasBanned });
}

/** POST /admin/clients/{id}/reset: fills all limits of a client, but for what isolates hold on lease. A ban stays. */
export async function resetClient(id: string, context: AdminContext): Promise<Response> {
  const { ask, client } = await ownerAt(id, context);
  const { existed } = await ask((owner) => owner.reset(client));
  return json({ client, wasRemembered: existed });
}

/** POST /admin/clients/{id}/grant {policy, tokens}: adds tokens under one limit, up to its ceiling. */
export async function grantTokens(id: string, context: AdminContext): Promise<Response> {
  const { ask, client } = await ownerAt(id, context);
  const { policy, tokens } = await readBody(context.request, GrantBody);
  const unitsPerToken = unitsOf(policy, context);
  const reply: Granted | null = await ask((owner) => owner.grant(client, { policy, tokens: tokens * unitsPerToken }));
  if (reply === null) {
    const used = (await ask<ClientView | null>((owner) => owner.inspect(client)))?.policies ?? [];
    const others = used.length === 0 ? "" : ` It has used: ${used.map((one) => one.policy).join(", ")}.`;
    throw new GatewayError("not-found", {
      detail: `This client has used nothing of ${JSON.stringify(policy)}, so there is nothing to add to.${others}`,
    });
  }
  const inTokens = (units: number) => Math.floor(units / unitsPerToken);
  return json({ client, policy, granted: inTokens(reply.granted), remaining: inTokens(reply.remaining) });
}

/** What a token is in the units that owners count in; 1 for a limit that is not in the configuration any more. */
function unitsOf(policy: string, { active }: AdminContext): number {
  const limits = active.config.routes.flatMap(({ rateLimits }) => rateLimits);
  return limits.find(({ id }) => id === policy)?.unitsPerToken ?? 1;
}
