import * as v from "valibot";
import type { LimitKey, RateLimit } from "../config-types.ts";
import { closedObject } from "../document/closed-object.ts";
import { duration } from "../values/duration.ts";
import { flag, integer, listOf, oneOf } from "../values/primitives.ts";
import { isOn, removable } from "./policy.ts";

/** How long the owner of a counter may take before `onError` decides. */
export const DEFAULT_DEADLINE_MS = 150;

// The bucket counts in units of 1/windowMs token; beyond 2^53 a double no longer holds every integer.
const MAX_BUCKET = 2 ** 53;

const KEY =
  '"ip", "all", "route" or "header:NAME", or an array of these ("principal", "consumer", "cookie:NAME" and "claim:NAME" do not act yet)';

/** What proxies tell each other about the client's address; as it arrives, it is the client's own word. */
const ADDRESS_HEADER =
  /^(?:x-forwarded-.*|forwarded|x-real-ip|(?:x-|true-|x-cluster-)client-ip|cf-connecting-ip(?:v6)?|cf-pseudo-ipv4)$/;

const BY_IP =
  '"ip", with "clientIp" saying where the address comes from: any client can write this header, and so choose its bucket';

const limitKey = v.pipe(
  v.string(KEY),
  v.rawTransform<string, LimitKey>(({ dataset, addIssue, NEVER }) => {
    const key = readKey(dataset.value);
    if (key !== undefined) return key;
    addIssue({ message: KEY });
    return NEVER;
  }),
);

const limitKeys = v.pipe(
  v.union([limitKey, listOf(limitKey, KEY)], KEY),
  v.transform((keys) => (Array.isArray(keys) ? keys : [keys])),
  v.check((keys) => keys.every((key) => key.kind !== "header" || !ADDRESS_HEADER.test(key.name)), BY_IP),
  v.check((keys) => new Set(keys.map(formatKey)).size === keys.length, "each key once"),
  v.check(
    (keys) => keys.length === 1 || keys.every(({ kind }) => kind !== "all"),
    '"all" alone: with another key it adds nothing',
  ),
);

const NAME = "a name: letters, digits, dots, dashes and underscores, at most 32 (it appears in the RateLimit headers)";

/** One counter per client. */
export const RateLimitSchema = v.pipe(
  closedObject({
    enabled: v.optional(flag),
    name: v.optional(v.pipe(v.string(NAME), v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/, NAME))),
    requestsPerWindow: v.optional(integer(1)),
    windowSeconds: v.optional(duration("s")),
    window: v.optional(duration(undefined)),
    burst: v.optional(integer(1)),
    by: v.optional(limitKeys),
    mode: v.optional(oneOf(["strict", "leased"])),
    algorithm: v.optional(v.literal("token-bucket", '"token-bucket", the only algorithm that acts today')),
    onError: v.optional(oneOf(["local", "closed", "open"])),
    clients: v.optional(oneOf(["pooled", "own"])),
    shadow: v.optional(flag),
    legacyHeaders: v.optional(flag),
    deadline: v.optional(duration("ms", { max: 30_000 })),
  }),
  v.forward(
    v.partialCheck(
      [["enabled"], ["requestsPerWindow"]],
      ({ enabled, requestsPerWindow }) => enabled === false || requestsPerWindow !== undefined,
      "a whole number, at least 1: the field is required",
    ),
    ["requestsPerWindow"],
  ),
  v.forward(
    v.partialCheck(
      [["enabled"], ["windowSeconds"], ["window"]],
      ({ enabled, windowSeconds, window }) =>
        (enabled === false && windowSeconds === undefined) || (windowSeconds === undefined) !== (window === undefined),
      'exactly one of "windowSeconds" and "window"',
    ),
    ["windowSeconds"],
  ),
  v.forward(
    v.partialCheck(
      [["requestsPerWindow"], ["burst"], ["windowSeconds"], ["window"]],
      (limit) =>
        (limit.burst ?? limit.requestsPerWindow ?? 0) <=
        Math.floor(MAX_BUCKET / (limit.windowSeconds ?? limit.window ?? 1)),
      "at most 2^53 for burst (by default requestsPerWindow) times the window in milliseconds, so that the bucket counts exactly; shorten the window or lower the burst",
    ),
    ["burst"],
  ),
);

