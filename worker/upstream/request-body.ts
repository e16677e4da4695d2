import type { SizeLimits, Timeouts } from "../../schemas/index.ts";
import { GatewayError } from "../errors.ts";
import { within } from "../within.ts";
import { firstTurn, pump, waitedForSource, type PumpEnd, type PumpTurn } from "./pump.ts";

/**
 * Bodies up to this many bytes are read whole before the origin is called: a slow sender then occupies no origin
 * connection, and the body can be sent again. Above it, and whenever the length is unknown, bodies are streamed.
 */
export const BUFFER_BYTES = 65_536;

/**
 * Methods whose body `fetch` takes only inside the client's own request; some APIs (Elasticsearch) want it all the same.
 * It cannot be replaced there, so a short one is read from a copy, and a long one is watched by nobody but the origin.
 */
const BODILESS: ReadonlySet<string> = new Set(["GET", "HEAD"]);

export interface OutgoingBody {
  /** A whole request where `fetch` takes the body in no other way. */
  readonly body: ArrayBuffer | ReadableStream<Uint8Array> | Request | null;
  /** For a streamed body: settles when no more of it will be sent, with the failure that ended it early. Never rejects. */
  readonly sent: Promise<GatewayError | undefined> | undefined;
  /** For a streamed body that is not all sent: the failure of whoever is waited for at this moment. */
  readonly overdue: (() => GatewayError) | undefined;
  /** Whether the client may still owe some of it, or has broken it off: what then becomes of the call says nothing of the target. */
  readonly isOwed: () => boolean;
  /** For how long of the sending the client was waited for by now, in ms; Infinity: nobody knows. Not the target's time. */
  readonly clientMs: (now: number) => number;
}

/** No body at all. */
export const NOTHING: OutgoingBody = {
  body: null,
  sent: undefined,
  overdue: undefined,
  isOwed: () => false,
  clientMs: () => 0,
};

/** Whether nobody but its target sees how a body goes, so that a client that stands still looks like a target that does. */
export function isUnwatched({ body, sent, isOwed }: OutgoingBody): boolean {
  return body !== null && sent === undefined && isOwed();
}

/** What a body has to keep to. */
export interface BodyTerms {
  readonly limits: SizeLimits | undefined;
  readonly timeouts: Timeouts;
  /** Milliseconds since the epoch: the body's deadline counts from the request's arrival. */
  readonly receivedAt: number;
}

/**
 * Takes over the client's body for the origin.
 *
 * @throws GatewayError `request-timeout`, `invalid-request`. Once a body is streamed they come through `sent`, as do
 * `payload-too-large` for a body whose length was not declared and `upstream-timeout` for an origin that stops reading.
 */
export async function outgoingBody(request: Request, terms: BodyTerms): Promise<OutgoingBody> {
  if (request.body === null) return NOTHING;
  const { limits, timeouts, receivedAt } = terms;
  const declared = request.headers.get("content-length");
  const length = declared === null ? undefined : Number(declared);
  const isBodiless = BODILESS.has(request.method);
  if (isBodiless && length === undefined) return emptyBody(request.method, request.body, terms);
  if (length !== undefined && length <= BUFFER_BYTES) {
    const bytes = await readWhole(isBodiless ? request.clone() : request, length, terms);
    return { ...NOTHING, body: isBodiless ? request : bytes };
  }
  if (isBodiless) return { ...NOTHING, body: request, isOwed: () => true, clientMs: () => Infinity };
  // A plain TransformStream would turn a truncated upload into a complete chunked one; a fixed length keeps it visible.
  const pipe = length === undefined ? new IdentityTransformStream() : new FixedLengthStream(length);
  const turn = firstTurn();
  const moved = pump(request.body, pipe.writable, {
    idleMs: timeouts.idle,
    totalMs: receivedAt + timeouts.requestBody - Date.now(),
    turn,
    ...(limits === undefined ? {} : { maxBytes: limits.maxBodySize }),
  });
  let isOwed = true;
  const sent = moved.then((end) => {
    const failure = failureOf(end, terms);
    isOwed = failure !== undefined && failure.code !== "upstream-timeout";
    return failure;
  });
  return {
    body: pipe.readable,
    sent,
    overdue: () => tooSlow(turn.waitsFor, timeouts),
    isOwed: () => isOwed,
    clientMs: (now) => waitedForSource(turn, now),
  };
}

/** 413 for a body of `bytes`, or of more than the limit when the length was not declared. */
export function tooLarge(limits: SizeLimits, bytes?: number): GatewayError {
  const got = bytes === undefined ? "The body is longer than this route takes" : `The body is ${bytes} bytes`;
  return new GatewayError("payload-too-large", { detail: `${got}; at most ${limits.maxBodySize} bytes are taken.` });
}

/**
 * A body of unknown length that workerd 1.20261102.1 would drop without a word, whatever the headers say. It may be empty:
 * HTTP/2 can end a request in a frame of its own.
 */
async function emptyBody(
  method: string,
  body: ReadableStream<Uint8Array>,
  { timeouts, receivedAt }: BodyTerms,
): Promise<OutgoingBody> {
  const reader = body.getReader();
  const remaining = receivedAt + Math.min(timeouts.requestBody, timeouts.total) - Date.now();
  const { done } = await within(reader.read(), remaining, () => tooSlow("source", timeouts));
  if (done) return NOTHING;
  void reader.cancel().catch(() => {});
  throw new GatewayError("invalid-request", {
    detail: `A body of ${method} needs a Content-Length; send one, or use POST or QUERY.`,
  });
}

async function readWhole(request: Request, length: number, terms: BodyTerms): Promise<ArrayBuffer> {
  const { timeouts, receivedAt } = terms;
  const remaining = receivedAt + Math.min(timeouts.requestBody, timeouts.total) - Date.now();
  let bytes: ArrayBuffer;
  try {
    bytes = await within(request.arrayBuffer(), remaining, () => tooSlow("source", timeouts));
  } catch (error) {
    throw error instanceof GatewayError ? error : cutShort(error);
  }
  if (bytes.byteLength !== length) throw cutShort(undefined);
  return bytes;
}

function failureOf(end: PumpEnd, { limits, timeouts }: BodyTerms): GatewayError | undefined {
  switch (end.kind) {
    case "complete":
    // The origin may answer without reading everything; what it then says is the answer.
    case "destination-failed":
    case "abandoned":
      return undefined;
    case "idle":
    case "late":
      return tooSlow(end.waitedFor, timeouts);
    case "too-large":
      return limits === undefined ? undefined : tooLarge(limits);
    case "source-failed":
      return cutShort(end.error);
  }
}

/** A body stands still because the client sends nothing, or because the origin takes nothing: the status says which. */
function tooSlow(waitedFor: PumpTurn["waitsFor"], timeouts: Timeouts): GatewayError {
  if (waitedFor === "destination") {
    return new GatewayError("upstream-timeout", { detail: "The origin did not take the request body in time." });
  }
  return new GatewayError("request-timeout", {
    detail: `The body did not arrive whole within ${timeouts.requestBody} ms.`,
  });
}

function cutShort(cause: unknown): GatewayError {
  return new GatewayError("invalid-request", { detail: "The body ended before its declared length.", cause });
}
