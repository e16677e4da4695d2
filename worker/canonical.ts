/**
 * The one parse of a request's URL. Routing, access rules, keys and the forwarded request all use this value, so what was
 * decided about is what is sent: `req.url` arrives raw in workerd while `new URL` folds it, and a gateway that reads both
 * can be walked around (Envoy CVE-2019-9901, Traefik CVE-2025-66490).
 */
export interface CanonicalRequest {
  readonly method: string;
  readonly scheme: "http" | "https";
  /** Lower-case host with its port when that is not the scheme's own. */
  readonly host: string;
  /** Starts with "/", dot segments resolved, percent escapes as the client wrote them; a fixed point of WHATWG URL parsing. */
  readonly path: string;
  /** Raw query with its "?", order and escapes kept; empty when there is none. */
  readonly query: string;
}

export type CanonicalResult =
  | { readonly ok: true; readonly request: CanonicalRequest }
  | { readonly ok: false; readonly detail: string };

/** Absolute URLs that WHATWG parsing would return unchanged, which is nearly all of them: no escapes, no odd characters. */
const PLAIN_URL =
  /^(https?):\/\/([a-z0-9.-]+(?::[1-9]\d*)?)(\/[A-Za-z0-9\-._~!$&()*+,;=:@/]*)(\?[A-Za-z0-9\-._~!$&()*+,;=:@/?%[\]|\\]*)?$/;

// oxlint-disable-next-line no-control-regex -- control characters are what this looks for
const CONTROL = /[\u0000-\u001f\u007f]/;
const BROKEN_ESCAPE = /%(?![0-9A-Fa-f]{2})/;
const FORBIDDEN_ESCAPE = /%0[0aAdD]/;

/**
 * Parses an absolute request URL into its canonical form, or says in one sentence why the path is refused (400
 * `invalid-path`): control characters, a raw backslash, a malformed percent escape, an encoded NUL, CR or LF.
 */
export function parseCanonical(method: string, url: string): CanonicalResult {
  const plain = PLAIN_URL.exec(url);
  if (plain !== null) {
    const [, scheme, host, path, query] = plain;
    // "/." begins a dot segment or a dot file; "//" is legal but let the full parser see whatever is unusual.
    const isPlain = path?.includes("/.") === false && host !== undefined && !isUnusualHost(scheme, host);
    if (isPlain && path !== undefined) {
      return {
        ok: true,
        request: { method, scheme: scheme === "https" ? "https" : "http", host, path, query: query ?? "" },
      };
    }
  }
  return parseUnusual(method, url);
}

/** RFC 3986 3.2.2: a final dot names the root and the same host; a route or a wildcard would not see it as the same. */
const ROOT_DOT = /\.(?=(?::\d+)?$)/;

/** A port that is the scheme's own, or a root dot. */
function isUnusualHost(scheme: string | undefined, host: string): boolean {
  return host.endsWith(scheme === "https" ? ":443" : ":80") || host.endsWith(".") || host.includes(".:");
}

function parseUnusual(method: string, url: string): CanonicalResult {
  const authority = url.indexOf("://") + 3;
  const start = indexOfAny(url, "/?#\\", authority);
  const end = indexOfAny(url, "?#", start);
  const rawPath = url.slice(start, end);
  // RFC 9112 3.2.4: "*" is about a server as a whole, and the runtime glues it to the host name.
  if (rawPath === "" && url.endsWith("*")) return refuse("the target * names no resource here");
  if (CONTROL.test(url)) return refuse("the URL holds a control character; percent-encode it");
  if (rawPath.includes("\\")) return refuse("the path holds a raw backslash; write %5C if it is data");
  if (BROKEN_ESCAPE.test(rawPath))
    return refuse("the path holds a % that is not followed by two hexadecimal digits; write %25");
  if (FORBIDDEN_ESCAPE.test(rawPath)) return refuse("the path holds an encoded NUL, CR or LF, which no path may carry");
  const parsed = URL.parse(url);
  if (parsed === null) return refuse("the request target is not a URL");
  return {
    ok: true,
    request: {
      method,
      scheme: parsed.protocol === "https:" ? "https" : "http",
      host: parsed.host.replace(ROOT_DOT, ""),
      path: parsed.pathname,
      query: parsed.search,
    },
  };
}

function indexOfAny(text: string, characters: string, from: number): number {
  for (let i = from; i < text.length; i++) if (characters.includes(text.charAt(i))) return i;
  return text.length;
}

function refuse(detail: string): CanonicalResult {
  return { ok: false, detail };
}
