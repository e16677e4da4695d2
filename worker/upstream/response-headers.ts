import { namesIn } from "./request-headers.ts";

/** What the runtime passes on of the origin's own connection; it drops `Connection`, `TE`, `Trailer` and the like itself. */
const OF_THE_CONNECTION = ["keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authentication-info"];

/**
 * The origin's header fields as the client gets them: everything but the fields of the origin's own connection and those
 * that its `Connection` names. Several `Set-Cookie` stay several.
 */
export function responseHeaders(origin: Headers): Headers {
  const headers = new Headers(origin);
  for (const name of OF_THE_CONNECTION) headers.delete(name);
  const connection = headers.get("connection");
  if (connection === null) return headers;
  for (const name of namesIn(connection)) headers.delete(name);
  headers.delete("connection");
  return headers;
}
