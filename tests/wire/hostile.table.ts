import type { ErrorCode } from "../../worker/errors.ts";
import { type RawRequest, request } from "../support/raw-request.ts";

/** What must come of a hostile request. */
export type HostileAnswer =
  /** The gateway refuses; the origin sees nothing. */
  | { readonly status: number; readonly code: ErrorCode; readonly allow?: string }
  /** The runtime's HTTP parser refuses before the Worker runs. */
  | { readonly status: number; readonly by: "runtime" }
  /** It is forwarded, and this is what the origin sees. */
  | {
      readonly status: 200;
      readonly target: string;
      readonly method?: string;
      readonly body?: string;
      /** Header values at the origin; undefined: absent. */
      readonly headers?: Readonly<Record<string, string | undefined>>;
    };

/** One attack, as bytes, with its answer. */
export interface HostileRow {
  readonly attack: string;
  readonly bytes: string;
  readonly answer: HostileAnswer;
}

/** The routes that the rows talk about; each target names its route, so that the origin shows which one was met. */
export function hostileConfig(originUrl: string): unknown {
  return {
    allowPrivateTargets: true,
    routes: [
      { prefix: "/public", target: `${originUrl}/via-public` },
      { prefix: "/private", target: `${originUrl}/via-private` },
      { prefix: "/gitlab", target: `${originUrl}/via-gitlab` },
      { prefix: "/reading", methods: ["GET"], target: `${originUrl}/via-reading` },
      { prefix: "/small", target: `${originUrl}/via-small`, sizeLimits: { maxBodySize: 100 } },
      { prefix: "/hosted", hosts: ["only.test"], target: `${originUrl}/via-hosted` },
      { prefix: "/", hosts: ["catch.test"], target: `${originUrl}/via-catch` },
      { prefix: "/private", hosts: ["catch.test"], target: `${originUrl}/via-private` },
      { prefix: "/once", target: `${originUrl}/via-once`, rateLimit: { requestsPerWindow: 1, windowSeconds: 3600 } },
    ],
  };
}

const invalidPath = { status: 400, code: "invalid-path" } as const;
const ambiguous = { status: 400, code: "ambiguous-path" } as const;
const noRoute = { status: 404, code: "route-not-found" } as const;
const badRequest = { status: 400, code: "invalid-request" } as const;
const runtime400 = { status: 400, by: "runtime" } as const;
const forwarded = (target: string) => ({ status: 200, target }) as const;

const get = (attack: string, target: string, answer: HostileAnswer): HostileRow => ({ attack, bytes: request({ target }), answer });
const ask = (attack: string, options: RawRequest, answer: HostileAnswer): HostileRow => ({ attack, bytes: request(options), answer });
const raw = (attack: string, bytes: string, answer: HostileAnswer): HostileRow => ({ attack, bytes, answer });
const header = (attack: string, headers: readonly string[], seen: Readonly<Record<string, string | undefined>>): HostileRow =>
  ask(attack, { target: "/public/a", headers }, { status: 200, target: "/via-public/a", headers: seen });

