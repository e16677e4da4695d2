import * as v from "valibot";
import type { BatchPolicy } from "../traffic-types.ts";
import { closedObject } from "../document/closed-object.ts";
import { byteSize } from "../values/byte-size.ts";
import { duration } from "../values/duration.ts";
import { flag, integer } from "../values/primitives.ts";
import { isOn, switchable } from "./policy.ts";

const MIB = 2 ** 20;

/** What `batch: true` means. */
export const DEFAULT_BATCH: Omit<BatchPolicy, "path"> = {
  maxRequests: 50,
  maxBodySize: MIB,
  maxAnswerSize: 8 * MIB,
  timeoutMs: 60_000,
};

// An isolate has 128 MB for everything, and a body is held as bytes, as text and as what is made of it.
const MOST = 16 * MIB;
const size = v.optional(v.pipe(byteSize(1), v.maxValue(MOST, "a size of at most 16MiB")));

/** Several requests in one. */
export const BatchSchema = closedObject({
  enabled: v.optional(flag),
  maxRequests: v.optional(integer(1, 500)),
  maxBodySize: size,
  maxAnswerSize: size,
  timeout: v.optional(duration("ms", { min: 100, max: 600_000 })),
});

/** `batch`: a switch or the details. */
export const BatchPolicySchema = switchable(BatchSchema);

/**
 * The policy with its defaults; undefined: there is no such endpoint.
 *
 * @param path undefined: it is switched off.
 */
export function resolveBatch(
  policy: v.InferOutput<typeof BatchPolicySchema> | undefined,
  path: string | undefined,
): BatchPolicy | undefined {
  const input: v.InferOutput<typeof BatchSchema> | false | undefined = policy === true ? {} : policy;
  if (!isOn(input) || path === undefined) return undefined;
  return {
    path,
    maxRequests: input.maxRequests ?? DEFAULT_BATCH.maxRequests,
    maxBodySize: input.maxBodySize ?? DEFAULT_BATCH.maxBodySize,
    maxAnswerSize: input.maxAnswerSize ?? DEFAULT_BATCH.maxAnswerSize,
    timeoutMs: input.timeout ?? DEFAULT_BATCH.timeoutMs,
  };
}
