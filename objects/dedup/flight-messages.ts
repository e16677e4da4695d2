import { isText, MAX_POLICY_LENGTH, wanted, type Unchecked } from "../message-checks.ts";
import { isCount } from "../numbers.ts";
import type { HeadFacts } from "./sharing.ts";

/** A header field; several of one name as several. */
export type FieldPair = readonly [name: string, value: string];

/** A request that may be shared, from a Worker to the owner of its flights: JSON, as the body of a POST. Durations in ms. */
export interface FlightMessage {
  readonly v: 1;
  /** Whose flights: the cache's key, and the configuration's version. All that is under what the origin is asked goes by it. */
  readonly key: string;
  readonly route: string;
  readonly configVersion: number;
  readonly placement?: { readonly backend: string; readonly variant?: string };
  /** Of the client that asks; the origin is told where the request is made for it. */
  readonly requestId: string;
  readonly client: { readonly address: string; readonly forwardedFor: string };
  /** What was keyed, by the scheme that the client used. */
  readonly url: string;
  /** Those that the origin gets, and no others. */
  readonly fields: readonly FieldPair[];
  /** The data centre that keeps what its readers read, such as `FRA`; empty: that of the owner itself, or nobody knows. */
  readonly place: string;
  /** Whether there is something stale that will do if the origin fails. */
  readonly hasStale: boolean;
  /** What the origin was asked for before is not wanted, as it was purged; in ms since the epoch, 0: all is. */
  readonly freshAfter: number;
  readonly windowMs: number;
  readonly coalesce: "fresh" | "arrived-before-headers";
  /** The route's total timeout. */
  readonly totalMs: number;
  /** Its timeout for silence: whoever takes nothing for so long is broken off. */
  readonly idleMs: number;
}

/** What comes of a request, before its response's body. Durations in ms, times in ms since the epoch by the clock of whoever asked. */
export type FlightAnswer =
  | ({
      readonly kind: "served";
      readonly role: "leader" | "follower";
      /** Whether this one is to keep it for its place; of each place one is. */
      readonly isKeeper: boolean;
      readonly status: number;
      readonly fields: readonly FieldPair[];
    } & Fetched)
  /** To be asked alone, and for so long without a question to the owner. */
  | { readonly kind: "alone"; readonly forMs: number }
  /** The origin failed, and there is something stale. */
  | { readonly kind: "stale" }
  | { readonly kind: "failed"; readonly failure: OriginFailed };

/** What is known of a response beside itself. */
interface Fetched {
  readonly requestedAt: number;
  /** Earlier than that where the origin has only confirmed it. */
  readonly bytesRequestedAt: number;
  readonly receivedAt: number;
  /** For the log of whoever it was made for. */
  readonly notes: Readonly<Record<string, unknown>>;
}

/** What the gateway's inner entrypoint says of the response that it has got for a flight. */
export type OriginSays =
  | ({ readonly kind: "head"; readonly facts: HeadFacts } & Fetched)
  | { readonly kind: "failed"; readonly failure: OriginFailed };

/** Why there is no response. */
export interface OriginFailed {
  /** Of the gateway's errors. */
  readonly code: string;
  readonly detail: string;
  /** In seconds, as it is written in the field. */
  readonly retryAfter?: string;
  /** For the log alone. */
  readonly reason?: string;
  /** Whether the origin may have seen the request. */
  readonly wasSent: boolean;
}

/** The field in which `OriginSays` travels; whatever an origin says in it is overwritten. */
export const ORIGIN_SAYS = "x-sluice-flight";

/** Longer than any URL and header that a client can send. */
const MAX_FIELDS = 512;
const MAX_URL = 65_536;
/** A digest and a number. */
const MAX_KEY = 128;

/** What is wrong with a message, in words for a log, or undefined. */
export function flightProblem(message: Unchecked<FlightMessage>): string | undefined {
  const { v, route, configVersion, url, fields, place, freshAfter, windowMs, totalMs, idleMs } = message;
  if (v !== 1) return wanted("v", v, "1; deploy the Worker and its objects together");
  if (!isText(message.key, MAX_KEY)) return wanted("key", message.key, `1 to ${MAX_KEY} characters`);
  if (!isText(route, MAX_POLICY_LENGTH)) return wanted("route", route, `1 to ${MAX_POLICY_LENGTH} characters`);
  if (!isText(url, MAX_URL)) return wanted("url", url, "a URL");
  if (!Array.isArray(fields) || fields.length > MAX_FIELDS) return wanted("fields", fields, `at most ${MAX_FIELDS}`);
  if (typeof place !== "string") return wanted("place", place, "a text");
  const counts = { configVersion, freshAfter, windowMs, totalMs, idleMs };
  for (const [name, count] of Object.entries(counts))
    if (!isCount(count)) return wanted(name, count, "an integer >= 0");
  return undefined;
}

const PREFIX_BYTES = 4;

/** What an answer may be preceded by, any number of times: none of no length. */
export const NO_ANSWER_YET = new Uint8Array(PREFIX_BYTES);

/** An answer as the bytes before the body: their number, then JSON. */
export function sealAnswer(answer: FlightAnswer): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(answer));
  const frame = new Uint8Array(PREFIX_BYTES + text.byteLength);
  new DataView(frame.buffer).setUint32(0, text.byteLength);
  frame.set(text, PREFIX_BYTES);
  return frame;
}

/** Reads the answer, and leaves the stream where the body begins. @throws Error when the owner has gone before. */
export async function readAnswer(stream: ReadableStream<Uint8Array>): Promise<FlightAnswer> {
  const reader = stream.getReader({ mode: "byob" });
  const take = async (count: number): Promise<Uint8Array> => {
    const { value } = await reader.readAtLeast(count, new Uint8Array(count));
    if (value?.byteLength !== count) throw new Error("the owner of the flight has gone");
    return value;
  };
  try {
    let length = 0;
    while (length === 0) {
      const prefix = await take(PREFIX_BYTES);
      length = new DataView(prefix.buffer, prefix.byteOffset).getUint32(0);
    }
    const answer: FlightAnswer = JSON.parse(new TextDecoder().decode(await take(length)));
    return answer;
  } finally {
    reader.releaseLock();
  }
}