/** Paths: what is decided about is what is forwarded. */
export const pathRows: readonly HostileRow[] = [
  get("a plain path", "/public/a", forwarded("/via-public/a")),
  get("a literal dot segment", "/public/../private/x", forwarded("/via-private/x")),
  get("an encoded dot segment", "/public/%2e%2e/private/x", forwarded("/via-private/x")),
  get("a half encoded dot segment", "/public/.%2E/private/x", forwarded("/via-private/x")),
  get("more dot segments than the path is deep", "/public/../../../private/x", forwarded("/via-private/x")),
  get("dot segments that leave everything", "/public/../../etc/passwd", noRoute),
  get("single dots", "/public/./%2e/a", forwarded("/via-public/a")),
  get("dots and an encoded slash", "/public/..%2fprivate/x", ambiguous),
  get("encoded dots and an encoded slash", "/public/%2e%2e%2Fprivate/x", ambiguous),
  get("dots and an encoded backslash", "/public/..%5cprivate/x", ambiguous),
  get("twice encoded dots and slash", "/public/%252e%252e%252fprivate/x", ambiguous),
  get("dots with a path parameter", "/public/..;/private/x", ambiguous),
  get("dots with a named path parameter", "/public/..;v=1/private/x", ambiguous),
  get("overlong UTF-8 dots", "/public/%c0%ae%c0%ae/private/x", ambiguous),
  get("overlong UTF-8 slash", "/public/..%c0%afprivate/x", ambiguous),
  get("full-width dots", "/public/%ef%bc%8e%ef%bc%8e/private/x", ambiguous),
  get("full-width dots, unencoded", "/public/\u00ef\u00bc\u008e\u00ef\u00bc\u008e/private/x", ambiguous),
  get("an encoded slash that stays in its route", "/gitlab/group%2Frepo", forwarded("/via-gitlab/group%2Frepo")),
  get("an encoded way out and back into the same route", "/gitlab/%2e%2e%2fgitlab/x", forwarded("/via-gitlab/%2e%2e%2fgitlab/x")),
  get("a twice encoded percent that stays in its route", "/gitlab/100%2525", forwarded("/via-gitlab/100%2525")),
  get("a path parameter that stays in its route", "/public/a;v=1/b", forwarded("/via-public/a;v=1/b")),
  get("an overlong dot that stays in its route", "/public/%c0%ae/a", forwarded("/via-public/%c0%ae/a")),
  get("two slashes inside a route", "/public//private/x", forwarded("/via-public//private/x")),
  get("two slashes in front", "//private/x", noRoute),
  get("another authority in front", "//evil.test/x", noRoute),
  ask("two slashes in front of a route, with a catch-all", { target: "//private/x", host: "catch.test" }, ambiguous),
  ask("a path parameter on a route's own segment, with a catch-all", { target: "/private;x=1/y", host: "catch.test" }, ambiguous),
  ask("an encoded letter in a route's own segment, with a catch-all", { target: "/%70rivate/x", host: "catch.test" }, ambiguous),
  ask("another authority in front, with a catch-all", { target: "//evil.test/x", host: "catch.test" }, forwarded("/via-catch//evil.test/x")),
  get("another case", "/PUBLIC/a", noRoute),
  get("a route's name as the beginning of a longer one", "/publicity", noRoute),
  get("the prefix alone", "/public", forwarded("/via-public")),
  get("the prefix with a slash", "/public/", forwarded("/via-public/")),
  get("a backslash", "/public/..\\private/x", invalidPath),
  get("an encoded NUL", "/public/a%00.png", invalidPath),
  get("an encoded LF", "/public/a%0aX-Injected:1", invalidPath),
  get("an encoded CR LF", "/public/a%0D%0AX-Injected:1", invalidPath),
  get("a percent without digits", "/public/%", invalidPath),
  get("a percent with one digit", "/public/%4", invalidPath),
  get("a percent with letters that are no digits", "/public/%zz", invalidPath),
  get("a raw control character", "/public/a\x01b", runtime400),
  get("a raw tab", "/public/a\tb", runtime400),
  get("a raw NUL", "/public/a\0b", runtime400),
  get("a raw CR", "/public/a\rX-Injected: 1", runtime400),
  get("a raw DEL", "/public/a\x7fb", runtime400),
  get("a byte that is no UTF-8", "/public/a\xffb", runtime400),
  get("raw UTF-8", "/public/\xc3\xa9", forwarded("/via-public/%C3%A9")),
  get("a raw space", "/public/a b", runtime400),
  get("a fragment", "/public/a#/../private", forwarded("/via-public/a")),
  get("a query that names a prototype", "/public/a?__proto__[admin]=1&constructor=2", forwarded("/via-public/a?__proto__[admin]=1&constructor=2")),
  get("a query with odd escapes, repetitions and an order", "/public/a?b=2&a=%zz&b=1&c&%00=%0a&d=a+b", forwarded("/via-public/a?b=2&a=%zz&b=1&c&%00=%0a&d=a+b")),
  get("dot segments in the query", "/public/a?../../private", forwarded("/via-public/a?../../private")),
  get("a name that every object has", "/constructor", noRoute),
  get("the prototype's name", "/__proto__", noRoute),
];

