import * as v from "valibot";
import { parseCidr } from "./cidr.ts";
import type { ClientIp } from "./config-types.ts";
import { closedObject } from "./document/closed-object.ts";
import { headerName, listOf } from "./values/primitives.ts";

const WANTED = '"cloudflare", "socket", or an object with "header" and "trustedProxies"';
const BLOCK = 'a CIDR block such as "10.0.0.0/8" or "2001:db8::/32", or a single address';

const trustedProxy = v.pipe(
  v.string(BLOCK),
  v.check((text) => parseCidr(text) !== undefined, BLOCK),
  v.check(
    (text) => parseCidr(text)?.bits !== 0,
    "a block of your own proxies: trusting every address lets any client choose its own",
  ),
);

/** A header that proxies write. */
export const ClientIpHeaderSchema = closedObject({
  header: v.pipe(
    headerName,
    // Its elements are no addresses, so every client behind a proxy would be that proxy.
    v.check(
      (name) => name.toLowerCase() !== "forwarded",
      'a header that lists addresses, such as "X-Forwarded-For"; "Forwarded" (RFC 7239) is not read',
    ),
  ),
  trustedProxies: listOf(trustedProxy, "an array of CIDR blocks"),
});

/** Where the client's address is taken from. */
export const ClientIpSchema = v.union(
  [v.literal("cloudflare", WANTED), v.literal("socket", WANTED), ClientIpHeaderSchema],
  WANTED,
);

/** The source in its normalised form. */
export function resolveClientIp(input: v.InferOutput<typeof ClientIpSchema> | undefined): ClientIp | undefined {
  if (input === undefined) return undefined;
  if (input === "cloudflare" || input === "socket") return { source: input };
  return { source: "header", header: input.header.toLowerCase(), trustedProxies: input.trustedProxies };
}
