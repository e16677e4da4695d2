import type { Exchange } from "../../exchange.ts";
import { movePart } from "./move-part.ts";
import { pump } from "../../upstream/pump.ts";
import { isNotModified, notModifiedFields } from "../conditional.ts";
import { readerOf, type Fields } from "../fields.ts";
import { rangeOf } from "../range.ts";
import { servedFields } from "../served-fields.ts";
import type { StoredResponse } from "../stored-response.ts";
import { drop, type KeptBody } from "../tiers/kept-body.ts";

/** Statuses that `Response` takes no body for (Fetch, "null body status"). */
const NULL_BODY: ReadonlySet<number> = new Set([204, 205, 304]);

/**
 * The answer to a requester from what is kept: a 304 where it has that already, the part that it asks for, or the whole, in the origin's
 * coding. Judged for each by its own fields.
 */
export function keptAnswer(exchange: Exchange, stored: StoredResponse, body: KeptBody, now: number): Response {
  const { canonical, fields } = exchange;
  const { status } = stored;
  const given = servedFields(stored, now).filter(([name]) => name !== "content-length");
  const reader = readerOf(stored.fields);
  if (isNotModified(status, reader, fields.endToEnd, now)) {
    drop(body);
    return new Response(null, { status: 304, headers: headersOf(notModifiedFields(given)) });
  }
  if (NULL_BODY.has(status)) {
    drop(body);
    return new Response(null, { status, headers: headersOf(given) });
  }
  const headers = headersOf(given);
  if (canonical.method === "HEAD") {
    drop(body);
    headers.set("content-length", String(stored.bodyBytes));
    return new Response(null, { status, headers });
  }
  const range = rangeOf(canonical.method, fields.endToEnd, stored, now);
  if (range.kind === "whole") {
    return answer(exchange, body, { status, headers, first: 0, length: stored.bodyBytes });
  }
  headers.set("content-range", range.contentRange);
  if (range.kind === "part") {
    const { first, last } = range;
    return answer(exchange, body, { status: 206, headers, first, length: last - first + 1 });
  }
  drop(body);
  for (const name of ["content-type", "content-encoding"]) headers.delete(name);
  return new Response(null, { status: 416, headers });
}

interface Given {
  readonly status: number;
  readonly headers: Headers;
  readonly first: number;
  readonly length: number;
}

function answer(exchange: Exchange, body: KeptBody, { status, headers, first, length }: Given): Response {
  const isPart = status === 206;
  // The bytes are coded as the fields say; the runtime would code them once more.
  const how = { status, headers, encodeBody: "manual" } as const;
  if (body.kind === "bytes") return new Response(body.bytes.subarray(first, first + length), how);
  const pipe = new FixedLengthStream(length);
  const { idle: idleMs } = exchange.route.route.timeouts;
  const signal = exchange.stop?.signal ?? exchange.request.signal;
  exchange.notes.body = isPart
    ? movePart(body.stream, pipe.writable, { first, length, idleMs, signal })
    : pump(body.stream, pipe.writable, { idleMs, signal });
  return new Response(pipe.readable, how);
}

function headersOf(fields: Fields): Headers {
  const headers = new Headers();
  for (const [name, value] of fields) headers.append(name, value);
  return headers;
}
