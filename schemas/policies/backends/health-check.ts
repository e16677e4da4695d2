import * as v from "valibot";
import type { HealthCheck } from "../../backend-types.ts";
import { closedObject } from "../../document/closed-object.ts";
import { duration } from "../../values/duration.ts";
import { flag, integer, oneOf } from "../../values/primitives.ts";
import { statusList } from "../../values/status.ts";
import { pathFault } from "../../values/url-path.ts";
import { isOn } from "../policy.ts";

/** What holds where only a path is configured. */
export const DEFAULT_HEALTH_CHECK: Omit<HealthCheck, "path" | "bodyIncludes"> = {
  method: "GET",
  intervalMs: 10_000,
  timeoutMs: 2_000,
  rise: 2,
  fall: 3,
  statuses: [{ from: 200, to: 399 }],
};

const WANTED = 'a path such as "/healthz", an object with "path", or false';
const TEXT = "a text of 1 to 256 characters";
const MOST_IN_A_ROW = 100;

const checkedPath = v.pipe(
  v.string('a path such as "/healthz"'),
  v.rawCheck(({ dataset, addIssue }) => {
    const fault = dataset.typed ? faultOf(dataset.value) : undefined;
    if (fault !== undefined) addIssue({ message: fault });
  }),
);

/** How a target is probed, in detail. */
export const HealthCheckSchema = v.pipe(
  closedObject({
    enabled: v.optional(flag),
    path: checkedPath,
    method: v.optional(oneOf(["GET", "HEAD"])),
    interval: v.optional(duration("ms", { min: 1_000, max: 3_600_000 })),
    timeout: v.optional(duration("ms", { min: 10, max: 60_000 })),
    rise: v.optional(integer(1, MOST_IN_A_ROW)),
    fall: v.optional(integer(1, MOST_IN_A_ROW)),
    statuses: v.optional(statusList(2)),
    bodyIncludes: v.optional(v.pipe(v.string(TEXT), v.minLength(1, TEXT), v.maxLength(256, TEXT))),
  }),
  v.forward(
    v.partialCheck(
      [["interval"], ["timeout"]],
      ({ interval = DEFAULT_HEALTH_CHECK.intervalMs, timeout = 0 }) => timeout <= interval,
      '"timeout" at most as long as "interval": checks of one target do not overlap',
    ),
    ["timeout"],
  ),
  v.forward(
    v.partialCheck(
      [["method"], ["bodyIncludes"]],
      ({ method, bodyIncludes }) => bodyIncludes === undefined || method !== "HEAD",
      'nothing with "method": "HEAD", whose answer has no body',
    ),
    ["bodyIncludes"],
  ),
);

/** `healthCheck`: a path, the details, or false. */
export const healthCheckPolicy = v.union([v.literal(false, WANTED), checkedPath, HealthCheckSchema], WANTED);

/** The check with its defaults; undefined: nobody probes. */
export function resolveHealthCheck(
  policy: v.InferOutput<typeof healthCheckPolicy> | undefined,
): HealthCheck | undefined {
  const input: v.InferOutput<typeof HealthCheckSchema> | false | undefined =
    typeof policy === "string" ? { path: policy } : policy;
  if (!isOn(input)) return undefined;
  const intervalMs = input.interval ?? DEFAULT_HEALTH_CHECK.intervalMs;
  return {
    path: input.path,
    method: input.method ?? DEFAULT_HEALTH_CHECK.method,
    intervalMs,
    timeoutMs: input.timeout ?? Math.min(intervalMs, DEFAULT_HEALTH_CHECK.timeoutMs),
    rise: input.rise ?? DEFAULT_HEALTH_CHECK.rise,
    fall: input.fall ?? DEFAULT_HEALTH_CHECK.fall,
    statuses: input.statuses ?? DEFAULT_HEALTH_CHECK.statuses,
    bodyIncludes: input.bodyIncludes,
  };
}

function faultOf(written: string): string | undefined {
  const [path = "", query = ""] = written.split(/\?(.*)/s);
  if (/[^\x21-\x7e]|[#"<>]/.test(query)) return "a query in URL characters; write others percent-encoded";
  return pathFault(path);
}