/** `rateLimit`: one limit, or false. */
export const RateLimitPolicySchema = removable(RateLimitSchema);

/** `rateLimits`: several limits that are checked and deducted together, or false. */
export const RateLimitListSchema = v.union(
  [
    v.literal(false, "an array of rate limits, or false"),
    v.pipe(
      v.array(RateLimitSchema, "an array of rate limits, or false"),
      v.rawCheck(({ dataset, addIssue }) => {
        const limits: readonly unknown[] = Array.isArray(dataset.value) ? dataset.value : [];
        const names = limits.map(nameOf);
        for (const [index, name] of names.entries()) {
          if (name !== undefined && names.indexOf(name) === index) continue;
          const message = name === undefined ? 'a "name", since there may be several limits' : "a name of its own";
          addIssue({ message, path: pathToName(limits, index) });
        }
      }),
    ),
  ],
  "an array of rate limits, or false",
);

/** A limit as its document states it. */
export type RateLimitInput = v.InferOutput<typeof RateLimitSchema>;

interface LimitFields {
  readonly rateLimit?: v.InferOutput<typeof RateLimitPolicySchema> | undefined;
  readonly rateLimits?: v.InferOutput<typeof RateLimitListSchema> | undefined;
}

/** Whether a level says anything about limits, be it that there are none. */
export function statesRateLimits(fields: LimitFields): boolean {
  return fields.rateLimit !== undefined || fields.rateLimits !== undefined;
}

/**
 * The limits of one level, with defaults.
 *
 * @param owner names the counters: `default` at the top level, `route:<routeId>` on a route.
 * @param name what the single limit is called when it does not say.
 */
export function resolveRateLimits(fields: LimitFields, owner: string, name: string): readonly RateLimit[] {
  const { rateLimit, rateLimits } = fields;
  if (isOn(rateLimit)) return [resolve(rateLimit, owner, rateLimit.name ?? name)];
  if (rateLimits === undefined || rateLimits === false) return [];
  return rateLimits.filter(isOn).map((limit, index) => {
    const own = limit.name ?? `${name}-${index + 1}`;
    return resolve(limit, `${owner}:${own}`, own);
  });
}

function resolve(limit: RateLimitInput, id: string, name: string): RateLimit {
  const requestsPerWindow = limit.requestsPerWindow ?? 1;
  return {
    id,
    name,
    requestsPerWindow,
    windowMs: limit.windowSeconds ?? limit.window ?? 1,
    burst: limit.burst ?? requestsPerWindow,
    by: limit.by ?? [{ kind: "ip" }],
    algorithm: "token-bucket",
    mode: "strict",
    onError: limit.onError ?? "local",
    clients: limit.clients ?? "pooled",
    shadow: limit.shadow ?? false,
    legacyHeaders: limit.legacyHeaders ?? false,
    deadlineMs: limit.deadline ?? DEFAULT_DEADLINE_MS,
  };
}

function nameOf(limit: unknown): unknown {
  return typeof limit === "object" && limit !== null && "name" in limit ? limit.name : undefined;
}

function pathToName(limits: readonly unknown[], index: number): [v.IssuePathItem, v.IssuePathItem] {
  const limit = Object.assign({}, limits[index]);
  return [
    { type: "array", origin: "value", input: [...limits], key: index, value: limit },
    { type: "object", origin: "value", input: limit, key: "name", value: nameOf(limit) },
  ];
}

function readKey(text: string): LimitKey | undefined {
  if (text === "ip" || text === "all" || text === "route") return { kind: text };
  const name = /^header:([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64})$/.exec(text)?.[1];
  return name === undefined ? undefined : { kind: "header", name: name.toLowerCase() };
}

function formatKey(key: LimitKey): string {
  return key.kind === "header" ? `header:${key.name}` : key.kind;
}
