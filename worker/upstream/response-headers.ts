import { namesIn } from "./request-headers.ts";

/** What the runtime passes on of the origin's own connection; it drops `Connection`, `TE`, `Trailer` and the like itself. */
const OF_THE_CONNECTION = ["keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authentication-info"];

/**
 * Strips a response of the fields of the origin's own connection and of those that its `Connection` names. Everything
 * else is the client's, several `Set-Cookie` as several.
 */
export function stripConnection(headers: Headers): void {
  for (const name of OF_THE_CONNECTION) headers.delete(name);
  const connection = headers.get("connection");
  if (connection === null) return;
  for (const name of namesIn(connection)) headers.delete(name);
  headers.delete("connection");
}
