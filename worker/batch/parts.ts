import * as v from "valibot";
import { closedObject } from "../../schemas/document/closed-object.ts";
import { listOf, token } from "../../schemas/values/primitives.ts";
import { GatewayError } from "../errors.ts";
import type { RequestFields } from "../request-fields.ts";
import { isGateways } from "../upstream/request-headers.ts";

const REQUESTS = "an array of at least one request";
const HEADERS = "an object from names of headers to texts";

/** One request of a batch. */
const PartSchema = closedObject({
  method: v.optional(token('a method such as "GET"')),
  path: v.pipe(v.string(), v.regex(/^\/(?!\/)/, 'a path with its query, such as "/users/1?full=true"')),
  headers: v.optional(v.record(v.string(HEADERS), v.string(HEADERS), HEADERS)),
  body: v.optional(v.unknown()),
});

/** What a batch is sent as; its requests are looked at once it is known that they are not too many. */
export const BatchBodySchema = closedObject({ requests: listOf(v.unknown(), REQUESTS, REQUESTS) });

/** The requests of a batch. */
export const PartsSchema = v.object({ requests: v.array(PartSchema) });

/** One request of a batch as its client wrote it. */
export type PartInput = v.InferOutput<typeof PartSchema>;

/** Of the connection, and how a body is framed and coded on it. */
const OF_THE_CONNECTION: ReadonlySet<string> = new Set([
  "accept-encoding",
  "connection",
  "content-length",
  "expect",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);
/** What each request has to say for itself. */
const OF_ONE: ReadonlySet<string> = new Set(["idempotency-key", "range"]);
/** What a client's library says of every request, so that it is no word of the batch's. */
const REPLACEABLE: ReadonlySet<string> = new Set(["accept", "accept-language", "user-agent"]);

/**
 * Makes the request that one part of a batch stands for: with the fields of the batch that are not about its body, and its own. What
 * the batch says, a part can't say otherwise: whatever stands in front of the gateway has seen the batch alone.
 *
 * @throws GatewayError `invalid-request`.
 */
export function partRequest(batch: Request, fields: RequestFields, part: PartInput): Request {
  const { method = "GET", path, body } = part;
  if (body !== undefined && /^(?:get|head)$/i.test(method)) {
    throw new GatewayError("invalid-request", {
      detail: `Got a ${method} with a body, wanted one without, or another "method", such as "POST".`,
    });
  }
  try {
    const headers = new Headers();
    for (const name of fields.names) if (isInherited(name, fields)) headers.set(name, fields.get(name) ?? "");
    for (const [name, value] of Object.entries(part.headers ?? {})) {
      const lower = name.toLowerCase();
      if (mayAdd(lower) && (!headers.has(lower) || REPLACEABLE.has(lower))) headers.set(lower, value);
    }
    // Nobody could show a coded body in JSON.
    headers.set("accept-encoding", "identity");
    if (body !== undefined && typeof body !== "string" && !headers.has("content-type")) {
      headers.set("content-type", "application/json");
    }
    const sent = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
    const bytes = sent === undefined ? undefined : new TextEncoder().encode(sent);
    if (bytes !== undefined) headers.set("content-length", String(bytes.byteLength));
    return new Request(new URL(batch.url).origin + path, {
      method,
      headers,
      redirect: "manual",
      signal: batch.signal,
      ...(batch.cf === undefined ? {} : { cf: batch.cf }),
      ...(bytes === undefined ? {} : { body: bytes }),
    });
  } catch (cause) {
    throw new GatewayError("invalid-request", {
      detail: `Got ${method} with headers of which no request can be made, wanted a method that is forwarded, names that are tokens and values without line breaks.`,
      cause,
    });
  }
}

function isInherited(name: string, { connectionNames }: RequestFields): boolean {
  if (name.startsWith("content-") || name.startsWith("if-")) return false;
  return !OF_THE_CONNECTION.has(name) && !OF_ONE.has(name) && !connectionNames.includes(name);
}

function mayAdd(name: string): boolean {
  // A browser's word for where a script is from, and the edge's for where a client is, are nobody else's.
  if (name.startsWith("cf-") || name.startsWith("sec-") || name === "origin" || name === "host") return false;
  return !OF_THE_CONNECTION.has(name) && !isGateways(name);
}
