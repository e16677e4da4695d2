import * as v from "valibot";
import type { MirrorSettings } from "../traffic-types.ts";
import { closedObject } from "../document/closed-object.ts";
import { byteSize } from "../values/byte-size.ts";
import { decimal } from "../values/decimal.ts";
import { duration } from "../values/duration.ts";
import { entityName, flag, headerName, integer, listOf, methodList } from "../values/primitives.ts";
import { isOn, removable } from "./policy.ts";

/** What holds beside the backend. As in `worker/mirror`. */
export const DEFAULT_MIRROR = {
  share: 1,
  methods: undefined,
  maxBodyBytes: 65_536,
  maxInFlight: 16,
  timeoutMs: 10_000,
  removeHeaders: [],
} as const satisfies Omit<MirrorSettings, "backend">;

const SIZE = `a size of at most 64KiB, which is what the gateway keeps of a body`;

/** What of a route's requests is copied to a shadow backend. */
export const MirrorSchema = closedObject(
  {
    enabled: v.optional(flag),
    backend: entityName,
    percent: v.optional(decimal(0.001, 100)),
    methods: v.optional(methodList),
    maxBodySize: v.optional(v.pipe(byteSize(0), v.maxValue(DEFAULT_MIRROR.maxBodyBytes, SIZE))),
    maxInFlight: v.optional(integer(1, 1_000)),
    // The runtime ends what is left of an exchange 30 s after its answer.
    timeout: v.optional(duration("ms", { min: 10, max: 25_000 })),
    removeHeaders: v.optional(listOf(headerName, "an array of names of headers")),
  },
  { wanted: 'an object with "backend"' },
);

/** `mirror`: its details, or false. */
export const MirrorPolicySchema = removable(MirrorSchema, 'an object with "backend", or false to remove the policy');

/**
 * The settings with their defaults; undefined: nothing is copied.
 *
 * @param own the route's backend, which gets no copies of its own requests.
 */
export function resolveMirror(
  policy: v.InferOutput<typeof MirrorPolicySchema> | undefined,
  own: string,
): MirrorSettings | undefined {
  if (!isOn(policy) || policy.backend === own) return undefined;
  return {
    backend: policy.backend,
    share: policy.percent === undefined ? DEFAULT_MIRROR.share : policy.percent / 100,
    methods: policy.methods,
    maxBodyBytes: policy.maxBodySize ?? DEFAULT_MIRROR.maxBodyBytes,
    maxInFlight: policy.maxInFlight ?? DEFAULT_MIRROR.maxInFlight,
    timeoutMs: policy.timeout ?? DEFAULT_MIRROR.timeoutMs,
    removeHeaders: (policy.removeHeaders ?? []).map((name) => name.toLowerCase()),
  };
}
