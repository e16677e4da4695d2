import {
  CircuitBreakerSchema,
  DEFAULT_BREAKER,
  DEFAULT_FAILURE_STATUSES,
} from "../policies/backends/circuit-breaker.ts";
import { FallbackResponseSchema, FallbackSchema } from "../policies/backends/fallback.ts";
import { formatMs } from "../values/duration.ts";
import { enabled, section } from "./section.ts";

const circuitBreaker = section(
  "CircuitBreaker",
  CircuitBreakerSchema,
  "Spares a target that fails: requests are refused with 503 `breaker-open` and `Retry-After` instead, by every isolate. One URL, as it is written, has one breaker: routes and backends that share it state the same settings, but for `fallback` and `shadow`. Bare numbers of durations count milliseconds.",
  {
    enabled,
    failureThreshold: {
      meaning: "Failures in a row that open it, seen by a fifth of the isolates.",
      standard: `\`${DEFAULT_BREAKER.failureThreshold}\``,
    },
    failureRate: {
      meaning: "Share of failed calls within `window` that opens it, from 0.01 to 1.",
      standard: `\`${DEFAULT_BREAKER.failureRate}\``,
    },
    minimumCalls: {
      meaning: "Calls within `window` below which no share is judged.",
      standard: `\`${DEFAULT_BREAKER.minimumCalls}\``,
    },
    window: {
      meaning: "What shares are of, 1 s at least.",
      standard: `\`"${formatMs(DEFAULT_BREAKER.windowMs)}"\``,
    },
    slowCall: {
      meaning: "A call that takes longer until its response head is slow.",
      standard: `\`"${formatMs(DEFAULT_BREAKER.slowCallMs)}"\``,
    },
    slowCallRate: {
      meaning: "Share of slow calls that opens it, from 0.01; `1` switches this rule off.",
      standard: `\`${DEFAULT_BREAKER.slowCallRate}\``,
    },
    timeout: {
      meaning: "How long it stays open before requests probe the target; doubles with each opening in a row.",
      standard: `\`"${formatMs(DEFAULT_BREAKER.openMs)}"\``,
    },
    maxTimeout: {
      meaning: "The longest that it stays open.",
      standard: `\`"${formatMs(DEFAULT_BREAKER.openMaxMs)}"\`, or \`timeout\` where that is longer`,
    },
    jitter: {
      meaning: "Spreads the open time by this share to either side, at most 0.9.",
      standard: `\`${DEFAULT_BREAKER.jitter}\``,
    },
    successThreshold: {
      meaning: "Probes that must succeed to close it.",
      standard: `\`${DEFAULT_BREAKER.successThreshold}\``,
    },
    halfOpenRequests: {
      meaning:
        "Probes in flight at once, by the whole fleet. With fewer than `successThreshold`, they go in several rounds.",
      standard: `\`${DEFAULT_BREAKER.halfOpenPermits}\``,
    },
    halfOpenMaxFailures: {
      meaning: "Failed probes that are put up with; one more opens it again.",
      standard: `\`${DEFAULT_BREAKER.halfOpenMaxFailures}\``,
    },
    operationTimeout: {
      meaning:
        "How long a call may take until its response head, whatever `timeouts.headers` says; a probe with its body.",
      standard: `\`"${formatMs(DEFAULT_BREAKER.operationTimeoutMs)}"\``,
    },
    failureStatuses: {
      meaning:
        'Answers that are failures: an error status, a class such as `"5xx"`, or an array of these. No answer, or a broken one, always is; 429, and 503 with `Retry-After`, never are: they ask for less.',
      standard: `\`[${DEFAULT_FAILURE_STATUSES.join(", ")}]\``,
    },
    fallback: { meaning: "What a request gets instead that no target takes.", standard: "503 `breaker-open`" },
    shadow: { meaning: "Count and report, but never refuse.", standard: "`false`" },
  },
);

const fallback = section(
  "Fallback",
  FallbackSchema,
  "Exactly one of the two. A fallback of the top level is not for the backend that it names itself.",
  {
    backend: {
      meaning:
        "Name of a backend, which gets the request by its own settings. A backend of its own `fallback` is not asked then; two backends may name each other.",
    },
    response: { meaning: "An answer." },
  },
);

const response = section("FallbackResponse", FallbackResponseSchema, "An answer that the configuration holds.", {
  status: { meaning: "From 200 to 599. Required." },
  headers: { meaning: "Header fields, but for those that frame the message.", standard: "none" },
  body: { meaning: "A text of at most 65,536 characters.", standard: "empty" },
});

/** Breakers and what refused requests get. */
export const breakerSections = [circuitBreaker, fallback, response];
