import type { SelectingFields } from "./variant.ts";

/** What of a request decides whether it may wait for another's. */
export interface Eligible {
  readonly method: string;
  readonly hasBody: boolean;
  readonly fields: SelectingFields;
  /** What the route's rules make of its credentials and cookies: part of the key, taken out, or none there. Else it is its sender's own. */
  readonly isImpersonal: boolean;
  /** Until when the isolate knows that the key's responses can't be shared, in ms since the epoch; 0: it knows nothing. */
  readonly passUntil: number;
}

/** Fields with which a request asks for something that is not the whole response, or not a response at all. */
const OWN: readonly string[] = ["range", "if-range", "if-match", "if-unmodified-since", "upgrade"];

/** Whether a request may wait for another's, and another for it. Asked before anything is sent to the object. */
export function isEligible({ method, hasBody, fields, isImpersonal, passUntil }: Eligible, now: number): boolean {
  if ((method !== "GET" && method !== "HEAD") || hasBody || !isImpersonal || now < passUntil) return false;
  return OWN.every((name) => fields.get(name) === null);
}
