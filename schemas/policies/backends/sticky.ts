import * as v from "valibot";
import type { StickyPolicy } from "../../backend-types.ts";
import { closedObject } from "../../document/closed-object.ts";
import { duration } from "../../values/duration.ts";
import { flag, oneOf, token } from "../../values/primitives.ts";
import { isOn } from "../policy.ts";

/** What the cookie or header is called that says nothing else. */
export const STICKY_NAMES = { cookie: "sluice_target", header: "x-sluice-target" } as const;

/** A working day and a night: less than a day, so that a client that comes daily is spread anew. */
export const DEFAULT_STICKY_TTL_MS = 23 * 3_600_000;

/**
 * Fields that mean something by themselves, to origins or to clients: the origin would not get them, and an answer would say a
 * token in their place.
 */
const TAKEN = new RegExp(
  `^(?:${[
    "accept|accept-.*|access-control-.*|age|allow|authorization|cache-.*|cdn-.*|cf-.*|connection|content-.*|cookie|date",
    "etag|expect|expires|forwarded|host|idempotency-.*|if-.*|last-modified|link|location|origin|pragma|prefer|proxy-.*|range",
    "ratelimit.*|referer|retry-after|sec-.*|server-timing|set-cookie|strict-transport-security|te|traceparent|tracestate",
    "trailer|transfer-encoding|upgrade|user-agent|vary|via|www-authenticate|x-cache|x-forwarded-.*|x-ratelimit-.*|x-real-ip",
    "x-request-id|x-response-time",
  ].join("|")})$`,
  "i",
);

const WANTED = '"cookie", "header", true, an object, or false';
const by = oneOf(["cookie", "header"]);

/** How a client is kept with its target, in detail. */
export const StickySchema = v.pipe(
  closedObject({
    enabled: v.optional(flag),
    by: v.optional(by),
    name: v.optional(token('the name of a cookie or header, such as "shop_target"')),
    ttl: v.optional(duration("s", { min: 0 })),
  }),
  v.forward(
    v.partialCheck(
      [["by"], ["name"]],
      ({ by: chosen = "cookie", name = "" }) => chosen === "cookie" || !TAKEN.test(name),
      'the name of a header of its own, such as "x-sluice-target": this one means something else',
    ),
    ["name"],
  ),
);

/** `sticky`: how, or a switch. */
export const stickyPolicy = v.union([flag, by, StickySchema], WANTED);

/** The policy with its defaults; undefined: a client may meet any target. */
export function resolveSticky(policy: v.InferOutput<typeof stickyPolicy> | undefined): StickyPolicy | undefined {
  const input = typeof policy === "string" ? { by: policy } : policy;
  const stated: v.InferOutput<typeof StickySchema> | false | undefined = input === true ? {} : input;
  if (!isOn(stated)) return undefined;
  const chosen = stated.by ?? "cookie";
  const { name = STICKY_NAMES[chosen], ttl = DEFAULT_STICKY_TTL_MS } = stated;
  return { by: chosen, name: chosen === "header" ? name.toLowerCase() : name, ttlMs: ttl };
}
