import type { FieldReader } from "./request-fields.ts";

/** Ids that are safe in a header, a log line and a URL; anything else from outside is replaced. */
const SAFE = /^[A-Za-z0-9._~+/=:@-]{8,128}$/;

/** The request's id: a safe inbound `X-Request-ID` is kept, so that a trace goes on; else a new UUID. */
export function requestIdOf(fields: FieldReader): string {
  const inbound = fields.get("x-request-id");
  return inbound !== null && SAFE.test(inbound) ? inbound : crypto.randomUUID();
}
