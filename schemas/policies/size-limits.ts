import * as v from "valibot";
import type { SizeLimits } from "../config-types.ts";
import { closedObject } from "../document/closed-object.ts";
import { byteSize } from "../values/byte-size.ts";
import { flag, integer, methodList } from "../values/primitives.ts";
import { isOn } from "./policy.ts";

/** What holds on a route that says nothing. */
export const DEFAULT_SIZE_LIMITS: SizeLimits = {
  maxBodySize: 10 * 2 ** 20,
  maxUrlLength: 8192,
  maxHeaderSize: 32_768,
  maxHeaderCount: 100,
  methods: undefined,
};

/** The preset `"hardened"`. */
export const HARDENED_SIZE_LIMITS: SizeLimits = {
  maxBodySize: 2 * 2 ** 20,
  maxUrlLength: 2048,
  maxHeaderSize: 8192,
  maxHeaderCount: 100,
  methods: ["GET", "POST", "OPTIONS", "HEAD"],
};

const WANTED = 'an object, "hardened", or false to remove the limits';

/** What a request may weigh, in detail. */
export const SizeLimitsSchema = closedObject({
  enabled: v.optional(flag),
  preset: v.optional(v.literal("hardened", 'the preset "hardened"')),
  maxBodySize: v.optional(byteSize(0)),
  maxUrlLength: v.optional(byteSize(1)),
  maxHeaderSize: v.optional(byteSize(1)),
  maxHeaderCount: v.optional(integer(1)),
  methods: v.optional(methodList),
  shadow: v.optional(flag),
});

/** `sizeLimits`: limits, the name of a preset, or false. */
export const SizeLimitsPolicySchema = v.union(
  [v.literal(false, WANTED), v.literal("hardened", WANTED), SizeLimitsSchema],
  WANTED,
);

/** The limits that a level states, with defaults; undefined: removed. */
export function resolveSizeLimits(
  policy: v.InferOutput<typeof SizeLimitsPolicySchema> | undefined,
): SizeLimits | undefined {
  if (policy === undefined) return DEFAULT_SIZE_LIMITS;
  if (policy === "hardened") return HARDENED_SIZE_LIMITS;
  if (!isOn(policy)) return undefined;
  const base = policy.preset === "hardened" ? HARDENED_SIZE_LIMITS : DEFAULT_SIZE_LIMITS;
  return {
    maxBodySize: policy.maxBodySize ?? base.maxBodySize,
    maxUrlLength: policy.maxUrlLength ?? base.maxUrlLength,
    maxHeaderSize: policy.maxHeaderSize ?? base.maxHeaderSize,
    maxHeaderCount: policy.maxHeaderCount ?? base.maxHeaderCount,
    methods: policy.methods ?? base.methods,
  };
}
