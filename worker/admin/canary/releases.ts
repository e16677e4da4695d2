import * as v from "valibot";
import type { RolloutOrderKind } from "../../../objects/rollout/rollout-messages.ts";
import type { RolloutStatus } from "../../../objects/rollout/rollout-status.ts";
import type { OrderReply } from "../../../objects/rollout/rollout.ts";
import { closedObject } from "../../../schemas/document/closed-object.ts";
import type { CanaryPolicy, CanaryVariant, Route } from "../../../schemas/index.ts";
import { CONTROL } from "../../../schemas/policies/canary.ts";
import { termsOf } from "../../canary/compile-canary.ts";
import { callRollout } from "../../canary/release-owner.ts";
import { GatewayError } from "../../errors.ts";
import { askAll, type Answered } from "../ask-all.ts";
import { readOptionalBody } from "../body.ts";
import type { AdminContext } from "../index.ts";
import { json } from "../json.ts";

/** Until there are several, and roles. */
const ADMIN = "admin";
const VARIANT = 'the name of a variant, or "control"';

const NO_VARIANT = "no variant: a reset is one of all of them";

const ResetBody = closedObject({}, { elsewhere: { variant: NO_VARIANT } });
const OrderBody = closedObject({ variant: v.optional(v.pipe(v.string(VARIANT), v.minLength(1, VARIANT))) });

/** A route that tries something out. */
interface Released {
  readonly route: Route;
  readonly canary: CanaryPolicy;
}

/** GET /admin/canary: the releases of the active configuration, each as its owner sees it now. */
export async function listReleases(context: AdminContext): Promise<Response> {
  const releases = releasesOf(context);
  const answers = await askAll(
    releases.map(({ route }) => route.id),
    (id, deadlineMs) => callRollout<RolloutStatus | null>(context.env, id, (owner) => owner.status(), deadlineMs),
  );
  return json({ releases: releases.map((one, index) => view(one, answers[index])) });
}

/** GET /admin/canary/{route}: one release, with what happened to it. */
export async function readRelease(id: string, context: AdminContext): Promise<Response> {
  const released = releaseOf(id, context);
  const [answer] = await askAll([id], (_, deadlineMs) =>
    callRollout<RolloutStatus | null>(context.env, id, (owner) => owner.status(), deadlineMs),
  );
  return json(details(released, answer));
}

/**
 * POST /admin/canary/{route}/promote, abort or reset: gives a variant to all clients, takes it from all, or gives each its share again and
 * begins the figures anew. `variant` may be left out where there is only one beside the control.
 *
 * @throws GatewayError `not-found`, `invalid-request`, `dependency-unavailable` when the owner is silent, which may have carried it out.
 */
export async function orderRelease(id: string, kind: RolloutOrderKind, context: AdminContext): Promise<Response> {
  const released = releaseOf(id, context);
  const order = {
    v: 1,
    ...termsOf(released.canary, context.active.version),
    kind,
    by: ADMIN,
    ...(await variantOf(kind, released.canary, context.request)),
  } as const;
  const [answer] = await askAll([id], (_, deadlineMs) =>
    callRollout<OrderReply>(context.env, id, (owner) => owner.order(order), deadlineMs),
  );
  if (answer?.kind !== "answered") {
    throw new GatewayError("dependency-unavailable", {
      detail: `The owner of this release did not answer: ${answer?.problem}. The order may be given again.`,
      headers: { "retry-after": "1" },
    });
  }
  const { reply } = answer;
  if (reply.kind === "refused") throw new GatewayError("invalid-request", { detail: `${reply.problem}.` });
  return json({ order: kind, ...details(released, { kind: "answered", reply: reply.status }) });
}

function releasesOf({ active: { config } }: AdminContext): readonly Released[] {
  return config.routes.flatMap((route) => (route.canary === undefined ? [] : [{ route, canary: route.canary }]));
}

function releaseOf(id: string, context: AdminContext): Released {
  const found = releasesOf(context).find(({ route }) => route.id === id);
  if (found !== undefined) return found;
  throw new GatewayError("not-found", {
    detail: `Got ${JSON.stringify(id)}, wanted the id of a route with a canary; GET ${context.active.config.admin.prefix}/canary lists them.`,
  });
}

async function variantOf(kind: RolloutOrderKind, canary: CanaryPolicy, request: Request) {
  if (kind === "reset") return readOptionalBody(request, ResetBody);
  const { variant } = await readOptionalBody(request, OrderBody);
  return { variant: variant ?? onlyVariant(canary) };
}

function onlyVariant({ variants }: CanaryPolicy): string {
  const [variant, ...others] = variants;
  if (variant !== undefined && others.length === 0) return variant.name;
  const names = [CONTROL, ...variants.map(({ name }) => name)].map((name) => JSON.stringify(name)).join(", ");
  throw new GatewayError("invalid-request", { detail: `variant: got nothing, wanted one of ${names}.` });
}

function view({ route, canary }: Released, answer: Answered<RolloutStatus | null> | undefined) {
  const shown = { route: route.id, release: canary.name };
  const variants = [{ name: CONTROL, backend: route.backend, percent: restOf(canary) }, ...canary.variants];
  function figures(variant: CanaryVariant, known: RolloutStatus | null): object {
    return { ...variant, ...known?.variants.find(({ name }) => name === variant.name) };
  }
  if (answer?.kind !== "answered") return { ...shown, owner: "silent", problem: answer?.problem, variants };
  const { reply: status } = answer;
  // What was said of another release is not about this one.
  const known = status?.release === canary.name ? status : null;
  return {
    ...shown,
    owner: known === null ? "unused" : "answered",
    epoch: known?.epoch,
    promoted: known?.promoted ?? null,
    aborted: known?.aborted ?? [],
    variants: variants.map((one) => figures(one, known)),
  };
}

function details(released: Released, answer: Answered<RolloutStatus | null> | undefined) {
  const history = answer?.kind === "answered" ? answer.reply?.history.toReversed() : undefined;
  return { ...view(released, answer), abort: released.canary.abort, history: history ?? [] };
}

function restOf({ variants }: CanaryPolicy): number {
  return Math.max(0, 100 - variants.reduce((sum, { percent }) => sum + percent, 0));
}
