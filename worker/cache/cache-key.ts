import type { CanonicalRequest } from "../canonical.ts";
import { plainPath } from "./plain-path.ts";

/** What two requests must have in common to share what is stored. */
export interface KeyParts {
  readonly request: CanonicalRequest;
  /** As `keyedQuery` gives it, and as it is sent upstream. */
  readonly query: string;
  readonly route: string;
  /** Tells apart what must never meet: a principal, values of cookies that the route keys by. Empty: everybody. */
  readonly partition: readonly string[];
}

/** Another number where the parts or what is stored behind them change, so that a new version reads nothing of the old. */
const VERSION = "1";

/**
 * The parts of a primary cache key. HEAD has the key of GET; host and scheme are part of it (Pingora CVE-2026-2836 left them out), and so
 * is the route, whose target and policy made the response what it is. The path is that of `plainPath`, and so it has to be sent.
 */
export function keyParts({ request, query, route, partition }: KeyParts): readonly string[] {
  const { scheme, host, path } = request;
  const method = request.method === "HEAD" ? "GET" : request.method;
  return [VERSION, method, scheme, host, plainPath(path), query, route, ...partition];
}

/**
 * The bytes to take the SHA-256 of: the number of parts, then each with its length before it, so that no two lists of parts are the same
 * bytes. UTF-16 as it stands, since UTF-8 makes one character of all lone surrogates.
 */
export function keyBytes(parts: readonly string[]): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(parts.reduce((sum, part) => sum + 4 + 2 * part.length, 4)));
  view.setUint32(0, parts.length);
  let at = 4;
  for (const part of parts) {
    view.setUint32(at, part.length);
    at += 4;
    for (let index = 0; index < part.length; index++, at += 2) view.setUint16(at, part.charCodeAt(index));
  }
  return new Uint8Array(view.buffer);
}
