import { credentialsOf } from "./credentials.ts";
import { isNotModified, notModifiedFields } from "../conditional.ts";
import { collectBody, fillBody } from "./fill-body.ts";
import { retentionOf } from "../answer.ts";
import { shelvesOf, whyOf, type Answered, type Asking } from "./asking.ts";
import { fieldsOf, readerOf, type Fields } from "../fields.ts";
import type { Freshness } from "../freshness.ts";
import { ALIVE } from "../../../objects/control-plane/purge.ts";
import { storabilityOf, type Storability } from "../storability.ts";
import { toStored, type StoredResponse } from "../stored-response.ts";
import { keepResponse } from "../tiers/shelves.ts";
import { forwarded, told } from "./told.ts";

/** Gives the client what the origin has answered, and keeps it once it has come whole, where it may be kept. */
export async function fill(asking: Asking, answered: Answered): Promise<Response> {
  const { exchange, policy } = asking;
  const { answer, requestedAt, receivedAt, bind } = answered;
  const fields = fieldsOf(answer.headers);
  const storability = judged(asking, { status: answer.status, fields, receivedAt });
  const declared = answer.headers.get("content-length");
  const isTooLarge = declared !== null && Number(declared) > policy.maxBytes;
  if (policy.stripSetCookie) answer.headers.delete("set-cookie");
  if (storability.kind === "pass" || isTooLarge) {
    bind?.(answer);
    const detail = storability.kind === "pass" ? storability.why : "size";
    return told(exchange, answer, forwarded(whyOf(asking), { detail }));
  }
  const { freshness, tags } = storability;
  const head = { fields, requestedAt, receivedAt };
  const keep = async (bytes: Uint8Array | undefined) => {
    if (bytes === undefined) return;
    const stored = toStored(answer.status, head, { bodyBytes: bytes.byteLength, tags });
    await keepLater(asking, stored, bytes, freshness);
  };
  const outcome = forwarded(whyOf(asking), { isStored: true, status: answer.status });
  const confirmation = unmodified(asking, answer, fields);
  if (confirmation !== undefined) {
    exchange.ctx.waitUntil(collectBody(answer, policy.maxBytes).then(keep));
    return told(exchange, confirmation, outcome);
  }
  const { body, whole } = fillBody(answer, policy.maxBytes);
  exchange.ctx.waitUntil(whole.then(keep));
  const { status, headers } = answer;
  return told(exchange, new Response(body, { status, headers, encodeBody: "manual" }), outcome);
}

/** Whether a response to this request may be kept. */
export function judged(
  { exchange, policy }: Asking,
  came: { readonly status: number; readonly fields: Fields; readonly receivedAt: number },
): Storability {
  const { fields, route } = exchange;
  const hasAuthorization = fields.endToEnd.get("authorization") !== null || credentialsOf(route.route)(fields);
  const { path } = exchange.canonical;
  return storabilityOf({ method: "GET", path, hasAuthorization, hasRange: false, ...came }, policy);
}

/** Keeps a response, for as long as it is worth it. A tier that fails keeps nothing, and nobody waits to hear it. */
export async function keepLater(
  asking: Asking,
  stored: StoredResponse,
  bytes: Uint8Array,
  freshness: Freshness,
): Promise<void> {
  const retentionMs = retentionOf({ stored, freshness, purge: ALIVE }, Date.now());
  await keepResponse(asking.keyed, shelvesOf(asking), { stored, body: bytes }, { retentionMs });
}

/** The client's own conditions were not sent: what came is judged by them here. Undefined: it is to get all of it. */
function unmodified({ exchange }: Asking, { status, headers }: Response, fields: Fields): Response | undefined {
  if (!isNotModified(status, readerOf(fields), exchange.fields.endToEnd, Date.now())) return undefined;
  const kept = new Headers(headers);
  const names = new Set(notModifiedFields(fields).map(([name]) => name));
  for (const [name] of fields) if (!names.has(name)) kept.delete(name);
  return new Response(null, { status: 304, headers: kept });
}
