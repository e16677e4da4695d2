import { addresses } from "../../../objects/address.ts";
import type { PurgeReply } from "../../../objects/control-plane/purge-messages.ts";
import { parsePurgePrefix, type PurgeTarget } from "../../../objects/control-plane/purge.ts";
import { ONE_TRY } from "../../../objects/one-try.ts";
import { parseCanonical } from "../../canonical.ts";
import { resourceOf } from "../../cache/flow/keyed-request.ts";
import { plainPath } from "../../cache/plain-path.ts";
import { GatewayError } from "../../errors.ts";
import { namingSecret } from "../../limits/client-address.ts";
import { within } from "../../within.ts";
import type { AdminContext } from "../index.ts";
import { json } from "../json.ts";
import { invalid, keepingRoute } from "./keeping-route.ts";

const TARGETS = ["prefix", "tag", "key", "route", "all"];
const PURGE_MS = 5_000;
/** What isolates hold on to what they know for. */
const EFFECTIVE_MS = 2_000;

/**
 * POST /admin/cache-invalidate?prefix=GET::/api (or tag=, key=URL, route=ID, all=true)&soft=true: purges what is kept, in every place and
 * variant. Effective everywhere within 2 s of the answer; what begins within a second after it may be fetched twice.
 *
 * @throws GatewayError `invalid-request`, `not-found` for a route that there is not, `dependency-unavailable` when it is not known to have
 * been noted: it may be repeated.
 */
export async function invalidateCache({ env, query, active }: AdminContext): Promise<Response> {
  const named = [...query.keys()].filter((name) => name !== "soft");
  const [name] = named;
  const isOne = named.length === 1 && name !== undefined && TARGETS.includes(name);
  if (!isOne || query.getAll("soft").length > 1) {
    throw invalid(
      `query: got ${named.join(", ") || "nothing"}, wanted exactly one of ${TARGETS.join(", ")}, and "soft" beside it if need be`,
    );
  }
  const isSoft = flagOf("soft", query.get("soft") ?? "false");
  const targets = await targetsOf(name, query.get(name) ?? "", active);
  const { name: plane } = await addresses(namingSecret(env)).controlPlane();
  const stub = env.CONTROL_PLANE.get(env.CONTROL_PLANE.idFromName(plane), ONE_TRY);
  try {
    const late = () => new Error(`ControlPlane did not answer within ${PURGE_MS} ms`);
    const asked = targets.map((target): Promise<PurgeReply> => stub.purge({ v: 1, target, isSoft }));
    const replies = await within(Promise.all(asked), PURGE_MS, late);
    const at = Math.max(...replies.map((reply) => reply.at));
    return json({ purged: targets[0], soft: isSoft, at: new Date(at).toISOString(), effectiveWithinMs: EFFECTIVE_MS });
  } catch (error) {
    throw new GatewayError("dependency-unavailable", {
      detail: "The purge is not known to have been noted; repeat it.",
      headers: { "retry-after": "1" },
      cause: error,
    });
  }
}

async function targetsOf(name: string, value: string, active: AdminContext["active"]): Promise<readonly PurgeTarget[]> {
  if (name !== "key") return [targetOf(name, value, active)];
  const resources = await resourcesAt(value, active);
  return resources.map((resource) => ({ kind: "key", value: resource }));
}

function targetOf(name: string, value: string, active: AdminContext["active"]): PurgeTarget {
  switch (name) {
    case "prefix": {
      const prefix = parsePurgePrefix(value);
      if (prefix === undefined)
        throw invalid(
          `prefix: got ${JSON.stringify(value)}, wanted METHOD:HOST:PATH, such as GET::/api or GET:shop.example.com:/api, the method in capitals`,
        );
      return { kind: "prefix", prefix: { ...prefix, path: pathOf(prefix.path) } };
    }
    case "route":
      if (active.routes.has(value)) return { kind: "route", value };
      throw new GatewayError("not-found", {
        detail: `Got ${JSON.stringify(value)}, wanted the id of a route; GET ${active.config.admin.prefix}/config shows them.`,
      });
    case "all":
      if (flagOf("all", value)) return { kind: "all" };
      throw invalid("all: got false, wanted true");
    default:
      if (value === "") throw invalid("tag: got nothing, wanted a tag");
      return { kind: "tag", value };
  }
}

/** Of what a plain GET of the URL means, first, and of all other routes that might keep something of it: by a field, or a method. */
async function resourcesAt(url: string, active: AdminContext["active"]): Promise<readonly string[]> {
  const { canonical, route: first } = keepingRoute("key", url, active);
  const others = [...active.routes.values()].filter(({ route: { cache, path } }) => {
    return cache !== undefined && (path.kind === "pattern" || canonical.path.startsWith(path.value));
  });
  const keeping = [...new Set([first, ...others])].flatMap(({ route }) =>
    route.cache === undefined ? [] : [resourceOf(canonical, route.id, route.cache)],
  );
  return Promise.all(keeping);
}

/** As what is kept knows it: a prefix in another spelling would reach nothing, and say that it had. */
function pathOf(path: string): string {
  const parsed = parseCanonical("GET", `http://any${path}`);
  if (!parsed.ok)
    throw invalid(`prefix: got ${JSON.stringify(path)}, wanted the beginning of a path: ${parsed.detail}`);
  if (/[?#]/.test(path))
    throw invalid(`prefix: got ${JSON.stringify(path)}, wanted a path without a query; purge by key`);
  return plainPath(parsed.request.path);
}

function flagOf(name: string, text: string): boolean {
  if (text === "true" || text === "false") return text === "true";
  throw invalid(`${name}: got ${JSON.stringify(text)}, wanted true or false`);
}
