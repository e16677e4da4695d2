import * as v from "valibot";
import type { OrderKind } from "../../../objects/circuit-breaker/target-messages.ts";
import type { TargetStatus } from "../../../objects/circuit-breaker/target-status.ts";
import { closedObject } from "../../../schemas/document/closed-object.ts";
import { GatewayError } from "../../errors.ts";
import { readOptionalBody } from "../body.ts";
import { BACKEND, backendNamed, targetsOf, urlsMeant } from "./found-backends.ts";
import type { AdminContext } from "../index.ts";
import { json } from "../json.ts";
import { askOwners, type Answered } from "./target-owners.ts";
import { viewTarget, type TargetView } from "./target-view.ts";
import { UNWATCHED, watchedTargets, type Watched } from "./watched-targets.ts";

const TARGET = "the URL of a target, as the configuration writes it";
/** Until there are several, and roles. */
const ADMIN = "admin";

const OrderBody = closedObject({ target: v.optional(v.pipe(v.string(TARGET), v.minLength(1, TARGET))) });
const ResetBody = closedObject({ backend: v.optional(v.pipe(v.string(BACKEND), v.minLength(1, BACKEND))) });

/** What came of an order for one target, with how it is then. */
interface Carried extends TargetView {
  readonly url: string;
  /** `unknown`: its owner didn't answer, and may have carried it out. */
  readonly result: "done" | "unknown" | "not-applicable";
  readonly detail?: string;
}

/**
 * POST /admin/backends/{name}/open, close, auto or drain, for all targets of a backend or the one that `target` names: holds
 * breakers open or closed, takes targets out for new clients, or ends both.
 *
 * @throws GatewayError `invalid-request` when no target has what is ordered, `dependency-unavailable` when an owner is silent;
 * either tells of each target.
 */
export async function orderBackend(
  name: string,
  order: Exclude<OrderKind, "reset">,
  context: AdminContext,
): Promise<Response> {
  const { config } = context.active;
  const backend = backendNamed(config, name);
  const { target } = await readOptionalBody(context.request, OrderBody);
  const url = oneOf("target", only("target", context.query), target);
  const urls = targetsOf(backend, url).map((one) => one.url);
  const targets = await carryOut(order, urls, context);
  return json({ backend: name, order, targets });
}

/**
 * POST /admin/circuit-breaker-reset?backend=: closes breakers and forgets why they were open and what health checks said. Of
 * one target by its URL, or all of a backend by its name.
 *
 * @throws GatewayError as `orderBackend` does.
 */
export async function resetBreakers(context: AdminContext): Promise<Response> {
  const body = await readOptionalBody(context.request, ResetBody);
  const backend = oneOf("backend", only("backend", context.query), body.backend);
  if (backend === undefined) {
    throw new GatewayError("invalid-request", { detail: `backend: got nothing, wanted ${BACKEND}.` });
  }
  const targets = await carryOut("reset", urlsMeant(context.active.config, backend), context);
  return json({ backend, order: "reset", targets });
}

/** The only parameter that an order has: a misspelt one, or two, would turn an order for one target into one for others. */
function only(name: string, query: URLSearchParams): string | undefined {
  const stranger = [...query.keys()].find((key) => key !== name);
  const values = query.getAll(name);
  if (stranger === undefined && values.length <= 1) return values[0];
  const detail =
    stranger === undefined
      ? `${name}: got ${values.length} in the query, wanted one.`
      : `query: got ${JSON.stringify(stranger)}, wanted "${name}" alone.`;
  throw new GatewayError("invalid-request", { detail });
}

function oneOf(name: string, inQuery: string | undefined, inBody: string | undefined): string | undefined {
  if (inQuery === undefined || inBody === undefined || inQuery === inBody) return inQuery ?? inBody;
  throw new GatewayError("invalid-request", {
    detail: `${name}: got ${JSON.stringify(inQuery)} in the query and ${JSON.stringify(inBody)} in the body, wanted one.`,
  });
}

async function carryOut(
  kind: OrderKind,
  urls: readonly string[],
  { env, active: { config } }: AdminContext,
): Promise<readonly Carried[]> {
  const watched = watchedTargets(config);
  const watchedBy = (url: string): Watched => watched.get(url) ?? UNWATCHED;
  const reached = urls.filter((url) => obstacle(kind, watchedBy(url)) === undefined);
  const answers = await askOwners<TargetStatus>(env, reached, (owner, target) =>
    owner.order({ v: 1, target, kind, by: ADMIN }),
  );
  const byUrl = new Map(answers.map((answer, index) => [reached[index] ?? "", answer]));
  const targets = urls.map((url) => carried(url, watchedBy(url), byUrl.get(url), obstacle(kind, watchedBy(url))));
  if (reached.length === 0) {
    const [first] = targets;
    throw new GatewayError("invalid-request", { detail: `${first?.url}: ${first?.detail}.`, members: { targets } });
  }
  const silent = targets.filter(({ result }) => result === "unknown");
  if (silent.length === 0) return targets;
  throw new GatewayError("dependency-unavailable", {
    detail: `The owners of ${silent.length} of ${reached.length} targets did not answer. An order may be given again.`,
    headers: { "retry-after": "1" },
    members: { targets },
  });
}

function carried(
  url: string,
  watched: Watched,
  answer: Answered<TargetStatus> | undefined,
  detail: string | undefined,
): Carried {
  if (answer === undefined)
    return { url, result: "not-applicable", ...(detail !== undefined && { detail }), owner: "none" };
  return { url, result: answer.kind === "answered" ? "done" : "unknown", ...viewTarget(watched, answer) };
}

/** Why an order would change nothing for a target; undefined: it would, or ends what an earlier configuration let be ordered. */
function obstacle(kind: OrderKind, { byBreaker, byHealthCheck, byChoice }: Watched): string | undefined {
  switch (kind) {
    case "open":
    case "close":
      return byBreaker ? undefined : "no request meets a circuit breaker here; configure circuitBreaker first";
    case "reset":
      return byBreaker || byHealthCheck ? undefined : "it has neither a circuit breaker nor a health check to forget";
    case "drain":
      return byChoice ? undefined : "it is the only target of its backend, so nobody else can take its new clients";
    case "auto":
      return undefined;
  }
}
