import { ask, type HostileRow, NOBODY_ELSE, runtime400 } from "./rows.ts";

const header = (
  attack: string,
  headers: readonly string[],
  seen: Readonly<Record<string, string | undefined>>,
): HostileRow => ask(attack, { target: "/public/a", headers }, { status: 200, target: "/via-public/a", headers: seen });

/** Headers: nobody but the gateway tells the origin who is asking. */
export const headerRows: readonly HostileRow[] = [
  header("X-Forwarded-For", ["X-Forwarded-For: 10.0.0.1"], NOBODY_ELSE),
  header("X-Forwarded-For twice", ["X-Forwarded-For: 10.0.0.1", "X-Forwarded-For: 10.0.0.2"], NOBODY_ELSE),
  header("X-Forwarded-Host and -Proto", ["X-Forwarded-Host: evil.test", "X-Forwarded-Proto: https"], NOBODY_ELSE),
  header("X-Forwarded-anything", ["X-Forwarded-Port: 1", "X-Forwarded-Prefix: /e", "X-Forwarded-User: root"], {
    "x-forwarded-port": undefined,
    "x-forwarded-prefix": undefined,
    "x-forwarded-user": undefined,
  }),
  header("Forwarded", ["Forwarded: for=10.0.0.1;host=evil.test"], {
    forwarded: 'for=127.0.0.1;host="gateway.test";proto=http',
  }),
  header(
    "X-Real-IP and its kin",
    ["X-Real-IP: 10.0.0.1", "X-Client-IP: 10.0.0.1", "True-Client-IP: 10.0.0.1", "X-Cluster-Client-IP: 10.0.0.1"],
    {
      "x-real-ip": undefined,
      "x-client-ip": undefined,
      "true-client-ip": undefined,
      "x-cluster-client-ip": undefined,
      ...NOBODY_ELSE,
    },
  ),
  header("CF-Connecting-IP", ["CF-Connecting-IP: 9.9.9.9", "CF-Connecting-IPv6: ::9", "CF-Pseudo-IPv4: 9.9.9.9"], {
    "cf-connecting-ip": undefined,
    "cf-connecting-ipv6": undefined,
    "cf-pseudo-ipv4": undefined,
    ...NOBODY_ELSE,
  }),
  header(
    "underscore twins",
    ["X_Forwarded_For: 10.0.0.1", "CF_Connecting_IP: 9.9.9.9", "X_Real_IP: 10.0.0.1", "X_Request_ID: forged-id"],
    {
      x_forwarded_for: undefined,
      cf_connecting_ip: undefined,
      x_real_ip: undefined,
      x_request_id: undefined,
      ...NOBODY_ELSE,
    },
  ),
  header("half underscore twins", ["X-Forwarded_For: 10.0.0.1", "X_Forwarded-Proto: https"], {
    "x-forwarded_for": undefined,
    "x_forwarded-proto": undefined,
    ...NOBODY_ELSE,
  }),
  header("an underscore in a name that is nobody's twin", ["X_Tenant: blue"], { x_tenant: "blue" }),
  header(
    "Connection that names what the gateway adds",
    ["Connection: close, x-forwarded-for, x-request-id, forwarded", "X-Forwarded-For: 10.0.0.1"],
    { connection: undefined, forwarded: 'for=127.0.0.1;host="gateway.test";proto=http', ...NOBODY_ELSE },
  ),
  header("Connection that names a header", ["Connection: X-Secret", "X-Secret: 1"], {
    "x-secret": undefined,
    connection: undefined,
  }),
  ask(
    "Connection that names what a route goes by",
    { target: "/versioned/a", headers: ["Connection: X-Version", "X-Version: 2"] },
    { status: 200, target: "/via-first/a", headers: { "x-version": undefined } },
  ),
  ask(
    "two of what a limit goes by, which origins read as the first or as the last",
    { target: "/keyed/a", headers: ["X-Key: valid", "X-Key: other"] },
    { status: 200, target: "/via-keyed/a", headers: { "x-key": "valid, other" } },
  ),
  ask(
    "an underscore twin of what a limit goes by",
    { target: "/keyed/a", headers: ["X-Key: one", "X_Key: another"] },
    { status: 200, target: "/via-keyed/a", headers: { "x-key": "one", x_key: undefined } },
  ),
  header("Connection twice", ["Connection: X-One", "Connection: X-Two", "X-One: 1", "X-Two: 2", "X-Three: 3"], {
    "x-one": undefined,
    "x-two": undefined,
    "x-three": "3",
  }),
  header(
    "Proxy-Authorization and Proxy-Connection",
    ["Proxy-Authorization: Basic e", "Proxy-Connection: keep-alive", "Proxy-Authenticate: Basic"],
    { "proxy-authorization": undefined, "proxy-connection": undefined, "proxy-authenticate": undefined },
  ),
  header(
    "Proxy-anything",
    ["Proxy-Client-IP: 10.0.0.1", "Proxy_Client_IP: 10.0.0.1", "Proxy-User: root", "Proximity: 5"],
    { "proxy-client-ip": undefined, proxy_client_ip: undefined, "proxy-user": undefined, proximity: "5" },
  ),
  header("Proxy (httpoxy)", ["Proxy: http://evil.test"], { proxy: undefined }),
  header("TE, Trailer and Keep-Alive", ["TE: trailers", "Trailer: X-T", "Keep-Alive: timeout=99"], {
    te: undefined,
    trailer: undefined,
    "keep-alive": undefined,
  }),
  header(
    "an upgrade to HTTP/2",
    ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"],
    { upgrade: undefined, "http2-settings": undefined, connection: undefined },
  ),
  header(
    "a WebSocket handshake, which is a plain GET until sockets are relayed",
    [
      "Connection: keep-alive, Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ],
    { upgrade: undefined, connection: undefined },
  ),
  header("an upgrade to something made up", ["Connection: Upgrade", "Upgrade: evil/1"], {
    upgrade: undefined,
    connection: undefined,
  }),
  header("method overrides", ["X-HTTP-Method-Override: DELETE", "X-HTTP-Method: DELETE", "X-Method-Override: DELETE"], {
    "x-http-method-override": undefined,
    "x-http-method": undefined,
    "x-method-override": undefined,
  }),
  header("URL overrides", ["X-Original-URL: /private", "X-Rewrite-URL: /private"], {
    "x-original-url": undefined,
    "x-rewrite-url": undefined,
  }),
  header("names that every object has", ["__proto__: 1", "constructor: 2", "toString: 3"], {
    ["__proto__"]: "1",
    constructor: "2",
    tostring: "3",
  }),
  header("an escape character in a value", ["X-Odd: a\x1b[31mb"], { "x-odd": "a\x1b[31mb" }),
  header("UTF-8 in a value", ["X-Odd: caf\xc3\xa9"], { "x-odd": "caf\xc3\xa9" }),
  header("a byte that is no UTF-8 in a value", ["X-Odd: caf\xe9"], { "x-odd": "caf\xe9" }),
  header("a line feed that starts another header", ["X-Odd: 1\nX-Forwarded-For: 10.0.0.1"], {
    "x-odd": "1",
    ...NOBODY_ELSE,
  }),
  ask("NUL in a value", { target: "/public/a", headers: ["X-Odd: a\0b"] }, runtime400),
  ask("CR in a value", { target: "/public/a", headers: ["X-Odd: a\rX-Injected: 1"] }, runtime400),
  ask("a folded line", { target: "/public/a", headers: ["X-Odd: a\r\n b"] }, runtime400),
  ask("a line without a colon", { target: "/public/a", headers: ["X-Odd"] }, runtime400),
  ask("a line without a name", { target: "/public/a", headers: [": 1"] }, runtime400),
  ask("a space before the colon", { target: "/public/a", headers: ["X-Odd : 1"] }, runtime400),
];
