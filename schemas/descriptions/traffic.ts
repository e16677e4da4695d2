import { BatchSchema, DEFAULT_BATCH } from "../policies/batch.ts";
import { ConcurrencySchema, ConcurrencySharesSchema, DEFAULT_CONCURRENCY } from "../policies/backends/concurrency.ts";
import { DEFAULT_MIRROR, MirrorSchema } from "../policies/mirror.ts";
import { PrioritySchema } from "../policies/priority.ts";
import { formatMs } from "../values/duration.ts";
import { enabled, section } from "./section.ts";

const { limit, shares } = DEFAULT_CONCURRENCY;

/** The note of what a backend may say, and the top level as its default. */
export const concurrencyPolicy = {
  meaning:
    'How many requests each isolate may have in flight to the backend: a number, `"adaptive"`, an object, or `false`. What finds no room gets 503 `overloaded`. Taken whole from the backend, else from the top level.',
  standard: "any number",
} as const;

/** The notes of what a route may say, and the top level as its default. */
export const trafficPolicies = {
  priority: {
    meaning:
      'Who is shed first where `concurrency` finds no room: `"critical"`, `"normal"`, `"low"`, or an object where clients may say it themselves.',
    standard: '`"normal"`',
  },
  mirror: {
    meaning: "Copying requests to a shadow backend, whose answers nobody sees.",
    standard: "nothing is copied",
  },
} as const;

/** The note of `batch`. */
export const batchPolicy = {
  meaning: "Several requests in one, at `endpoints.batch`: `true` for the defaults, or an object.",
  standard: "off",
} as const;

const concurrency = section(
  "Concurrency",
  ConcurrencySchema,
  "A limit of requests in flight to a backend, for each isolate; there is no queue. [Overload](../guide/overload.md) says how it is found and what is shed.",
  {
    enabled,
    limit: {
      meaning: 'A number, or `"adaptive"`: found by how long answers take.',
      standard: '`"adaptive"`',
    },
    minimum: { meaning: "With `adaptive`: the least it may become.", standard: `\`${limit.minimum}\`` },
    maximum: { meaning: "With `adaptive`: the most.", standard: `\`${limit.maximum}\`` },
    initial: {
      meaning: "With `adaptive`: the limit before anything is known.",
      standard: `\`${limit.initial}\``,
    },
    buffer: {
      meaning: "With `adaptive`: by how much answers may take longer than at best, as a share of that.",
      standard: `\`${limit.buffer}\``,
    },
    quantile: {
      meaning: "With `adaptive`: which of the times of a sample counts, from 0.5 to 1.",
      standard: `\`${limit.quantile}\``,
    },
    measureEvery: {
      meaning:
        "With `adaptive`: how often what is best is measured anew, where requests are refused for slow answers; 5 s at least, a bare number counts milliseconds.",
      standard: `\`"${formatMs(limit.measureEveryMs)}"\``,
    },
    shares: { meaning: "The part of the limit that classes may use." },
    shadow: { meaning: "Count and note, but never refuse.", standard: "`false`" },
  },
);

const concurrencyShares = section(
  "ConcurrencyShares",
  ConcurrencySharesSchema,
  "What a class may use of the limit, in (0, 1]; `critical` may use all of it, so that what is above the others is kept for it.",
  {
    normal: { meaning: "Of `normal` requests.", standard: `\`${shares.normal}\`` },
    low: { meaning: "Of `low` requests, at most what `normal` may use.", standard: `\`${shares.low}\`` },
  },
);

const priority = section("Priority", PrioritySchema, "The class of a route's requests.", {
  default: { meaning: "The class of those that say none.", standard: '`"normal"`' },
  header: {
    meaning:
      "A header in which clients may say `critical`, `normal` or `low`; anything else is the default. Whoever reaches the route can say `critical`: name one that only those send who may.",
    standard: "none: clients have no say",
  },
});

const mirror = section(
  "Mirror",
  MirrorSchema,
  "Copies of requests, sent after the answer's head and marked `X-Sluice-Mirror`. See [mirror](../guide/mirror.md).",
  {
    enabled,
    backend: { meaning: "Name of the backend that gets the copies. Required." },
    percent: { meaning: "Of the requests that could be copied, by lot.", standard: "`100`" },
    methods: { meaning: "Methods that are copied.", standard: "all" },
    maxBodySize: {
      meaning: "A longer body isn't copied; at most 64 KiB, which is what the gateway keeps of a body.",
      standard: `\`${DEFAULT_MIRROR.maxBodyBytes}\``,
    },
    maxInFlight: {
      meaning: "Copies that each isolate may have on their way at once; others are not made.",
      standard: `\`${DEFAULT_MIRROR.maxInFlight}\``,
    },
    timeout: {
      meaning: "After which a copy is given up, at most 25 s; a bare number counts milliseconds.",
      standard: `\`"${formatMs(DEFAULT_MIRROR.timeoutMs)}"\``,
    },
    removeHeaders: {
      meaning: 'Headers that the copy is sent without, such as `["Authorization", "Cookie"]`.',
      standard: "none: it has what the origin gets",
    },
  },
);

const batch = section(
  "Batch",
  BatchSchema,
  "Takes several requests in one, each of which goes its whole way. See [batch](../guide/batch.md).",
  {
    enabled,
    maxRequests: { meaning: "Requests in one, at most 500.", standard: `\`${DEFAULT_BATCH.maxRequests}\`` },
    maxBodySize: {
      meaning: "Bytes of the body that holds them, at most 16 MiB: 413 `payload-too-large`.",
      standard: '`"1MiB"`',
    },
    maxAnswerSize: {
      meaning:
        "Bytes of the bodies of all answers as they are written, at most 16 MiB. An answer that goes beyond it is replaced by 502 `upstream-response-too-large`.",
      standard: '`"8MiB"`',
    },
    timeout: {
      meaning:
        "For all of it; a bare number counts milliseconds. What is not whole by then is replaced by 504 `upstream-timeout`.",
      standard: `\`"${formatMs(DEFAULT_BATCH.timeoutMs)}"\``,
    },
  },
);

/** Concurrency, priority, mirror and batch. */
export const trafficSections = [concurrency, concurrencyShares, priority, mirror, batch];
