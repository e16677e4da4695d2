import * as v from "valibot";
import type { ConcurrencyPolicy } from "../../traffic-types.ts";
import { closedObject } from "../../document/closed-object.ts";
import { decimal } from "../../values/decimal.ts";
import { duration } from "../../values/duration.ts";
import { flag, integer } from "../../values/primitives.ts";
import { isOn } from "../policy.ts";

/** What `concurrency: "adaptive"` means. As in `worker/concurrency`. */
export const DEFAULT_CONCURRENCY = {
  limit: {
    kind: "adaptive",
    minimum: 3,
    maximum: 1_000,
    initial: 20,
    buffer: 0.25,
    quantile: 0.9,
    sampleAnswers: 100,
    sampleMs: 100,
    measureEveryMs: 20_000,
    measureAnswers: 50,
    measureMs: 1_000,
  },
  shares: { critical: 1, normal: 0.8, low: 0.5 },
  shadow: false,
} as const satisfies ConcurrencyPolicy;

const places = integer(1, 100_000);
const share = decimal(0.001, 1);
const LIMIT = 'a whole number from 1 to 100000, or "adaptive"';
const limit = v.union([v.literal("adaptive", LIMIT), places], LIMIT);
const { limit: ADAPTIVE, shares: SHARES } = DEFAULT_CONCURRENCY;

/** The part of the limit that classes other than `critical` may use. */
export const ConcurrencySharesSchema = v.pipe(
  closedObject({ normal: v.optional(share), low: v.optional(share) }, { wanted: 'an object with "normal" or "low"' }),
  v.forward(
    v.partialCheck(
      [["normal"], ["low"]],
      ({ normal = SHARES.normal, low }) => low === undefined || low <= normal,
      'at most what "normal" may use',
    ),
    ["low"],
  ),
);

/** How many requests an isolate may have in flight to a backend. */
export const ConcurrencySchema = v.pipe(
  closedObject({
    enabled: v.optional(flag),
    limit: v.optional(limit),
    minimum: v.optional(places),
    maximum: v.optional(places),
    initial: v.optional(places),
    buffer: v.optional(decimal(0, 10)),
    quantile: v.optional(decimal(0.5, 1)),
    measureEvery: v.optional(duration("ms", { min: 5_000, max: 3_600_000 })),
    shares: v.optional(ConcurrencySharesSchema),
    shadow: v.optional(flag),
  }),
  v.forward(
    v.partialCheck(
      [["limit"], ["minimum"], ["maximum"], ["initial"], ["buffer"], ["quantile"], ["measureEvery"]],
      ({ limit: written, minimum, maximum, initial, buffer, quantile, measureEvery }) =>
        typeof written !== "number" ||
        [minimum, maximum, initial, buffer, quantile, measureEvery].every((setting) => setting === undefined),
      '"adaptive" beside its settings ("minimum" and the like), or a number without them',
    ),
    ["limit"],
  ),
  v.forward(
    v.partialCheck(
      [["minimum"], ["maximum"]],
      ({ minimum = ADAPTIVE.minimum, maximum }) => maximum === undefined || minimum <= maximum,
      `at least "minimum", which is ${ADAPTIVE.minimum} unless you say otherwise`,
    ),
    ["maximum"],
  ),
  v.forward(
    v.partialCheck(
      [["minimum"], ["maximum"], ["initial"]],
      ({ minimum = ADAPTIVE.minimum, maximum = Math.max(ADAPTIVE.maximum, minimum), initial }) =>
        initial === undefined || maximum < minimum || (minimum <= initial && initial <= maximum),
      `at least "minimum" (${ADAPTIVE.minimum} unless you say otherwise) and at most "maximum" (${ADAPTIVE.maximum})`,
    ),
    ["initial"],
  ),
);

const WANTED = `${LIMIT}, an object, or false to remove the limit`;

/** `concurrency`: a limit, the details, or false. */
export const ConcurrencyPolicySchema = v.union([v.literal(false, WANTED), limit, ConcurrencySchema], WANTED);

/** What a level says about concurrency. */
export type ConcurrencyInput = v.InferOutput<typeof ConcurrencyPolicySchema>;

/** The policy with its defaults; undefined: any number. */
export function resolveConcurrency(policy: ConcurrencyInput | undefined): ConcurrencyPolicy | undefined {
  const input: v.InferOutput<typeof ConcurrencySchema> | false | undefined =
    typeof policy === "object" || policy === false || policy === undefined ? policy : { limit: policy };
  if (!isOn(input)) return undefined;
  const { limit: written = "adaptive", shadow = false, shares } = input;
  const minimum = input.minimum ?? ADAPTIVE.minimum;
  const maximum = input.maximum ?? Math.max(ADAPTIVE.maximum, minimum);
  return {
    limit:
      written === "adaptive"
        ? {
            ...ADAPTIVE,
            minimum,
            maximum,
            initial: input.initial ?? Math.min(maximum, Math.max(minimum, ADAPTIVE.initial)),
            buffer: input.buffer ?? ADAPTIVE.buffer,
            quantile: input.quantile ?? ADAPTIVE.quantile,
            measureEveryMs: input.measureEvery ?? ADAPTIVE.measureEveryMs,
          }
        : { kind: "fixed", limit: written },
    shares: sharesOf(shares),
    shadow,
  };
}

function sharesOf(input: v.InferOutput<typeof ConcurrencySharesSchema> | undefined): ConcurrencyPolicy["shares"] {
  const normal = input?.normal ?? SHARES.normal;
  return { critical: 1, normal, low: input?.low ?? Math.min(normal, SHARES.low) };
}
