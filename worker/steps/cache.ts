import type { Backend, CachePolicy, Route } from "../../schemas/index.ts";
import { answerOf, retentionOf, type Answer, type Candidate } from "../cache/answer.ts";
import { askOrigin } from "../cache/flow/ask-origin.ts";
import { credentialsOf } from "../cache/flow/credentials.ts";
import type { Asking } from "../cache/flow/asking.ts";
import { invalidateAfter } from "../cache/flow/invalidate-after.ts";
import { invalidatedHere } from "../cache/flow/group-invalidation.ts";
import { keyRequest } from "../cache/flow/keyed-request.ts";
import { keptAnswer } from "../cache/flow/kept-answer.ts";
import { afterGroups, groupTagsOf } from "../cache/groups.ts";
import { bypassOf } from "../cache/lookup.ts";
import { refreshLater } from "../cache/flow/refresh.ts";
import { requestRulesOf } from "../cache/request-rules.ts";
import { storedFreshness, type Freshness } from "../cache/freshness.ts";
import type { StoredResponse } from "../cache/stored-response.ts";
import { plainPath } from "../cache/plain-path.ts";
import { drop } from "../cache/tiers/kept-body.ts";
import type { KeptResponse } from "../cache/tiers/records.ts";
import { bringNearer, findResponse } from "../cache/tiers/shelves.ts";
import { forwarded, told } from "../cache/flow/told.ts";
import { currentEpochs } from "../cache/flow/epochs.ts";
import { purgeVerdict, type PurgeEpochs, type PurgeVerdict } from "../../objects/control-plane/purge.ts";
import { withoutCookie } from "../cookie.ts";
import { GatewayError } from "../errors.ts";
import type { Exchange, Handler, Step } from "../exchange.ts";
import { decidingFields } from "../upstream/prepare-request.ts";

/**
 * Answers from what is kept where it may, keeps what comes from the origin where it may, and gives what is stale where the origin fails.
 * What may be is decided by the pure files of worker/cache; what the origin is asked is what was keyed (docs/design/cache.md).
 */
