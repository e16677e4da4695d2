import * as v from "valibot";
import { closedObject } from "../document/closed-object.ts";
import type { IdempotencySettings } from "../idempotency-types.ts";
import { byteSize } from "../values/byte-size.ts";
import { duration } from "../values/duration.ts";
import { flag, headerName, methodList, oneOf } from "../values/primitives.ts";
import { isOn, switchable } from "./policy.ts";
import { limitKeys } from "./rate-limit/limit-key.ts";

/** What `idempotency: true` means. */
export const DEFAULT_IDEMPOTENCY: IdempotencySettings = {
  required: false,
  header: "idempotency-key",
  methods: ["POST", "PATCH"],
  by: undefined,
  ttlMs: 86_400_000,
  onUnknown: "refuse",
  maxBodySize: 2 ** 20,
  maxAnswerSize: 2 ** 20,
  shadow: false,
};

/** Bodies are read whole, and several at a time, in 128 MB. */
const MAX_BODY = 16 * 2 ** 20;
/** An answer is one row with its fields, which the platform takes up to 2 MB. */
const MAX_ANSWER = 1.5 * 2 ** 20;

/** RFC 9110 9.2.1: nothing happens by these. */
const SAFE = new Set(["GET", "HEAD", "OPTIONS", "QUERY"]);

/** One effect for a key. */
export const IdempotencySchema = closedObject({
  enabled: v.optional(flag),
  required: v.optional(flag),
  header: v.optional(v.pipe(headerName, v.toLowerCase())),
  methods: v.optional(
    v.pipe(
      methodList,
      v.checkItems(
        (method) => !SAFE.has(method),
        "a method that has an effect: repeating GET, HEAD, OPTIONS or QUERY does no harm",
      ),
    ),
  ),
  by: v.optional(
    v.pipe(
      limitKeys,
      v.check(
        (keys) => keys.every(({ kind }) => kind !== "all" && kind !== "route"),
        'what tells clients apart, such as "header:authorization": what one was answered is no other\'s',
      ),
    ),
  ),
  ttl: v.optional(duration("s", { min: 1_000 })),
  onUnknown: v.optional(oneOf(["error", "retry"])),
  maxBodySize: v.optional(v.pipe(byteSize(1), v.maxValue(MAX_BODY, "at most 16 MiB: bodies are held in memory"))),
  maxAnswerSize: v.optional(
    v.pipe(byteSize(0), v.maxValue(MAX_ANSWER, "at most 1536 KiB: an answer is kept in one piece")),
  ),
  shadow: v.optional(flag),
});

/** `idempotency`: a switch or the details. */
export const IdempotencyPolicySchema = switchable(IdempotencySchema);

/** What a level says of keys; undefined: nothing is made of them. */
export function resolveIdempotency(
  policy: v.InferOutput<typeof IdempotencyPolicySchema> | undefined,
): IdempotencySettings | undefined {
  if (policy === true) return DEFAULT_IDEMPOTENCY;
  if (policy === undefined || policy === false || !isOn(policy)) return undefined;
  const { onUnknown, ttl, required, header, methods, by, maxBodySize, maxAnswerSize, shadow } = policy;
  const standard = DEFAULT_IDEMPOTENCY;
  return {
    required: required ?? standard.required,
    header: header ?? standard.header,
    methods: methods ?? standard.methods,
    by: by ?? standard.by,
    ttlMs: ttl ?? standard.ttlMs,
    onUnknown: onUnknown === "retry" ? "retry" : standard.onUnknown,
    maxBodySize: maxBodySize ?? standard.maxBodySize,
    maxAnswerSize: maxAnswerSize ?? standard.maxAnswerSize,
    shadow: shadow ?? standard.shadow,
  };
}
