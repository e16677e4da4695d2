import * as v from "valibot";
import { closedObject } from "../document/closed-object.ts";
import { eachOnce, type WrittenName } from "../document/each-once.ts";
import type { AbortPolicy, CanaryPolicy } from "../placement-types.ts";
import { decimal } from "../values/decimal.ts";
import { duration } from "../values/duration.ts";
import { entityName, flag, headerName, integer, listOf, token } from "../values/primitives.ts";
import { isOn, removable, switchable } from "./policy.ts";
import { limitKeys } from "./rate-limit/limit-key.ts";

/** When a variant is taken back where nothing else is said. */
export const DEFAULT_ABORT = {
  falseAborts: 0.001,
  windowMs: 30_000,
  minimumRequests: 50,
  errors: { ratio: 1.5, gap: 0.01 },
  times: { quantile: 0.95, ratio: 1.5 },
} as const satisfies AbortPolicy;

/** What has the route's own backend. */
export const CONTROL = "control";

const VARIANTS = "an array of 1 to 7 variants";
const PROBABILITY = "a number from 0.000001 to 0.5";
const ratio = v.optional(decimal(1, 1_000));

/** One version that is tried out. */
export const CanaryVariantSchema = closedObject({
  name: v.optional(entityName),
  backend: entityName,
  percent: decimal(0, 100),
});

/** How many more errors a variant may have. */
export const AbortErrorsSchema = closedObject({ ratio, gap: v.optional(decimal(0, 1)) });

/** How much slower a variant may be. */
export const AbortLatencySchema = closedObject({ quantile: v.optional(decimal(0.01, 0.999)), ratio });

/** Taking variants back. */
export const CanaryAbortSchema = closedObject({
  enabled: v.optional(flag),
  errors: v.optional(removable(AbortErrorsSchema)),
  latency: v.optional(removable(AbortLatencySchema)),
  window: v.optional(duration("s", { min: 1_000, max: 3_600_000 })),
  minimumRequests: v.optional(integer(1, 1_000_000)),
  falseAborts: v.optional(v.pipe(v.number(PROBABILITY), v.minValue(1e-6, PROBABILITY), v.maxValue(0.5, PROBABILITY))),
});

/** Versions side by side. */
export const CanarySchema = closedObject({
  enabled: v.optional(flag),
  name: v.optional(entityName),
  variants: v.pipe(
    // The owner of a release takes eight with the control.
    listOf(CanaryVariantSchema, VARIANTS, VARIANTS),
    v.maxLength(7, VARIANTS),
    eachOnce(
      (variants) => namesOf(variants),
      ({ path: [, key] }, { path: [first] }) => {
        const whose = first === undefined ? "the route's own backend" : `variants[${first}]`;
        const cure = key === "backend" ? ', so say one in "name"' : "";
        return `a name that no other has: ${whose} is called so${cure}`;
      },
    ),
    // Ten times 10.1 is a little more than 101.
    v.check(
      (variants) => variants.some(({ percent }) => percent > 100) || sumOf(variants) <= 100 + 1e-9,
      ({ input }) =>
        `at most 100 percent in all, not ${Number(sumOf(input).toFixed(3))}: the route's own backend has what they leave`,
    ),
  ),
  by: v.optional(
    v.pipe(
      limitKeys,
      v.check(
        (keys) => keys.some(({ kind }) => kind !== "all" && kind !== "route"),
        'what tells clients apart, such as "ip": else all of them get the same variant',
      ),
    ),
  ),
  header: v.optional(v.pipe(headerName, v.toLowerCase())),
  cookie: v.optional(token('the name of a cookie, such as "variant"')),
  abort: v.optional(switchable(CanaryAbortSchema)),
});

/** `canary`: the policy, or `false`. */
export const CanaryPolicySchema = removable(CanarySchema, 'an object with "variants", or false to remove the policy');

/**
 * What a level says of variants; undefined: there is one version.
 *
 * @param route its id.
 */
export function resolveCanary(
  policy: v.InferOutput<typeof CanaryPolicySchema> | undefined,
  route: string,
): CanaryPolicy | undefined {
  if (!isOn(policy)) return undefined;
  const { name, variants, by, header, cookie, abort } = policy;
  return {
    // What owners take; of two routes whose long ids begin alike the same clients are drawn.
    name: name ?? route.slice(0, 64),
    variants: variants.map((one) => ({ name: nameOf(one), backend: one.backend, percent: one.percent })),
    by: by ?? [{ kind: "ip" }],
    header,
    cookie,
    abort: resolveAbort(abort),
  };
}

function resolveAbort(input: v.InferOutput<typeof CanarySchema>["abort"]): AbortPolicy | null {
  const stated: v.InferOutput<typeof CanaryAbortSchema> | false = input === true || input === undefined ? {} : input;
  if (!isOn(stated)) return null;
  const { falseAborts, window, minimumRequests, errors, latency } = stated;
  const standard = DEFAULT_ABORT;
  const { ratio: moreErrors = standard.errors.ratio, gap = standard.errors.gap } =
    errors === false ? {} : (errors ?? {});
  const { quantile = standard.times.quantile, ratio: slower = standard.times.ratio } =
    latency === false ? {} : (latency ?? {});
  return {
    falseAborts: falseAborts ?? standard.falseAborts,
    windowMs: window ?? standard.windowMs,
    minimumRequests: minimumRequests ?? standard.minimumRequests,
    errors: errors === false ? null : { ratio: moreErrors, gap },
    times: latency === false ? null : { quantile, ratio: slower },
  };
}

/** The control's name comes first, and stands nowhere. */
function namesOf(variants: readonly v.InferOutput<typeof CanaryVariantSchema>[]): readonly WrittenName[] {
  const written = variants.map((variant, index) => ({
    name: nameOf(variant),
    path: [index, variant.name === undefined ? "backend" : "name"],
  }));
  return [{ name: CONTROL, path: [] }, ...written];
}

function sumOf(variants: readonly { readonly percent: number }[]): number {
  return variants.reduce((sum, { percent }) => sum + percent, 0);
}

function nameOf({ name, backend }: v.InferOutput<typeof CanaryVariantSchema>): string {
  return name ?? backend;
}
