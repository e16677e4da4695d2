import { parseHttpDate } from "../http-date.ts";
import type { FieldReader } from "./fields.ts";

/** When a response was asked for and came, in ms since the epoch. */
export interface Exchanged {
  readonly requestedAt: number;
  readonly receivedAt: number;
}

/** RFC 9111, section 1.2.2. */
const MAX_MS = 2_147_483_648_000;

/**
 * How old a response was when it arrived, in ms: what its `Date` and its `Age` say, whichever is more (RFC 9111, section 4.2.3). Of an
 * `Age` with several members the first counts, and one that is no whole number says nothing (section 5.1).
 */
export function ageOnArrival(fields: FieldReader, { requestedAt, receivedAt }: Exchanged): number {
  const date = parseHttpDate(fields.get("date"), receivedAt);
  const apparent = date === undefined ? 0 : Math.max(0, receivedAt - date);
  const delay = Math.max(0, receivedAt - requestedAt);
  return Math.max(apparent, ageField(fields.get("age")) + delay);
}

/** How old a response is, in ms; on a clock that stepped back it doesn't get younger than it came. */
export function currentAge(made: { readonly generatedAt: number; readonly receivedAt: number }, now: number): number {
  return Math.max(now, made.receivedAt) - made.generatedAt;
}

function ageField(value: string | null): number {
  const [first = ""] = value?.split(",") ?? [];
  const text = first.trim();
  return /^\d+$/.test(text) ? Math.min(Number(text) * 1_000, MAX_MS) : 0;
}