/** Request lines, methods and hosts. */
export const targetRows: readonly HostileRow[] = [
  ask("absolute form with another host", { target: "http://evil.test/public/a" }, { status: 200, target: "/via-public/a", headers: { "x-forwarded-host": "gateway.test" } }),
  ask("absolute form with https", { target: "https://evil.test/public/a" }, { status: 200, target: "/via-public/a", headers: { "x-forwarded-proto": "http" } }),
  ask("absolute form with a user", { target: "http://user:password@evil.test/public/a" }, forwarded("/via-public/a")),
  get("no slash", "public/a", runtime400),
  get("a query alone", "?public", runtime400),
  ask("OPTIONS *", { method: "OPTIONS", target: "*" }, invalidPath),
  get("GET *", "*", invalidPath),
  ask("TRACE", { method: "TRACE", target: "/public/a" }, { status: 405, code: "method-not-allowed", allow: "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS" }),
  ask("CONNECT with an authority", { method: "CONNECT", target: "evil.test:443" }, { status: 500, by: "runtime" }),
  ask("CONNECT with a path", { method: "CONNECT", target: "/public/a" }, { status: 500, by: "runtime" }),
  ask("TRACK", { method: "TRACK", target: "/public/a" }, { status: 501, by: "runtime" }),
  ask("a lower-case method", { method: "get", target: "/public/a" }, { status: 501, by: "runtime" }),
  ask("a made-up method", { method: "FOO", target: "/public/a" }, { status: 501, by: "runtime" }),
  ask("a method of 300 bytes", { method: "A".repeat(300), target: "/public/a" }, { status: 501, by: "runtime" }),
  ask("a method that the route does not name", { method: "POST", target: "/reading/a" }, { status: 405, code: "method-not-allowed", allow: "GET, HEAD" }),
  ask("a method that the route does not name, whatever the override says", { method: "POST", target: "/reading/a", headers: ["X-HTTP-Method-Override: GET"] }, { status: 405, code: "method-not-allowed", allow: "GET, HEAD" }),
  ask("no such route", { target: "/nowhere" }, noRoute),
  ask("a host that the route does not name", { target: "/hosted/a", host: "evil.test" }, noRoute),
  ask("the named host in another case", { target: "/hosted/a", host: "ONLY.test" }, forwarded("/via-hosted/a")),
  ask("the named host with a dot at its end", { target: "/hosted/a", host: "only.test." }, noRoute),
  ask("X-Forwarded-Host with the named host", { target: "/hosted/a", headers: ["X-Forwarded-Host: only.test"] }, noRoute),
  ask("no host", { target: "/public/a", host: null }, runtime400),
  ask("an empty host", { target: "/public/a", host: "" }, runtime400),
  ask("two hosts", { target: "/public/a", headers: ["Host: evil.test"] }, badRequest),
  ask("a host with a space", { target: "/public/a", host: "gateway .test" }, badRequest),
  ask("a host with a path", { target: "/a", host: "gateway.test/public" }, badRequest),
  ask("a host with a user", { target: "/public/a", host: "user@gateway.test" }, badRequest),
  ask("a host with a backslash", { target: "/a", host: "gateway.test\\public" }, badRequest),
  ask("a host with a fragment", { target: "/public/a", host: "gateway.test#" }, badRequest),
  ask("a host with a query", { target: "/public/a", host: "gateway.test?" }, badRequest),
  ask("a port that is none", { target: "/public/a", host: "gateway.test:http" }, badRequest),
  raw("HTTP/1.2", "GET /public/a HTTP/1.2\r\nHost: gateway.test\r\n\r\n", runtime400),
  raw("HTTP/2.0 in HTTP/1 clothes", "GET /public/a HTTP/2.0\r\nHost: gateway.test\r\n\r\n", runtime400),
  raw("HTTP/0.9", "GET /public/a\r\n\r\n", runtime400),
  raw("HTTP/1.0", "GET /public/a HTTP/1.0\r\nHost: gateway.test\r\n\r\n", forwarded("/via-public/a")),
  raw("two spaces in the request line", "GET  /public/a  HTTP/1.1\r\nHost: gateway.test\r\n\r\n", runtime400),
  raw("a TLS hello", `\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03${"x".repeat(50)}\r\n\r\n`, runtime400),
  raw("line feeds without carriage returns", "GET /public/a HTTP/1.1\nHost: gateway.test\n\n", forwarded("/via-public/a")),
];

