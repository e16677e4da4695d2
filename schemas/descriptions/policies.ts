import { DEFAULT_DEDUPLICATION, DeduplicationSchema } from "../policies/deduplication.ts";
import { DEFAULT_IDEMPOTENCY, IdempotencySchema } from "../policies/idempotency.ts";
import { LoggingSchema } from "../policies/logging.ts";
import { MetricsSchema } from "../policies/metrics.ts";
import { DEFAULT_SIZE_LIMITS, HARDENED_SIZE_LIMITS, SizeLimitsSchema } from "../policies/size-limits.ts";
import { DEFAULT_TIMEOUTS, TimeoutsSchema } from "../policies/timeouts.ts";
import { formatMs } from "../values/duration.ts";
import { cacheSections } from "./cache.ts";
import { rateLimitSections } from "./rate-limit.ts";
import { enabled, pending, section } from "./section.ts";
import { webSocketSections } from "./web-socket.ts";

const hardened = HARDENED_SIZE_LIMITS;

const sizeLimits = section(
  "SizeLimits",
  SizeLimitsSchema,
  `What a request may weigh. The defaults hold where nothing is configured; \`false\` removes them. The preset \`"hardened"\`, written instead of the object or in it, stands for ${hardened.maxUrlLength} bytes of URL, ${hardened.maxBodySize} of body, ${hardened.maxHeaderSize} of headers, and the methods ${hardened.methods?.join(", ") ?? ""}. A route's object replaces the top level's whole: fields that it leaves out have their defaults.`,
  {
    enabled,
    preset: { meaning: '`"hardened"`: fields that are left out take its values.' },
    maxBodySize: {
      meaning:
        "Bytes of request body: refused with 413 `payload-too-large` by `Content-Length`, or when a body without one grows beyond it.",
      standard: `\`${DEFAULT_SIZE_LIMITS.maxBodySize}\` (10 MiB)`,
    },
    maxUrlLength: {
      meaning: "Bytes of path and query: 414 `uri-too-long`.",
      standard: `\`${DEFAULT_SIZE_LIMITS.maxUrlLength}\``,
    },
    maxHeaderSize: {
      meaning: "Bytes of all header names and values: 431 `headers-too-large`.",
      standard: `\`${DEFAULT_SIZE_LIMITS.maxHeaderSize}\``,
    },
    maxHeaderCount: {
      meaning: "Number of header fields: 431 `headers-too-large`.",
      standard: `\`${DEFAULT_SIZE_LIMITS.maxHeaderCount}\``,
    },
    methods: { meaning: "Methods that pass; others get 405 `method-not-allowed`.", standard: "any" },
    shadow: pending("Count and report, but never refuse."),
  },
);

const timeouts = section(
  "Timeouts",
  TimeoutsSchema,
  "Deadlines; a bare number counts milliseconds. Each field is taken from the route, else from its backend, else from the top level.",
  {
    headers: {
      meaning:
        "From the moment the request has been sent to the origin until its response head: 504 `upstream-timeout`.",
      standard: `\`"${formatMs(DEFAULT_TIMEOUTS.headers)}"\``,
    },
    total: {
      meaning:
        "From the arrival of the request until the response head, all tries and queues included: 504 `upstream-timeout`.",
      standard: `\`"${formatMs(DEFAULT_TIMEOUTS.total)}"\``,
    },
    idle: {
      meaning: "Longest silence inside a body, in either direction; the exchange is then cut off.",
      standard: `\`"${formatMs(DEFAULT_TIMEOUTS.idle)}"\``,
    },
    requestBody: {
      meaning: "From the arrival of the request until its body has been received whole: 408 `request-timeout`.",
      standard: `\`"${formatMs(DEFAULT_TIMEOUTS.requestBody)}"\``,
    },
  },
);

const deduplication = section(
  "Deduplication",
  DeduplicationSchema,
  "One upstream request for identical ones in flight, fleet-wide, as far as its response may be shared by the rules of `cache`; without `cache` by its defaults.",
  {
    enabled,
    windowMs: {
      meaning:
        "How long a response that has come whole answers those who come late, as far as it is fresh; at most a minute. A bare number counts milliseconds.",
      standard: `\`"${formatMs(DEFAULT_DEDUPLICATION.windowMs)}"\``,
    },
    coalesce: {
      meaning:
        'Whether a response that is stale when it comes, but not private, is for those who have been waiting for it: `"fresh"`, it is not; `"arrived-before-headers"`, it is.',
      standard: `\`"${DEFAULT_DEDUPLICATION.coalesce}"\``,
    },
  },
);

const idempotency = section(
  "Idempotency",
  IdempotencySchema,
  "Requests with one `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header) have one effect: the first is sent, others get what it was answered, with `Idempotent-Replayed: true`, or are told that it is under way, or that nobody knows what became of it.",
  {
    enabled,
    required: { meaning: "Refuses requests without a key: 400 `idempotency-key-missing`.", standard: "`false`" },
    header: { meaning: "The field that the key is in.", standard: '`"Idempotency-Key"`' },
    methods: {
      meaning: "Methods that have keys; others pass untouched.",
      standard: `\`[${DEFAULT_IDEMPOTENCY.methods.map((method) => `"${method}"`).join(", ")}]\``,
    },
    by: {
      meaning:
        'Whose a key is: `"principal"`, `"header:NAME"`, `"cookie:NAME"`, `"consumer"`, `"claim:NAME"`, `"ip"`, or an array of these. Whoever sends none of it is told apart by address and credentials.',
      standard: "who was authenticated, else the address, and the same `Authorization` and `Cookie`",
    },
    ttl: {
      meaning: "How long a key means its first request; a bare number counts seconds.",
      standard: `\`"${formatMs(DEFAULT_IDEMPOTENCY.ttlMs)}"\``,
    },
    onUnknown: {
      meaning:
        'What a request gets when nobody knows whether the one before it had its effect: `"error"`, 409 `idempotency-outcome-unknown`; or `"retry"`, it is sent once more, where an effect that comes twice does no harm.',
      standard: '`"error"`',
    },
    maxBodySize: {
      meaning: "Bytes of request body, at most 16 MiB: 413 `payload-too-large`. It is read whole before it is sent.",
      standard: '`"1MiB"`',
    },
    maxAnswerSize: {
      meaning:
        "Bytes of body up to which an answer is kept, at most 1536 KiB. Of a larger one it is remembered that it was given.",
      standard: '`"1MiB"`',
    },
    shadow: {
      meaning: "Send everything; only name in the log what would have been refused or replayed.",
      standard: "`false`",
    },
  },
);

const metrics = section("Metrics", MetricsSchema, "Fleet-wide figures. _Accepted, but does not act yet._", { enabled });

const logging = section(
  "Logging",
  LoggingSchema,
  "One JSON line per exchange, without secrets, cookies and query values.",
  {
    enabled: { meaning: "`false` turns the lines off.", standard: "`true`" },
  },
);

/** The policies, in the order of the reference. */
export const policySections = [
  ...rateLimitSections,
  sizeLimits,
  timeouts,
  logging,
  ...cacheSections,
  deduplication,
  idempotency,
  ...webSocketSections,
  metrics,
];