export function cache(policy: CachePolicy, route: Route, backends: ReadonlyMap<string, Backend>): Step {
  const deciding = decidingFields(route);
  const hasCredentials = credentialsOf(route);
  const ownCookies = stickyCookies(route, backends);
  // A response that binds its client to a target is nobody else's, and one that is somebody's own has to come from his target.
  const flights = ownCookies.length === 0 ? route.deduplication : undefined;

  // An isolate that reads an entry again within a second reads the same one.
  const judgedBefore = new WeakMap<StoredResponse, Freshness>();
  function freshnessOf(stored: StoredResponse): Freshness {
    const before = judgedBefore.get(stored);
    if (before !== undefined) return before;
    const freshness = storedFreshness(stored, policy);
    judgedBefore.set(stored, freshness);
    return freshness;
  }

  const groupsBefore = new WeakMap<StoredResponse, readonly string[]>();
  // What is stored is of one key, and so of one origin.
  function groupsOf(stored: StoredResponse, origin: string): readonly string[] {
    const before = groupsBefore.get(stored);
    if (before !== undefined) return before;
    const groups = groupTagsOf(origin, stored.fields);
    groupsBefore.set(stored, groups);
    return groups;
  }

  return async function cacheStep(given: Exchange, next: Handler): Promise<Response> {
    const plain = plainPath(given.canonical.path);
    const isPlain = plain === given.canonical.path;
    const exchange = isPlain ? given : { ...given, canonical: { ...given.canonical, path: plain } };
    const { canonical, request, fields } = exchange;
    const { endToEnd } = fields;
    const cookie = ownCookies.reduce(withoutOwn, endToEnd.get("cookie"));
    const rules = requestRulesOf(endToEnd, policy);
    const asked = {
      method: canonical.method,
      path: canonical.path,
      fields: { get: (name: string) => (name === "cookie" ? cookie : fieldOf(fields, name)) },
      hasBody: request.body !== null || hasLength(endToEnd.get("content-length")),
      knownBy: endToEnd.get("authorization") === null ? ("other" as const) : ("authorization" as const),
      rules,
    };
    const bypass = bypassOf({ ...asked, hasOtherCredentials: hasCredentials(fields) }, policy);
    const terms = { policy, route: route.id, cookie, deciding };
    if (bypass === "method") {
      const answer = await next(given);
      await invalidateAfter(exchange, answer, terms);
      return told(exchange, answer, forwarded("method"));
    }
    if (bypass !== undefined) return told(exchange, await next(given), forwarded("bypass", { detail: bypass }));

    const keyed = await keyRequest(exchange, terms);
    const shelves = { env: exchange.env, policy };
    const knowing = currentEpochs(exchange);
    let judged: Judged | undefined;
    const found = await findResponse(keyed, shelves, async (one) => {
      judged = judge(one, await knowing);
      return isAnswer(judged.how);
    });
    for (const tier of found.failed) (exchange.notes.degraded ??= []).push(`cache-${tier}`);
    const now = Date.now();
    const kept = found.kind === "found" ? found.kept : undefined;
    if (kept === undefined) judged = undefined;
    else if (judged?.kept !== kept) judged = judge(kept, await knowing);
    const candidate = judged?.candidate;
    const how = judged?.how ?? answerOf(undefined, now, rules);
    const missed = found.kind === "vary-miss" ? "vary-miss" : "uri-miss";
    const { since } = found;
    const asking: Asking = { exchange, next, policy, rules, keyed, kept, candidate, missed, since, flights };

    if (kept !== undefined && candidate !== undefined && (how.kind === "fresh" || how.kind === "stale")) {
      if (how.kind === "stale" && how.refresh) refreshLater(asking);
      else if (kept.tier !== "colo") {
        exchange.ctx.waitUntil(bringNearer(keyed, shelves, kept, retentionOf(candidate, now)));
      }
      const detail = how.kind === "fresh" ? kept.tier : how.refresh ? "swr" : "max-stale";
      const outcome = { kind: "hit", ttlMs: how.ttlMs, detail } as const;
      return told(exchange, keptAnswer(exchange, kept.stored, kept.body, now), outcome);
    }
    if (how.kind === "unsatisfiable") {
      if (kept !== undefined) drop(kept.body);
      throw new GatewayError("not-cached", { detail: "The request asks for what is kept alone, and nothing is." });
    }
    // What a purge has killed bridges no outage either.
    if (how.kind === "miss" && kept !== undefined) {
      drop(kept.body);
      return askOrigin({ ...asking, kept: undefined, candidate: undefined });
    }
    return askOrigin(asking);

    function judge(one: KeptResponse, epochs: PurgeEpochs | undefined): Judged {
      const usable = candidateOf(one, epochs);
      return { kept: one, candidate: usable, how: answerOf(usable, Date.now(), rules) };
    }

    function candidateOf({ stored }: KeptResponse, epochs: PurgeEpochs | undefined): Candidate {
      const { host, path } = canonical;
      const known = {
        requestedAt: stored.requestedAt,
        bytesRequestedAt: stored.bytesRequestedAt,
        key: keyed.resource,
        route: route.id,
        method: "GET",
        host,
        path,
      };
      // Purged or not, nobody can tell: only its origin can.
      const freshness = freshnessOf(stored);
      if (epochs === undefined) return { stored, freshness, purge: UNKNOWN };
      const purge = purgeVerdict({ ...known, tags: [...stored.tags, ...policy.tags] }, epochs);
      if (!policy.groupInvalidation) return { stored, freshness, purge };
      const grouped = {
        requestedAt: stored.requestedAt,
        groups: groupsOf(stored, `${exchange.client.scheme}://${host}`),
      };
      return { stored, freshness, purge: afterGroups(purge, grouped, epochs, invalidatedHere) };
    }
  };
}

/** What a tier has, and what may be made of it. */
interface Judged {
  readonly kept: KeptResponse;
  readonly candidate: Candidate;
  readonly how: Answer;
}

/** Whether no other tier need be asked. */
function isAnswer({ kind }: Answer): boolean {
  return kind === "fresh" || kind === "stale";
}

/** `Upgrade` is always named by `Connection`, and says all the same that no response of an ordinary kind is wanted. */
function fieldOf(fields: Exchange["fields"], name: string): string | null {
  return name === "upgrade" ? fields.get(name) : fields.endToEnd.get(name);
}

/** As if it had been purged softly before anybody can remember: it has to be confirmed. */
const UNKNOWN: PurgeVerdict = { kind: "stale", since: 0 };

/** A length that is none, too: whoever reads it may read a body. */
function hasLength(declared: string | null): boolean {
  return declared !== null && declared !== "0";
}

/** The gateway's own cookies, which say nothing of who is asking: with them every bound client would go past the cache. */
function stickyCookies(route: Route, backends: ReadonlyMap<string, Backend>): readonly string[] {
  const names = [route, ...route.alternatives].flatMap(({ backend, circuitBreaker }) => {
    const fallback = circuitBreaker?.fallback;
    return fallback?.kind === "backend" ? [backend, fallback.backend] : [backend];
  });
  return names.flatMap((name) => {
    const sticky = backends.get(name)?.sticky;
    return sticky?.by === "cookie" ? [sticky.name] : [];
  });
}

function withoutOwn(field: string | null, name: string): string | null {
  if (field === null) return null;
  const rest = withoutCookie(field, name);
  return rest === "" ? null : rest;
}
