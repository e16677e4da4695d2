import { HOP_BY_HOP, namesIn } from "./request-headers.ts";

/**
 * The origin's header fields as the client gets them: everything but the fields of the origin's own connection and those
 * that its `Connection` names. Several `Set-Cookie` stay several.
 */
export function responseHeaders(origin: Headers): Headers {
  const headers = new Headers(origin);
  const connection = origin.get("connection");
  for (const name of HOP_BY_HOP) if (connection !== null || name !== "connection") headers.delete(name);
  if (connection === null) return headers;
  for (const name of namesIn(connection) ?? []) if (FIELD_NAME.test(name)) headers.delete(name);
  return headers;
}

/** RFC 9110 5.1; `Headers.delete` throws on anything else. */
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
