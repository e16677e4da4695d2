import type { Client } from "../client.ts";
import type { CanonicalRequest } from "../canonical.ts";
import { GatewayError } from "../errors.ts";
import type { RequestFields } from "../request-fields.ts";

/** Fields of one connection, never of the message (RFC 9110 7.6.1), and what only a proxy of the client may see. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
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
  "forwarded",
  // httpoxy: CGI hands this to programs as HTTP_PROXY.
  "proxy",
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
  readonly request: Request;
  readonly canonical: CanonicalRequest;
  readonly client: Client;
  readonly fields: RequestFields;
  readonly requestId: string;
  readonly outgoing?: Headers;
  readonly isUpgrade?: boolean;
  readonly event?: Readonly<Record<string, string>>;
}

/**
 * The header fields an origin gets. Fields that the client's `Connection` names are dropped before the gateway adds its
 * own, so that a client cannot have the gateway's fields removed (Traefik CVE-2024-45410).
 *
 * Copied by the runtime and then mended: handing `fetch` a list of pairs costs three times as much.
 *
 * @param deciding fields that a policy went by: sent as the one value that it saw, and without underscore twins, or the
 * origin could read another value than the one decided about (Go takes the first of two lines).
 * @throws GatewayError `invalid-request` for a transfer coding other than `chunked`.
 */
export function requestHeaders(forwarded: ForwardedRequest, deciding: ReadonlySet<string>): Headers {
  const { request, canonical, client, fields, requestId, outgoing } = forwarded;
  const headers = new Headers(outgoing ?? request.headers);
  refuseUnknownCoding(fields.get("transfer-encoding"));
  for (const name of fields.names) if (isDropped(name, deciding)) headers.delete(name);
  for (const name of fields.connectionNames) headers.delete(name);
  // The handshake with the origin is another one: the runtime makes its key.
  if (forwarded.isUpgrade === true) headers.set("upgrade", "websocket");
  for (const name of deciding) {
    const value = headers.get(name);
    if (value?.includes(",") === true) headers.set(name, value);
  }
  // A probe of the gateway's own speaks for no client.
  if (client.forwardedFor !== "") headers.set("x-forwarded-for", client.forwardedFor);
  headers.set("x-forwarded-proto", client.scheme);
  headers.set("x-forwarded-host", canonical.host);
  headers.set("forwarded", forwardedBy(client, canonical.host));
  headers.set("x-request-id", requestId);
  if (forwarded.event !== undefined)
    for (const [name, value] of Object.entries(forwarded.event)) headers.set(name, value);
  return headers;
}

/** The runtime undoes the chunks alone, and the origin would never learn of the rest. */
function refuseUnknownCoding(coding: string | null): void {
  if (coding === null || coding.toLowerCase() === "chunked") return;
  throw new GatewayError("invalid-request", { detail: `The transfer coding is ${coding}; only chunked is taken.` });
}

function isDropped(name: string, deciding: ReadonlySet<string>): boolean {
  if (HOP_BY_HOP.has(name) || isGateways(name) || NOT_FORWARDED.has(name)) return true;
  return name.includes("_") && !deciding.has(name) && isTwin(name, deciding);
}

/** RFC 9110 5.1; `Headers.delete` throws on anything else. */
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const NONE: readonly string[] = [];

/** Lower-case field names that a `Connection` value lists; none for the usual `keep-alive` or `close` alone. */
export function namesIn(connection: string): readonly string[] {
  if (connection === "" || connection === "keep-alive" || connection === "close") return NONE;
  return connection
    .split(",")
    .map((name) => name.trim().toLowerCase())
    .filter((name) => FIELD_NAME.test(name));
}

function isTwin(name: string, deciding: ReadonlySet<string>): boolean {
  const dashed = name.replaceAll("_", "-");
  return isGateways(dashed) || HOP_BY_HOP.has(dashed) || deciding.has(dashed);
}

const ALL_OF = ["x-forwarded-", "x-sluice-", "proxy-"];

/**
 * Every `X-Forwarded-*`, not just the ones sent: origins believe -Prefix, -User and -Client-Cert too. `Proxy-*` is between
 * the client and its own proxy.
 */
export function isGateways(name: string): boolean {
  return GATEWAY_SAYS.has(name) || ALL_OF.some((start) => name.startsWith(start));
}

/** RFC 7239: an IPv6 address is bracketed and quoted, a host is quoted because of its port. */
function forwardedBy(client: Client, host: string): string {
  const address = client.address.includes(":") ? `"[${client.address}]"` : client.address;
  const forClient = address === "" ? "" : `for=${address};`;
  return `${forClient}host="${host}";proto=${client.scheme}`;
}
