import type { Client } from "../client.ts";
import type { CanonicalRequest } from "../canonical.ts";
import type { RequestFields } from "../request-fields.ts";

/** Fields of one connection, never of the message (RFC 9110 7.6.1), and what only a proxy of the client may see. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-authentication-info",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
]);

/**
 * What the gateway alone may say to an origin. A client's own version never passes, nor its underscore twin, which CGI
 * style servers read as the same name.
 */
const GATEWAY_SAYS: ReadonlySet<string> = new Set([
  "x-forwarded-for",
  "x-forwarded-proto",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-server",
  "forwarded",
  "x-real-ip",
  "x-client-ip",
  "x-cluster-client-ip",
  "true-client-ip",
  "cf-connecting-ip",
  "cf-connecting-ipv6",
  "cf-pseudo-ipv4",
  "x-request-id",
  "x-original-url",
  "x-rewrite-url",
  "x-http-method-override",
  "x-http-method",
  "x-method-override",
]);

/** `Expect: 100-continue` passed on makes the origin answer 100, which `fetch` cannot represent; `Host` is the target's. */
const NOT_FORWARDED: ReadonlySet<string> = new Set(["host", "expect", "content-length"]);

export interface ForwardedRequest {
  readonly canonical: CanonicalRequest;
  readonly client: Client;
  readonly fields: RequestFields;
  readonly requestId: string;
}

/**
 * The header fields an origin gets. Fields that the client's `Connection` names are dropped before the gateway adds its
 * own, so that a client cannot have the gateway's fields removed (Traefik CVE-2024-45410).
 */
export function requestHeaders(request: ForwardedRequest): [name: string, value: string][] {
  const { canonical, client, fields, requestId } = request;
  const named = connectionNames(fields);
  const headers: [string, string][] = [];
  for (const [name, value] of fields.list) {
    if (HOP_BY_HOP.has(name) || GATEWAY_SAYS.has(name) || NOT_FORWARDED.has(name) || named?.has(name)) continue;
    if (name.includes("_") && isTwin(name)) continue;
    headers.push([name, value]);
  }
  headers.push(
    ["x-forwarded-for", client.forwardedFor],
    ["x-forwarded-proto", client.scheme],
    ["x-forwarded-host", canonical.host],
    ["forwarded", forwarded(client, canonical.host)],
    ["x-request-id", requestId],
  );
  return headers;
}

function connectionNames(fields: RequestFields): ReadonlySet<string> | undefined {
  for (const [name, value] of fields.list) if (name === "connection") return namesIn(value);
  return undefined;
}

/** Lower-case field names that a `Connection` value lists; undefined for the usual `keep-alive` or `close` alone. */
export function namesIn(connection: string): ReadonlySet<string> | undefined {
  if (connection === "keep-alive" || connection === "close") return undefined;
  return new Set(connection.split(",").map((name) => name.trim().toLowerCase()));
}

function isTwin(name: string): boolean {
  const dashed = name.replaceAll("_", "-");
  return GATEWAY_SAYS.has(dashed) || HOP_BY_HOP.has(dashed);
}

/** RFC 7239: an IPv6 address is bracketed and quoted, a host is quoted because of its port. */
function forwarded(client: Client, host: string): string {
  const address = client.address.includes(":") ? `"[${client.address}]"` : client.address;
  return `for=${address};host="${host}";proto=${client.scheme}`;
}

export { HOP_BY_HOP };
