import * as v from "valibot";
import { closedObject } from "../../document/closed-object.ts";
import type { BanPolicy, Exemptions } from "../../rate-limit-types.ts";
import { parseCidr } from "../../cidr.ts";
import { decimal } from "../../values/decimal.ts";
import { duration } from "../../values/duration.ts";
import { flag, listOf } from "../../values/primitives.ts";
import { isOn } from "../policy.ts";

const DAY_MS = 86_400_000;

/** What `ban: true` means. */
export const DEFAULT_BAN: BanPolicy = { factor: 5, durationsMs: [DAY_MS], rememberMs: DAY_MS, exemptPrincipals: [] };

const PRINCIPAL = "a principal's name, 1 to 256 characters";
const LADDER = 'a duration such as "24h", or an array of them: the first ban, the next, ...';
const BAN = 'true, false, or an object with "factor", "for", "rememberFor" or "exemptPrincipals"';
const BLOCK = 'a CIDR block such as "10.0.0.0/8" or "2001:db8::/32", or a single address';

const principals = v.array(
  v.pipe(v.string(PRINCIPAL), v.minLength(1, PRINCIPAL), v.maxLength(256, PRINCIPAL)),
  "an array of principals' names",
);

// Clients are told to come back in whole seconds.
const banLength = duration(undefined, { min: 1000 });

/** When and for how long abuse shuts a client out. */
export const BanSchema = closedObject({
  enabled: v.optional(flag),
  // At 1 a client that just uses up its limit would be banned for one request more.
  factor: v.optional(decimal(2, 1000)),
  for: v.optional(
    v.union([banLength, v.pipe(listOf(banLength, LADDER, LADDER), v.maxLength(10, "at most 10 durations"))], LADDER),
  ),
  rememberFor: v.optional(banLength),
  exemptPrincipals: v.optional(principals),
});

/** `ban`: a switch or the details. */
export const banPolicy = v.union([flag, BanSchema], BAN);

/** Who meets a limit not at all. */
export const ExemptSchema = v.pipe(
  closedObject({
    cidrs: v.optional(
      v.array(
        v.pipe(
          v.string(BLOCK),
          v.check((text) => parseCidr(text) !== undefined, BLOCK),
          v.check(
            (text) => parseCidr(text)?.bits !== 0,
            "a block of known clients: this one holds every address; remove the limit instead",
          ),
        ),
        "an array of CIDR blocks",
      ),
    ),
    principals: v.optional(principals),
  }),
  v.check(
    ({ cidrs = [], principals: names = [] }) => cidrs.length + names.length > 0,
    'at least one of "cidrs" and "principals", with something in it',
  ),
);

/** The policy with its defaults; undefined: nobody is banned. */
export function resolveBan(input: v.InferOutput<typeof banPolicy> | undefined): BanPolicy | undefined {
  if (input === undefined || input === false) return undefined;
  if (input === true) return DEFAULT_BAN;
  if (!isOn(input)) return undefined;
  const durations = input.for ?? DEFAULT_BAN.durationsMs;
  return {
    factor: input.factor ?? DEFAULT_BAN.factor,
    durationsMs: typeof durations === "number" ? [durations] : durations,
    rememberMs: input.rememberFor ?? DEFAULT_BAN.rememberMs,
    exemptPrincipals: input.exemptPrincipals ?? [],
  };
}

/** Empty lists: nobody is exempt. */
export function resolveExempt(input: v.InferOutput<typeof ExemptSchema> | undefined): Exemptions {
  return { cidrs: input?.cidrs ?? [], principals: input?.principals ?? [] };
}