const NOBODY_ELSE = { "x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "http", "x-forwarded-host": "gateway.test" } as const;

/** Headers: nobody but the gateway tells the origin who is asking. */
export const headerRows: readonly HostileRow[] = [
  header("X-Forwarded-For", ["X-Forwarded-For: 10.0.0.1"], NOBODY_ELSE),
  header("X-Forwarded-For twice", ["X-Forwarded-For: 10.0.0.1", "X-Forwarded-For: 10.0.0.2"], NOBODY_ELSE),
  header("X-Forwarded-Host and -Proto", ["X-Forwarded-Host: evil.test", "X-Forwarded-Proto: https"], NOBODY_ELSE),
  header("X-Forwarded-anything", ["X-Forwarded-Port: 1", "X-Forwarded-Prefix: /e", "X-Forwarded-User: root"], { "x-forwarded-port": undefined, "x-forwarded-prefix": undefined, "x-forwarded-user": undefined }),
  header("Forwarded", ["Forwarded: for=10.0.0.1;host=evil.test"], { forwarded: 'for=127.0.0.1;host="gateway.test";proto=http' }),
  header("X-Real-IP and its kin", ["X-Real-IP: 10.0.0.1", "X-Client-IP: 10.0.0.1", "True-Client-IP: 10.0.0.1", "X-Cluster-Client-IP: 10.0.0.1"], { "x-real-ip": undefined, "x-client-ip": undefined, "true-client-ip": undefined, "x-cluster-client-ip": undefined, ...NOBODY_ELSE }),
  header("CF-Connecting-IP", ["CF-Connecting-IP: 9.9.9.9", "CF-Connecting-IPv6: ::9", "CF-Pseudo-IPv4: 9.9.9.9"], { "cf-connecting-ip": undefined, "cf-connecting-ipv6": undefined, "cf-pseudo-ipv4": undefined, ...NOBODY_ELSE }),
  header("underscore twins", ["X_Forwarded_For: 10.0.0.1", "CF_Connecting_IP: 9.9.9.9", "X_Real_IP: 10.0.0.1", "X_Request_ID: forged-id"], { x_forwarded_for: undefined, cf_connecting_ip: undefined, x_real_ip: undefined, x_request_id: undefined, ...NOBODY_ELSE }),
  header("half underscore twins", ["X-Forwarded_For: 10.0.0.1", "X_Forwarded-Proto: https"], { "x-forwarded_for": undefined, "x_forwarded-proto": undefined, ...NOBODY_ELSE }),
  header("an underscore in a name that is nobody's twin", ["X_Tenant: blue"], { x_tenant: "blue" }),
  header("Connection that names what the gateway adds", ["Connection: close, x-forwarded-for, x-request-id, forwarded", "X-Forwarded-For: 10.0.0.1"], { connection: undefined, forwarded: 'for=127.0.0.1;host="gateway.test";proto=http', ...NOBODY_ELSE }),
  header("Connection that names a header", ["Connection: X-Secret", "X-Secret: 1"], { "x-secret": undefined, connection: undefined }),
  header("Connection twice", ["Connection: X-One", "Connection: X-Two", "X-One: 1", "X-Two: 2", "X-Three: 3"], { "x-one": undefined, "x-two": undefined, "x-three": "3" }),
  header("Proxy-Authorization and Proxy-Connection", ["Proxy-Authorization: Basic e", "Proxy-Connection: keep-alive", "Proxy-Authenticate: Basic"], { "proxy-authorization": undefined, "proxy-connection": undefined, "proxy-authenticate": undefined }),
  header("Proxy (httpoxy)", ["Proxy: http://evil.test"], { proxy: undefined }),
  header("TE, Trailer and Keep-Alive", ["TE: trailers", "Trailer: X-T", "Keep-Alive: timeout=99"], { te: undefined, trailer: undefined, "keep-alive": undefined }),
  header("an upgrade to HTTP/2", ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"], { upgrade: undefined, "http2-settings": undefined, connection: undefined }),
  header("an upgrade to something made up", ["Connection: Upgrade", "Upgrade: evil/1"], { upgrade: undefined, connection: undefined }),
  header("method overrides", ["X-HTTP-Method-Override: DELETE", "X-HTTP-Method: DELETE", "X-Method-Override: DELETE"], { "x-http-method-override": undefined, "x-http-method": undefined, "x-method-override": undefined }),
  header("URL overrides", ["X-Original-URL: /private", "X-Rewrite-URL: /private"], { "x-original-url": undefined, "x-rewrite-url": undefined }),
  header("names that every object has", ["__proto__: 1", "constructor: 2", "toString: 3"], { ["__proto__"]: "1", constructor: "2", tostring: "3" }),
  header("an escape character in a value", ["X-Odd: a\x1b[31mb"], { "x-odd": "a\x1b[31mb" }),
  header("UTF-8 in a value", ["X-Odd: caf\xc3\xa9"], { "x-odd": "caf\xc3\xa9" }),
  header("a byte that is no UTF-8 in a value", ["X-Odd: caf\xe9"], { "x-odd": "caf\xe9" }),
  header("a line feed that starts another header", ["X-Odd: 1\nX-Forwarded-For: 10.0.0.1"], { "x-odd": "1", ...NOBODY_ELSE }),
  ask("NUL in a value", { target: "/public/a", headers: ["X-Odd: a\0b"] }, runtime400),
  ask("CR in a value", { target: "/public/a", headers: ["X-Odd: a\rX-Injected: 1"] }, runtime400),
  ask("a folded line", { target: "/public/a", headers: ["X-Odd: a\r\n b"] }, runtime400),
  ask("a line without a colon", { target: "/public/a", headers: ["X-Odd"] }, runtime400),
  ask("a line without a name", { target: "/public/a", headers: [": 1"] }, runtime400),
  ask("a space before the colon", { target: "/public/a", headers: ["X-Odd : 1"] }, runtime400),
];

const NO_MORE = { status: 413, code: "payload-too-large" } as const;
const TOO_MANY = { status: 431, code: "headers-too-large" } as const;
const post = (attack: string, options: Omit<RawRequest, "target"> & { target?: string }, answer: HostileAnswer): HostileRow =>
  ask(attack, { method: "POST", target: "/public/a", ...options }, answer);

/** Sizes and framing. */
export const sizeRows: readonly HostileRow[] = [
  get("a URL of 8,192 bytes", `/public/${"a".repeat(8184)}`, forwarded(`/via-public/${"a".repeat(8184)}`)),
  get("a URL of 8,193 bytes", `/public/${"a".repeat(8185)}`, { status: 414, code: "uri-too-long" }),
  get("a query that makes it 8,193 bytes", `/public/a?${"a".repeat(8183)}`, { status: 414, code: "uri-too-long" }),
  get("a URL of 70,000 bytes", `/public/${"a".repeat(70_000)}`, { status: 414, by: "runtime" }),
  ask("100 headers", { target: "/public/a", headers: Array.from({ length: 99 }, (_, n) => `X-${n}: 1`) }, forwarded("/via-public/a")),
  ask("101 headers", { target: "/public/a", headers: Array.from({ length: 100 }, (_, n) => `X-${n}: 1`) }, TOO_MANY),
  ask("5,000 headers", { target: "/public/a", headers: Array.from({ length: 5000 }, (_, n) => `X-${n}: 1`) }, TOO_MANY),
  ask("one header of 33 KB", { target: "/public/a", headers: [`X-Large: ${"a".repeat(33_000)}`] }, TOO_MANY),
  ask("one header of 200 KB", { target: "/public/a", headers: [`X-Large: ${"a".repeat(200_000)}`] }, TOO_MANY),
  post("a body of exactly the limit", { target: "/small/a", body: "a".repeat(100) }, { status: 200, target: "/via-small/a", body: "a".repeat(100) }),
  post("a declared body over the limit", { target: "/small/a", body: "a".repeat(101) }, NO_MORE),
  post("a declared body of 99 GB", { headers: ["Content-Length: 99999999999"] }, NO_MORE),
  post("a declared body over 2^64", { headers: ["Content-Length: 18446744073709551617"] }, runtime400),
  post("a negative length", { headers: ["Content-Length: -1"] }, runtime400),
  post("a length with a sign", { headers: ["Content-Length: +3"] }, runtime400),
  post("a hexadecimal length", { headers: ["Content-Length: 0x3"] }, runtime400),
  post("two lengths that differ", { headers: ["Content-Length: 3", "Content-Length: 4"] }, runtime400),
  post("two lengths that agree", { headers: ["Content-Length: 3"], body: "abc" }, { status: 200, target: "/via-public/a", body: "abc", headers: { "content-length": "3" } }),
  post("a length beside chunks", { headers: ["Content-Length: 3"], chunks: ["hello"] }, { status: 200, target: "/via-public/a", body: "hello", headers: { "content-length": undefined } }),
  post("an unknown transfer coding", { headers: ["Transfer-Encoding: cow"] }, runtime400),
  post("chunked, then identity", { headers: ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"] }, runtime400),
  post("a vertical tab before chunked", { headers: ["Transfer-Encoding:\x0bchunked"] }, runtime400),
  raw("gzip as a transfer coding", "POST /public/a HTTP/1.1\r\nHost: gateway.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", badRequest),
  raw("a chunk extension", "POST /public/a HTTP/1.1\r\nHost: gateway.test\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\n\r\n", { status: 200, target: "/via-public/a", body: "abc" }),
  raw("a trailer", "POST /public/a HTTP/1.1\r\nHost: gateway.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n", { status: 200, target: "/via-public/a", body: "abc", headers: NOBODY_ELSE }),
  ask("GET with a body", { target: "/public/a", body: "abc" }, { status: 200, target: "/via-public/a", method: "GET", body: "abc", headers: { "content-length": "3" } }),
  post("Expect: 100-continue", { headers: ["Expect: 100-continue"], body: "abc" }, { status: 200, target: "/via-public/a", body: "abc", headers: { expect: undefined } }),
  post("an expectation nobody knows", { headers: ["Expect: tea"], body: "abc" }, { status: 200, target: "/via-public/a", body: "abc", headers: { expect: undefined } }),
];
