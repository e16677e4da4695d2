/** One row of the error table: what every refusal or failure that the gateway itself answers looks like. */
interface ErrorKind {
  readonly status: number;
  readonly title: string;
  /** Problem type (RFC 9457); `urn:sluice:problem:<code>` unless a registered one exists. */
  readonly type?: string;
  /** Proxy-Status error type (RFC 9209 2.3); `http_request_denied` unless the failure was not the request's. */
  readonly proxyError?: string;
}

const REGISTERED = "https://iana.org/assignments/http-problem-types#";

/** Every code that a client can meet. Documented one by one in docs/reference/errors.md. */
export const ERRORS = {
  "invalid-path": { status: 400, title: "The path is not valid" },
  "ambiguous-path": { status: 400, title: "The path can be read in more than one way" },
  "invalid-request": { status: 400, title: "The request is not valid" },
  "idempotency-key-missing": { status: 400, title: "This request needs an idempotency key" },
  unauthorized: { status: 401, title: "Authentication is required" },
  forbidden: { status: 403, title: "This role may not do that" },
  "origin-not-allowed": { status: 403, title: "This origin may not do that" },
  "route-not-found": { status: 404, title: "No route matches this request" },
  "not-found": { status: 404, title: "Not found" },
  "method-not-allowed": { status: 405, title: "The method is not allowed here" },
  "request-timeout": { status: 408, title: "The request body did not arrive in time" },
  "idempotency-in-flight": { status: 409, title: "A request with this idempotency key is under way" },
  "idempotency-outcome-unknown": {
    status: 409,
    title: "What became of the request with this idempotency key cannot be told",
  },
  "payload-too-large": { status: 413, title: "The request body is too large" },
  "unsupported-media-type": { status: 415, title: "The content type is not taken here" },
  "uri-too-long": { status: 414, title: "The URL is too long" },
  "misdirected-request": { status: 421, title: "This host is not served here" },
  "upgrade-required": { status: 426, title: "A WebSocket handshake is wanted here" },
  "idempotency-key-reused": { status: 422, title: "This idempotency key was used for another request" },
  "headers-too-large": { status: 431, title: "The request headers are too large" },
  "quota-exceeded": { status: 429, title: "The quota of this client is used up", type: `${REGISTERED}quota-exceeded` },
  "abnormal-usage-detected": {
    status: 429,
    title: "This client is banned for abnormal usage",
    type: `${REGISTERED}abnormal-usage-detected`,
  },
  "too-many-connections": { status: 429, title: "Too many sessions are open, or opened" },
  "internal-error": { status: 500, title: "The gateway failed", proxyError: "proxy_internal_error" },
  "upstream-unreachable": {
    status: 502,
    title: "The origin could not be reached",
    proxyError: "destination_unavailable",
  },
  "upstream-invalid-response": {
    status: 502,
    title: "The origin's response is not valid HTTP",
    proxyError: "http_protocol_error",
  },
  "upstream-response-too-large": {
    status: 502,
    title: "The answer is too large",
    proxyError: "http_response_body_size",
  },
  "dependency-unavailable": {
    status: 503,
    title: "Something the gateway needs does not answer",
    proxyError: "proxy_internal_error",
  },
  "upstream-error": {
    status: 503,
    title: "The origin failed the request that this one waited for",
    proxyError: "destination_unavailable",
  },
  "breaker-open": {
    status: 503,
    title: "The origin is left alone for a while",
    proxyError: "destination_unavailable",
  },
  draining: { status: 503, title: "No new sessions are taken for now" },
  overloaded: {
    status: 503,
    title: "More is asked of the origin than it can do",
    type: `${REGISTERED}temporary-reduced-capacity`,
    proxyError: "connection_limit_reached",
  },
  "egress-queue-full": { status: 503, title: "The origin is asked as often as it allows" },
  "no-healthy-target": {
    status: 503,
    title: "No target is fit to answer",
    proxyError: "destination_unavailable",
  },
  "not-cached": { status: 504, title: "Nothing that is kept answers this request" },
  "upstream-timeout": { status: 504, title: "The origin did not answer in time", proxyError: "http_response_timeout" },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;

export interface ErrorDetails {
  /** One sentence for the client: what was got, what was wanted, the cure. Never an unknown error's message. */
  readonly detail: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Extension members of the problem document. */
  readonly members?: Readonly<Record<string, unknown>>;
  /** What the log shows and the client does not. */
  readonly cause?: unknown;
}

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- V8's own property, which the platform's types leave out
const stacks = Error as { stackTraceLimit?: number };

/**
 * Ends an exchange with one row of the error table. Across RPC match by `code`, never by `instanceof`.
 *
 * It has no stack: nothing shows one of an expected outcome, and taking it costs 5 us, as much as deciding and rendering the refusal.
 */
export class GatewayError extends Error {
  readonly code: ErrorCode;
  readonly headers: Readonly<Record<string, string>>;
  readonly members: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, details: ErrorDetails) {
    const { stackTraceLimit = 10 } = stacks;
    stacks.stackTraceLimit = 0;
    super(details.detail, { cause: details.cause });
    stacks.stackTraceLimit = stackTraceLimit;
    this.name = "GatewayError";
    this.code = code;
    this.headers = details.headers ?? {};
    this.members = details.members ?? {};
  }
}
