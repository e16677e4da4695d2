import type { Timeouts } from "../../schemas/index.ts";
import { GatewayError } from "../errors.ts";
import { within } from "../within.ts";
import { pump, type PumpEnd } from "./pump.ts";

/**
 * Response bodies of a declared length up to this many bytes are read whole before the client sees a byte, so a
 * truncated one is an honest 502 instead of half a 200. Measured at no extra CPU against passing the stream on.
 */
const BUFFER_BYTES = 65_536;

export interface RelayedBody {
  readonly body: BodyInit | null;
  /** For a streamed body: how it ended. Undefined when it is all there. */
  readonly ended: Promise<PumpEnd> | undefined;
}

/**
 * Takes over the origin's body for the client, byte for byte as it is coded.
 *
 * @throws GatewayError `upstream-invalid-response` when a short body is not what its length declared, `upstream-timeout`
 * when it falls silent for longer than `timeouts.idle`.
 */
export async function relayedBody(method: string, response: Response, timeouts: Timeouts): Promise<RelayedBody> {
  const { body } = response;
  if (body === null || method === "HEAD") return { body: null, ended: undefined };
  const declared = response.headers.get("content-length");
  const length = declared === null ? undefined : Number(declared);
  if (length !== undefined && length <= BUFFER_BYTES) {
    return { body: await readWhole(response, length, timeouts), ended: undefined };
  }
  const pipe = length === undefined ? new IdentityTransformStream() : new FixedLengthStream(length);
  return { body: pipe.readable, ended: pump(body, pipe.writable, { idleMs: timeouts.idle }) };
}

async function readWhole(response: Response, length: number, timeouts: Timeouts): Promise<ArrayBuffer> {
  let bytes: ArrayBuffer;
  try {
    bytes = await within(response.arrayBuffer(), timeouts.idle, () => silent(timeouts));
  } catch (error) {
    throw error instanceof GatewayError ? error : truncated(length, error);
  }
  if (bytes.byteLength !== length) throw truncated(length, undefined);
  return bytes;
}

function silent(timeouts: Timeouts): GatewayError {
  return new GatewayError("upstream-timeout", { detail: `The origin's response body was silent for ${timeouts.idle} ms.` });
}

function truncated(length: number, cause: unknown): GatewayError {
  return new GatewayError("upstream-invalid-response", { detail: `The origin's response body ended before its ${length} bytes.`, cause });
}
