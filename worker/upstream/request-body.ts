import type { SizeLimits, Timeouts } from "../../schemas/index.ts";
import { GatewayError } from "../errors.ts";
import { within } from "../within.ts";
import { pump, type PumpEnd } from "./pump.ts";

/**
 * Bodies up to this many bytes are read whole before the origin is called: a slow sender then occupies no origin
 * connection, and the body can be sent again. Above it, and whenever the length is unknown, bodies are streamed.
 */
const BUFFER_BYTES = 65_536;

export interface OutgoingBody {
  readonly body: ArrayBuffer | ReadableStream<Uint8Array> | null;
  /** For a streamed body: settles when no more of it will be sent, with the failure that ended it early. Never rejects. */
  readonly sent: Promise<GatewayError | undefined> | undefined;
}

/**
 * Takes over the client's body for the origin.
 *
 * @throws GatewayError `request-timeout`, `invalid-request`. Once a body is streamed they come through `sent`, as does
 * `payload-too-large` for a body whose length was not declared.
 */
export async function outgoingBody(
  request: Request,
  limits: SizeLimits | undefined,
  timeouts: Timeouts,
): Promise<OutgoingBody> {
  if (request.body === null) return { body: null, sent: undefined };
  const declared = request.headers.get("content-length");
  const length = declared === null ? undefined : Number(declared);
  if (length !== undefined && length <= BUFFER_BYTES) {
    return { body: await readWhole(request, length, timeouts), sent: undefined };
  }
  // A plain TransformStream would turn a truncated upload into a complete chunked one; a fixed length keeps it visible.
  const pipe = length === undefined ? new IdentityTransformStream() : new FixedLengthStream(length);
  const moved = pump(request.body, pipe.writable, {
    idleMs: timeouts.idle,
    totalMs: timeouts.requestBody,
    ...(limits === undefined ? {} : { maxBytes: limits.maxBodySize }),
  });
  return { body: pipe.readable, sent: moved.then((end) => failureOf(end, limits, timeouts)) };
}

/** 413 for a body of `bytes`, or of more than the limit when the length was not declared. */
export function tooLarge(limits: SizeLimits, bytes?: number): GatewayError {
  const got = bytes === undefined ? "The body is longer than this route takes" : `The body is ${bytes} bytes`;
  return new GatewayError("payload-too-large", { detail: `${got}; at most ${limits.maxBodySize} bytes are taken.` });
}

async function readWhole(request: Request, length: number, timeouts: Timeouts): Promise<ArrayBuffer> {
  let bytes: ArrayBuffer;
  try {
    bytes = await within(request.arrayBuffer(), timeouts.requestBody, () => tooSlow(timeouts));
  } catch (error) {
    throw error instanceof GatewayError ? error : cutShort(error);
  }
  if (bytes.byteLength !== length) throw cutShort(undefined);
  return bytes;
}

function failureOf(end: PumpEnd, limits: SizeLimits | undefined, timeouts: Timeouts): GatewayError | undefined {
  switch (end.kind) {
    case "complete":
    // The origin may answer without reading everything; what it then says is the answer.
    case "destination-failed":
    case "abandoned":
      return undefined;
    case "idle":
    case "late":
      return tooSlow(timeouts);
    case "too-large":
      return limits === undefined ? undefined : tooLarge(limits);
    case "source-failed":
      return cutShort(end.error);
  }
}

function tooSlow(timeouts: Timeouts): GatewayError {
  return new GatewayError("request-timeout", {
    detail: `The body did not arrive whole within ${timeouts.requestBody} ms.`,
  });
}

function cutShort(cause: unknown): GatewayError {
  return new GatewayError("invalid-request", { detail: "The body ended before its declared length.", cause });
}
