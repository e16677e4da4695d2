import type { Route } from "../../../schemas/index.ts";
import type { RequestFields } from "../../request-fields.ts";
import { CREDENTIAL_FIELDS, dashed } from "../../credential-fields.ts";

/**
 * Compiles whether a request says who asks in a field beside `Authorization` and `Cookie`: in one that is known to, or by which a limit,
 * a canary or idempotency keys of the route tell clients apart.
 */
export function credentialsOf({ rateLimits, idempotency, canary }: Route): (fields: RequestFields) => boolean {
  const keys = [...rateLimits.flatMap(({ by }) => by), ...(idempotency?.by ?? []), ...(canary?.by ?? [])];
  const own = keys.flatMap((key) => (key.kind === "header" ? [key.name] : []));
  // Those two are judged by what the route says of them.
  const names = new Set([...CREDENTIAL_FIELDS, ...own].map(dashed));
  for (const name of ["authorization", "cookie"]) names.delete(name);
  return ({ names: given, endToEnd }) => given.some((name) => names.has(dashed(name)) && endToEnd.get(name) !== null);
}
