import { ageOnArrival } from "../age.ts";
import { credentialsOf } from "./credentials.ts";
import { isNotModified, notModifiedFields } from "../conditional.ts";
import { collectBody, fillBody } from "./fill-body.ts";
import { retentionOf } from "../answer.ts";
import { shelvesOf, whyOf, type Answered, type Asking } from "./asking.ts";
import { fieldsOf, readerOf, type Fields } from "../fields.ts";
import type { Freshness } from "../freshness.ts";
import { ALIVE } from "../../../objects/control-plane/purge.ts";
import { storabilityOf, type Received, type Storability } from "../storability.ts";
import { stripCookies, toStored, type StoredResponse } from "../stored-response.ts";
import { keepResponse, type Where } from "../tiers/shelves.ts";
import { noteShareable } from "./flights.ts";
import { forwarded, told } from "./told.ts";

/** Gives the client what the origin has answered, and keeps it once it has come whole, where it may be kept. */
export async function fill(asking: Asking, answered: Answered): Promise<Response> {
  const { exchange, policy } = asking;
  const { answer, bind, flight } = answered;
  const keeping = keepingOf(asking, answered);
  if (exchange.notes.flight === "joined") tellAge(answered);
  const confirmation = unmodified(asking, answer);
  if (policy.stripSetCookie) stripCookies(answer.headers);
  const { keep, detail } = keeping;
  const outcome = forwarded(whyOf(asking), keeping.isStored ? { isStored: true, status: answer.status } : { detail });
  if (keeping.isShareable && exchange.notes.flight === "alone") noteShareable(asking);
  if (!keeping.isStored) bind?.(answer);
  // A condition that was not sent is judged here, whether or not the response is kept.
  const isSame = confirmation !== undefined && (keeping.isStored || flight !== undefined);
  if (isSame) {
    if (keep === undefined) void answer.body?.cancel().catch(() => {});
    else exchange.ctx.waitUntil(collectBody(answer, policy.maxBytes).then(keep));
    return told(exchange, confirmation, outcome);
  }
  if (keep === undefined) return told(exchange, answer, outcome);
  const { body, whole } = fillBody(answer, policy.maxBytes);
  exchange.ctx.waitUntil(whole.then(keep));
  const { status, headers } = answer;
  return told(exchange, new Response(body, { status, headers, encodeBody: "manual" }), outcome);
}

/** What was made for another, and may have come long ago, says how old it is (RFC 9111, section 4). */
function tellAge({ answer: { headers }, requestedAt, receivedAt }: Answered): void {
  const ageMs = ageOnArrival(headers, { requestedAt, receivedAt }) + Math.max(0, Date.now() - receivedAt);
  headers.set("age", String(Math.floor(ageMs / 1_000)));
}

/** What is to become of a response. */
interface Keeping {
  /** Whether a shared cache might keep it. */
  readonly isShareable: boolean;
  /** Whether it may be kept, here or by others who have it too. */
  readonly isStored: boolean;
  /** Keeps it, once its body is there whole. Undefined: that is not for this request to do. */
  readonly keep: ((bytes: Uint8Array | undefined) => Promise<void>) | undefined;
  /** Why it isn't kept. */
  readonly detail: string | undefined;
}

/** Whether and how a response is kept. To be asked before anything is taken out of its fields. */
export function keepingOf(asking: Asking, answered: Omit<Answered, "bind">): Keeping {
  const { policy } = asking;
  const { answer, requestedAt, receivedAt, bytesRequestedAt = requestedAt, flight } = answered;
  const { status, headers } = answer;
  const fields = fieldsOf(headers);
  const storability = judged(asking, { status, fields, receivedAt });
  if (storability.kind === "pass") {
    return { isShareable: false, isStored: false, keep: undefined, detail: storability.why };
  }
  if (Number(headers.get("content-length") ?? 0) > policy.maxBytes || policy.maxBytes === 0) {
    return { isShareable: true, isStored: false, keep: undefined, detail: policy.maxBytes === 0 ? undefined : "size" };
  }
  // Whoever fetched it keeps it for all; of those who read it one in each place does so for that.
  if (flight === "reader") {
    return { isShareable: true, isStored: true, keep: undefined, detail: undefined };
  }
  const { freshness, tags } = storability;
  const where = flight === undefined ? "all" : "own";
  const keep = async (bytes: Uint8Array | undefined) => {
    if (bytes === undefined) return;
    const head = { fields, requestedAt, receivedAt };
    const stored = { ...toStored(status, head, { bodyBytes: bytes.byteLength, tags }), bytesRequestedAt };
    await keepLater(asking, stored, bytes, freshness, where);
  };
  return { isShareable: true, isStored: true, keep, detail: undefined };
}

/** A head that has come. `receivedAt` in ms since the epoch. */
interface Came {
  readonly status: number;
  readonly fields: Fields;
  readonly receivedAt: number;
}

/** Whether a response to this request may be kept. */
export function judged(asking: Asking, came: Came): Storability {
  return storabilityOf(received(asking, came), asking.policy);
}

/** What has come for this request. */
export function received({ exchange }: Asking, came: Came): Received {
  const { fields, route, canonical } = exchange;
  const hasAuthorization = fields.endToEnd.get("authorization") !== null || credentialsOf(route.route)(fields);
  return { method: "GET", path: canonical.path, hasAuthorization, hasRange: false, ...came };
}

/** Keeps a response, for as long as it is worth it. A tier that fails keeps nothing, and nobody waits to hear it. */
export async function keepLater(
  asking: Asking,
  stored: StoredResponse,
  bytes: Uint8Array,
  freshness: Freshness,
  where: Where = "all",
): Promise<void> {
  const retentionMs = retentionOf({ stored, freshness, purge: ALIVE }, Date.now());
  await keepResponse(asking.keyed, shelvesOf(asking), { stored, body: bytes }, { retentionMs, where });
}

/** The client's own conditions were not sent: what came is judged by them here. Undefined: it is to get all of it. */
function unmodified({ exchange }: Asking, { status, headers }: Response): Response | undefined {
  const fields = fieldsOf(headers);
  if (!isNotModified(status, readerOf(fields), exchange.fields.endToEnd, Date.now())) return undefined;
  const kept = new Headers(headers);
  const names = new Set(notModifiedFields(fields).map(([name]) => name));
  for (const [name] of fields) if (!names.has(name)) kept.delete(name);
  return new Response(null, { status: 304, headers: kept });
}
