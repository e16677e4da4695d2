import { ERRORS, type ErrorCode } from "../../worker/errors.ts";

/** When a client meets each code, and what helps. */
const MEANING: Readonly<Record<ErrorCode, string>> = {
  "invalid-path":
    "The path holds a control character, a raw backslash, a `%` without two hexadecimal digits, or an encoded NUL, CR or LF. Encode it properly.",
  "ambiguous-path":
    "Decoded, merged or stripped of parameters, the path would meet another route. Send it without encoded slashes, dots or parameters.",
  "invalid-request":
    "The request contradicts itself: a body shorter than its length, an unknown transfer coding, a bad Host.",
  "idempotency-key-missing":
    "The route wants an `Idempotency-Key`. Make one for each thing to be done, such as a UUID, and keep it for repetitions.",
  unauthorized: "The admin API got no token or a wrong one.",
  forbidden: "The token's role may not do that.",
  "route-not-found": "No route matches the host, path, headers and query. `GET /admin/config` lists the routes.",
  "not-found": "The admin API has nothing here, or no admin token is configured.",
  "method-not-allowed":
    "A route has this path with other methods, see `Allow`; TRACE, TRACK and CONNECT are never forwarded.",
  "request-timeout": "The body did not arrive within `timeouts.requestBody`.",
  "idempotency-in-flight":
    "Another request with this key has not been answered yet: come back after `Retry-After` for its answer.",
  "idempotency-outcome-unknown":
    "The request with this key was sent, and there is no answer to give: `isDone` says whether it is known to have been carried out, `until` from when the key is unused again. It is not sent again; ask the API what became of it.",
  "payload-too-large":
    "The body exceeds `sizeLimits.maxBodySize`, or, with an idempotency key, `idempotency.maxBodySize`. With a declared length this is said before anything is read.",
  "uri-too-long":
    "Path and query exceed `sizeLimits.maxUrlLength`; without `sizeLimits`, those of a WebSocket handshake exceed 8 KiB.",
  "misdirected-request": "Every route names hosts and none of them is this one.",
  "idempotency-key-reused":
    "The key came with another method, address, content type, body or credentials. Another request needs another key.",
  "headers-too-large": "The header fields exceed `sizeLimits.maxHeaderSize` or `maxHeaderCount`.",
  "quota-exceeded":
    "A limit of this client is used up: come back after `Retry-After`. `violated-policies` names the limits.",
  "abnormal-usage-detected":
    "The client attempted its limit several times over, or an operator banned it: come back after `Retry-After`. `POST /admin/clients/{id}/unban` ends it within 2 s.",
  "internal-error": "A defect or a wrong deployment. The log has the reason under the request id.",
  "upstream-unreachable":
    "The connection was refused, closed or reset before a response head. The runtime reports a malformed head the same way.",
  "upstream-invalid-response":
    "The origin's answer is not a whole HTTP response: a status that is not final, framing that contradicts itself, a body shorter than declared.",
  "dependency-unavailable":
    'The owner of a limit with `onError: "closed"` or of an idempotency key does not answer, or there is no valid configuration yet. Safe to repeat after `Retry-After`.',
  draining:
    "An operator drains this route's WebSocket sessions and lets it have no new ones (`refuseNew`). Come back after `Retry-After`.",
  overloaded:
    "More requests are in flight to the backend than `concurrency` lets this class have, or, in a batch, no connection became free in time. Nothing was sent: safe to repeat after `Retry-After`.",
  "upstream-response-too-large":
    "An answer of a batch is larger than what `batch.maxAnswerSize` leaves for it. Ask for it outside of the batch.",
  "unsupported-media-type": "A batch is sent as `Content-Type: application/json`.",
  "upstream-error":
    "With `deduplication`: the origin answered 5xx, twice, to a request that this one waited for. That answer was another's. Come back after `Retry-After`.",
  "breaker-open":
    "Requests to the origin have been failing, so that its breaker lets none pass, or only a few to see whether it is well again; or an operator holds it open. Come back after `Retry-After`; `fallback` gives another answer meanwhile.",
  "egress-queue-full":
    "The `quota` of the backend has no room for this request in time: too many wait, or its turn would come too late. Nothing was sent; come back after `Retry-After`.",
  "no-healthy-target":
    "Health checks or weights leave no target of the backend that could answer. Come back after `Retry-After`.",
  "origin-not-allowed":
    "A page of another origin opens a WebSocket; `webSocket.origins` says which may. Or the handshake has no `Origin`, with `webSocket.requireOrigin`.",
  "upgrade-required":
    "The route serves WebSockets alone (`webSocket.required`), or the handshake speaks another version than 13.",
  "too-many-connections":
    "As many WebSockets are open as `webSocket.sessionsPerPrincipal`, `sessionsPerAddress` or `sessionsPerRoute` allow, or they are opened faster than `webSocket.newSessions` allows. Come back after `Retry-After`.",
  "not-cached":
    "The request says `only-if-cached` on a route with `respectRequestDirectives`, and nothing that is kept answers it. Without the directive the origin is asked.",
  "upstream-timeout":
    "No response head within `timeouts.headers` or `timeouts.total`, or a short body slower than `timeouts.idle`.",
};

/** docs/reference/errors.md: every code that a client can meet. */
export function errorsMarkdown(): string {
  const meanings = new Map<string, string>(Object.entries(MEANING));
  const rows = Object.entries(ERRORS)
    .toSorted(([, a], [, b]) => a.status - b.status)
    .map(([code, { status, title }]) => `| ${status} | \`${code}\` | ${title} | ${meanings.get(code)} |`);
  return [
    "# Errors",
    "",
    "<!-- Generated by `npm run reference` from worker/errors.ts. -->",
    "",
    "Every answer that the gateway makes itself is `application/problem+json` (RFC 9457) with `type`, `title`, `status`, `detail`,",
    "`code` and `requestId`, and is never cached. `type` is the registered problem type where one exists, else",
    "`urn:sluice:problem:<code>`. `Proxy-Status` (RFC 9209) tells the gateway's own refusals from failures of the origin.",
    "",
    "| status | code | title | when, and what helps |",
    "|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}
