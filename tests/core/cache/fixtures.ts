import { ALIVE } from "../../../objects/control-plane/purge.ts";
import { DEFAULT_CACHE, type CachePolicy } from "../../../schemas/cache-policy.ts";
import { readerOf, type FieldReader, type Fields } from "../../../worker/cache/fields.ts";
import { storedFreshness } from "../../../worker/cache/freshness.ts";
import { toStored, type StoredResponse } from "../../../worker/cache/stored-response.ts";
import type { Candidate } from "../../../worker/cache/answer.ts";
import type { Received } from "../../../worker/cache/storability.ts";

/** Sunday, 22 November 2026, 12:00:00 GMT. */
export const NOW = Date.UTC(2026, 10, 22, 12);

/** The fields of an object, in its order. */
export function fieldsOf(fields: Readonly<Record<string, string>>): Fields {
  return Object.entries(fields);
}

/** The reader of the fields of an object. */
export function reading(fields: Readonly<Record<string, string>>): FieldReader {
  return readerOf(fieldsOf(fields));
}

/** An instant as a field has it. */
export function dated(secondsFromNow: number): string {
  return new Date(NOW + secondsFromNow * 1_000).toUTCString();
}

/** The answer to a plain GET that came at `NOW`. */
export function received(fields: Readonly<Record<string, string>>, others: Partial<Received> = {}): Received {
  return {
    method: "GET",
    path: "/",
    hasAuthorization: false,
    hasRange: false,
    status: 200,
    fields: fieldsOf(fields),
    receivedAt: NOW,
    ...others,
  };
}

/** A response that came at once at `NOW` and is kept. */
export function stored(fields: Readonly<Record<string, string>>, status = 200, bodyBytes = 100): StoredResponse {
  const head = { fields: fieldsOf(fields), requestedAt: NOW, receivedAt: NOW };
  return toStored(status, head, { bodyBytes, tags: [] });
}

/** The same, as something that may be answered with. */
export function candidate(fields: Readonly<Record<string, string>>, policy: CachePolicy = DEFAULT_CACHE): Candidate {
  const kept = stored(fields);
  return { stored: kept, freshness: storedFreshness(kept, policy), purge: ALIVE };
}
