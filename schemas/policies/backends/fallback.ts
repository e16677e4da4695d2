import * as v from "valibot";
import type { Fallback } from "../../backend-types.ts";
import { closedObject, objectOf } from "../../document/closed-object.ts";
import { entityName, headerName, integer } from "../../values/primitives.ts";

/** A configuration is kept whole in every isolate. */
const MOST_CHARACTERS = 65_536;

/** Answers that have no body (Fetch, "null body status"). */
const WITHOUT_BODY: ReadonlySet<number> = new Set([204, 205, 304]);

/** RFC 9110 7.6.1 and 8.6: what frames a message, which is for the gateway to say. */
const FRAMING =
  /^(?:connection|content-encoding|content-length|keep-alive|te|trailer|transfer-encoding|upgrade|proxy-.*)$/i;

const VALUE = "a text of visible ASCII characters, with spaces inside at most";
const HEADERS = "an object from header names to texts";
const NEITHER_NOR = 'exactly one of "backend" and "response"';

const fieldName = v.pipe(
  headerName,
  v.check((name) => !FRAMING.test(name), "a header of the answer's own: the gateway frames its messages itself"),
);

// RFC 9110 5.5.
const fieldValue = v.pipe(v.string(VALUE), v.regex(/^(?:[\x21-\x7e](?:[\x20-\x7e\t]{0,4094}[\x21-\x7e])?)?$/, VALUE));

/** An answer that the configuration holds. */
export const FallbackResponseSchema = v.pipe(
  closedObject({
    status: integer(200, 599),
    headers: v.optional(objectOf(fieldName, fieldValue, HEADERS)),
    body: v.optional(v.pipe(v.string("a text"), v.maxLength(MOST_CHARACTERS, "a text of at most 65,536 characters"))),
  }),
  v.forward(
    v.partialCheck(
      [["status"], ["body"]],
      ({ status, body = "" }) => body === "" || !WITHOUT_BODY.has(status),
      "nothing: an answer of this status has no body",
    ),
    ["body"],
  ),
);

/** What a request gets that no target may serve. */
export const FallbackSchema = v.pipe(
  closedObject(
    { backend: v.optional(entityName), response: v.optional(FallbackResponseSchema) },
    { wanted: 'an object with "backend" or "response"' },
  ),
  v.partialCheck(
    [["backend"], ["response"]],
    ({ backend, response }) => (backend === undefined) !== (response === undefined),
    NEITHER_NOR,
  ),
);

/** Undefined: 503 `breaker-open`. */
export function resolveFallback(input: v.InferOutput<typeof FallbackSchema> | undefined): Fallback | undefined {
  if (input?.backend !== undefined) return { kind: "backend", backend: input.backend };
  if (input?.response === undefined) return undefined;
  const { status, headers = {}, body = "" } = input.response;
  const fields = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const);
  return { kind: "response", status, headers: fields, body };
}
