import type { CachePolicy } from "../../schemas/cache-policy.ts";

/**
 * Fields of a request that origins and frameworks let change the answer and that no key holds: on a route that caches they are never sent
 * upstream, or one request could poison the entry of all (Kettle, "Practical Web Cache Poisoning", 2018). What the gateway itself says in
 * fields of these names it says after this.
 */
const UNKEYED: ReadonlySet<string> = new Set([
  "fastly-host",
  "forwarded",
  "front-end-https",
  "x-forwarded",
  "x-host",
  "x-http-host-override",
  "x-http-method",
  "x-http-method-override",
  "x-method-override",
  "x-middleware-prefetch",
  "x-middleware-subrequest",
  "x-nextjs-data",
  "x-rewrite-url",
  "x-scheme",
  "x-url-scheme",
]);
/** Whole families of them: what proxies say, and what Next.js tells itself. */
const FAMILIES: readonly string[] = ["x-envoy-", "x-forwarded-", "x-invoke-", "x-matched-", "x-original-"];

/** Judged here, for each client by itself, once the whole response is there. */
const CONDITIONS: readonly string[] = ["if-none-match", "if-modified-since", "if-range", "range"];

/**
 * The fields to take out of a request that the cache sends to its origin: the golden rule is to forward exactly what was keyed. `Accept`
 * and its kin are sent as `selectingValue` gives them, cookies as `keyedCookies` does where they are keyed, and a body never.
 *
 * @param names of the request's fields, in lower case. One with underscores is the same to origins that read it by CGI's rules.
 * @param isFill whether its response is to be kept. Else, which is a range that nothing stored answers, its conditions are the client's.
 */
export function withheldFields(names: Iterable<string>, policy: CachePolicy, isFill: boolean): readonly string[] {
  const withheld = [...names].filter(isUnkeyed);
  if (isFill) withheld.push(...CONDITIONS);
  if (policy.cookies.kind === "strip") withheld.push("cookie");
  return withheld;
}

function isUnkeyed(written: string): boolean {
  const name = written.replaceAll("_", "-");
  return UNKEYED.has(name) || FAMILIES.some((family) => name.startsWith(family));
}
