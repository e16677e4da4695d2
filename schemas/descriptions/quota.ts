import { DEFAULT_QUOTA, QUOTA_PRESETS, QuotaSchema } from "../policies/backends/quota.ts";
import { formatMs } from "../values/duration.ts";
import { enabled, section } from "./section.ts";

const { windowMs, maxQueue, maxPauseMs, maxWaitMs, backoff } = DEFAULT_QUOTA;
const presets = Object.entries(QUOTA_PRESETS).map(
  ([name, { burst, spacingMs }]) => `\`"${name}"\` (burst ${burst}, spacing ${formatMs(spacingMs)})`,
);

/** What a backend's `quota` says. */
export const quotaSection = section(
  "Quota",
  QuotaSchema,
  "Keeps the whole fleet to what an upstream allows: requests wait for their turn, and one that cannot have it in time gets 503 `egress-queue-full`. Either a preset or numbers. See [egress quotas](../guide/egress.md).",
  {
    enabled,
    name: {
      meaning: "Backends whose quotas have one name share one; their numbers are the same.",
      standard: "the backend's name",
    },
    preset: { meaning: `One of ${presets.join(", ")}.` },
    requests: { meaning: "The most that may start in any `window`, wherever it begins, up to 1,000,000." },
    window: {
      meaning: "One second to 31 days; a bare number counts milliseconds.",
      standard: `\`"${formatMs(windowMs)}"\``,
    },
    burst: { meaning: "How many may follow one another after a quiet time.", standard: "`requests`" },
    spacing: { meaning: "The least between two starts; a bare number counts milliseconds.", standard: "`0`: none" },
    maxQueue: {
      meaning: "How many requests of the whole fleet may wait, up to 10,000; `0`: none.",
      standard: `\`${maxQueue}\``,
    },
    maxWait: {
      meaning:
        "How long a request may wait, up to five minutes and never beyond `timeouts.total`; a bare number counts milliseconds.",
      standard: `\`"${formatMs(maxWaitMs)}"\``,
    },
    maxPause: {
      meaning: "The longest pause that an answer of the upstream causes; a bare number counts milliseconds.",
      standard: `\`"${formatMs(maxPauseMs)}"\``,
    },
    backoff: {
      meaning:
        "Pauses after a 429 or 503 that does not say for how long: full jitter below a bound that doubles with each in a row.",
      standard: `\`"${formatMs(backoff.baseMs)}"\` to \`"${formatMs(backoff.maxMs)}"\``,
    },
    by: { meaning: "What makes a client, for fair turns; written like a limit's `by`.", standard: '`"ip"`' },
    priority: {
      meaning:
        'Of this backend\'s requests among those that share the quota: `"critical"`, `"normal"` or `"low"`, which get 16, 4 and 1 of 21 turns while all wait.',
      standard: "the `priority` of the request's route",
    },
    onError: {
      meaning:
        'While the quota\'s owner does not answer: `"closed"` refuses when the wait is over, `"open"` lets requests pass that nobody counts.',
      standard: '`"closed"`',
    },
  },
);
