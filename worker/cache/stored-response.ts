import { ageOnArrival } from "./age.ts";
import { readerOf, type Fields } from "./fields.ts";
import { formatHttpDate } from "../http-date.ts";

/** A response as it is kept, without its body. Times in ms since the epoch, by the clock of whoever fetched it. */
export interface StoredResponse {
  readonly status: number;
  /** Those that may be kept; see `storedFields`. */
  readonly fields: Fields;
  /** When the request that brought it, or that last confirmed it, began. A soft purge makes stale what began before it. */
  readonly requestedAt: number;
  /** When the request that brought its bytes began. A hard purge kills what began before it, whatever has confirmed it since. */
  readonly bytesRequestedAt: number;
  /** When its head arrived. */
  readonly receivedAt: number;
  /** When its origin made it, as far as `Date` and `Age` tell; never after it arrived. What its age is counted from. */
  readonly generatedAt: number;
  /** Length of the body as it is kept, in the origin's content coding. */
  readonly bodyBytes: number;
  /** What it can be purged by; see `tagsOf`. */
  readonly tags: readonly string[];
}

/** A head that came from the origin, and when. Times in ms since the epoch. */
export interface NewHead {
  readonly fields: Fields;
  readonly requestedAt: number;
  readonly receivedAt: number;
}

/** Fields of one connection, of credentials between two neighbours, or that only the storing itself gives meaning to. */
const NEVER_STORED: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);
/** What is left to whoever asked, by the origin's own count: nothing to others. */
const QUOTA = /^(?:x-)?ratelimit(?:-|$)/;

/** A response as it is kept. One without a `Date` gets that of its arrival, as RFC 9110, section 6.6.1 obliges. */
export function toStored(
  status: number,
  head: NewHead,
  body: { readonly bodyBytes: number; readonly tags: readonly string[] },
): StoredResponse {
  const fields = withDate(storedFields(head.fields), head.receivedAt);
  return { status, fields, ...timesOf(head), bytesRequestedAt: head.requestedAt, ...body };
}

/** When a head was asked for, came, and was made. */
export function timesOf(head: NewHead): Pick<StoredResponse, "requestedAt" | "receivedAt" | "generatedAt"> {
  const { requestedAt, receivedAt } = head;
  return { requestedAt, receivedAt, generatedAt: receivedAt - ageOnArrival(readerOf(head.fields), head) };
}

/** The same fields, with a `Date` in any case. */
export function withDate(fields: Fields, receivedAt: number): Fields {
  return fields.some(([name]) => name === "date") ? fields : [...fields, ["date", formatHttpDate(receivedAt)]];
}

/**
 * The fields of a response that may be kept (RFC 9111, section 3.1): not those of the connection, nor those that its `Connection` names,
 * nor cookies, which belong to whoever they were made for, nor what the origin lets whoever asked still do.
 */
export function storedFields(fields: Fields): Fields {
  const named = new Set<string>();
  for (const [name, value] of fields) {
    if (name === "connection") for (const option of value.toLowerCase().split(",")) named.add(option.trim());
  }
  return fields.filter(([name]) => !NEVER_STORED.has(name) && !named.has(name) && !isCookie(name) && !isQuota(name));
}

/** Whether a field says what its origin lets whoever asked still do. */
export function isQuota(name: string): boolean {
  return QUOTA.test(name);
}

/** Fields that hand out cookies; RFC 2965's is still read by somebody. */
const COOKIES: readonly string[] = ["set-cookie", "set-cookie2"];

/** Whether a field hands out cookies. */
export function isCookie(name: string): boolean {
  return COOKIES.includes(name);
}

/** Takes out what hands out cookies. */
export function stripCookies(headers: Headers): void {
  for (const name of COOKIES) headers.delete(name);
}
