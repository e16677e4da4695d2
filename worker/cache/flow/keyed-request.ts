import { createLru } from "../../../objects/lru.ts";
import { selectingValue, type SelectingFields } from "../../../objects/dedup/variant.ts";
import type { CachePolicy } from "../../../schemas/index.ts";
import type { CanonicalRequest } from "../../canonical.ts";
import type { Exchange } from "../../exchange.ts";
import { requestHeaders } from "../../upstream/request-headers.ts";
import { keyBytes, keyParts } from "../cache-key.ts";
import { keyedCookies } from "../keyed-cookies.ts";
import { keyedQuery } from "../keyed-query.ts";
import type { FieldReader } from "../fields.ts";
import { plainPath } from "../plain-path.ts";
import { withheldFields } from "../unkeyed-fields.ts";

/** A request as the cache asks for it: what it is known by, and what of it the origin sees, which is the same. */
export interface KeyedRequest {
  /** Hex SHA-256 of all that two requests must have in common. What it stands in is the address of the key's records. */
  readonly key: string;
  /** The same without what tells principals and cookies apart: what a purge of the key means. */
  readonly resource: string;
  /** Where the record of the key is. */
  readonly address: string;
  /** Where word is left of what makes the resource useless, whomever entries of it are for; the same where there is one for all. */
  readonly root: string;
  /** Where the response for a variant is. */
  addressOf(variant: string): Promise<string>;
  /** The fields that a fill sends, the gateway's own included: what a response varies by. Read when it is first asked for. */
  readonly sent: SelectingFields;
  /** The exchange of a fill, with these conditions of ours in the place of the client's. */
  fill(conditions?: readonly (readonly [name: string, value: string])[]): Exchange;
  /** The exchange of a request that goes by itself, under the client's own conditions: what comes of it is not kept. */
  alone(): Exchange;
}

/** What of a request is keyed, beside the policy. */
export interface KeyTerms {
  readonly policy: CachePolicy;
  readonly route: string;
  /** The `Cookie` field without what is the gateway's own. */
  readonly cookie: string | null;
  /** Fields that a policy of the route goes by; see `requestHeaders`. */
  readonly deciding: ReadonlySet<string>;
}

const ACCEPTED = ["accept", "accept-encoding", "accept-language"];

/** Works out what a request is known by. What is not keyed here is not sent either. */
export async function keyRequest(exchange: Exchange, terms: KeyTerms): Promise<KeyedRequest> {
  const { policy, route, cookie, deciding } = terms;
  const { canonical, client, fields, placement } = exchange;
  const { endToEnd } = fields;
  const query = keyedQuery(canonical.query, policy.query);
  const cookies = policy.cookies.kind === "key" ? keyedCookies(cookie, policy.cookies.names) : null;
  const partition = partitionOf(policy, cookies, endToEnd);
  // What one backend or variant answers is no other's.
  if (placement !== undefined) partition.push("placement", placement.backend, written(placement.variant ?? null));
  // The scheme that the client used, as its origin is told.
  const request = { ...canonical, scheme: client.scheme };
  const parts = keyParts({ request, query, route, partition });
  const key = await (partition.length === 0 ? commonDigest(parts) : digest(parts));
  const resource = partition.length === 0 ? key : await resourceOf(request, route, policy);

  function outgoing(isFill: boolean): Headers {
    const headers = new Headers(exchange.request.headers);
    for (const name of withheldFields(fields.names, policy, isFill)) headers.delete(name);
    if (cookies !== null) headers.set("cookie", cookies);
    else headers.delete("cookie");
    for (const name of ACCEPTED) {
      const value = selectingValue(name, endToEnd.get(name));
      if (value !== null) headers.set(name, value);
    }
    return headers;
  }
  function asking(headers: Headers): Exchange {
    return { ...exchange, canonical: { ...canonical, path: plainPath(canonical.path), query }, outgoing: headers };
  }

  let sent: Headers | undefined;
  return {
    key,
    resource,
    address: addressOf(canonical.host, key),
    root: addressOf(canonical.host, resource),
    async addressOf(variant) {
      return addressOf(canonical.host, await digest([...parts, "variant", variant]));
    },
    sent: {
      get(name) {
        sent ??= requestHeaders(asking(outgoing(true)), deciding);
        return sent.get(name);
      },
    },
    fill(conditions = []) {
      const headers = outgoing(true);
      for (const [name, value] of conditions) headers.set(name, value);
      return asking(headers);
    },
    alone: () => asking(outgoing(false)),
  };
}

/** What a purge of a URL's key means: every variant of it, whomever it is for. */
export function resourceOf(request: CanonicalRequest, route: string, policy: CachePolicy): Promise<string> {
  return digest(keyParts({ request, query: keyedQuery(request.query, policy.query), route, partition: [] }));
}

/** What keeps entries apart that are for some and not for others. Each has its name before it, absent or not. */
function partitionOf(policy: CachePolicy, cookies: string | null, fields: FieldReader): string[] {
  const partition: string[] = [];
  if (policy.cookies.kind === "key") partition.push("cookies", written(cookies));
  if (policy.authorization === "key") partition.push("authorization", written(fields.get("authorization")));
  return partition;
}

/** None is not the same as an empty one. */
function written(value: string | null): string {
  return value === null ? "" : `=${value}`;
}

/** On the host that was asked: on others the cache of a zone doesn't act. Nobody reaches it by this URL; it is in a cache of its own. */
function addressOf(host: string, hash: string): string {
  return `https://${host}/sluice-cache/${hash}`;
}

/** A hash costs as much as looking it up a hundred times. What tells principals apart is in no table. */
const digests = createLru<string, string>(2_000);
const MAX_KNOWN = 512;

async function commonDigest(parts: readonly string[]): Promise<string> {
  // Each with its length: no two lists are one text.
  let text = "";
  for (const part of parts) text += `${part.length}:${part}`;
  const known = digests.get(text);
  if (known !== undefined) return known;
  const made = await digest(parts);
  if (text.length <= MAX_KNOWN) digests.set(text, made);
  return made;
}

async function digest(parts: readonly string[]): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", keyBytes(parts)));
  return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
