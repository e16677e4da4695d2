import * as v from "valibot";
import { toProblems } from "../../schemas/document/to-problems.ts";
import { GatewayError } from "../errors.ts";
import { within } from "../within.ts";

/** An order is a few names and numbers. */
const MAX_BYTES = 16_384;
/** And here at once. */
const BODY_MS = 10_000;
/** Each takes a hundred bytes to tell, and two to make. */
const MAX_PROBLEMS = 20;

/**
 * Reads an order's body: JSON of which the schema takes every member.
 *
 * @param maxBytes default 16 KiB.
 * @throws GatewayError `invalid-request` with the first 20 problems at once, `payload-too-large`, `request-timeout`.
 */
export async function readBody<Schema extends v.GenericSchema>(
  request: Request,
  schema: Schema,
  maxBytes = MAX_BYTES,
): Promise<v.InferOutput<Schema>> {
  return check(parse(await textOf(request, maxBytes)), schema);
}

/** The same for an order that may do without a body: none at all is an object without members. */
export async function readOptionalBody<Schema extends v.GenericSchema>(
  request: Request,
  schema: Schema,
): Promise<v.InferOutput<Schema>> {
  const text = await textOf(request, MAX_BYTES);
  return check(text.trim() === "" ? {} : parse(text), schema);
}

/** Reads a body of any kind. @throws GatewayError `payload-too-large`, `request-timeout`. */
export function readBytes(request: Request, maxBytes: number): Promise<ArrayBuffer> {
  return within(readAll(request, maxBytes), BODY_MS, () => {
    return new GatewayError("request-timeout", { detail: `The body was not here after ${BODY_MS} ms.` });
  });
}

/** Checks what was read already, as `readBody` does. @throws GatewayError `invalid-request`. */
export function check<Schema extends v.GenericSchema>(document: unknown, schema: Schema): v.InferOutput<Schema> {
  const parsed = v.safeParse(schema, document);
  if (parsed.success) return parsed.output;
  const problems = toProblems(parsed.issues.slice(0, MAX_PROBLEMS), document);
  const told = problems.map(
    ({ path, got, wanted }) => `${path === "" ? "the body" : path}: got ${got}, wanted ${wanted}`,
  );
  const detail = told.join("; ");
  // Some end by asking what was meant.
  throw new GatewayError("invalid-request", {
    detail: detail.endsWith("?") ? detail : `${detail}.`,
    members: { problems },
  });
}

async function textOf(request: Request, maxBytes: number): Promise<string> {
  return new TextDecoder().decode(await readBytes(request, maxBytes));
}

async function readAll({ body }: Request, maxBytes: number): Promise<ArrayBuffer> {
  const chunks: Uint8Array[] = [];
  if (body === null) return new ArrayBuffer(0);
  const reader = body.getReader();
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return new Blob(chunks).arrayBuffer();
    bytes += value.byteLength;
    if (bytes > maxBytes) {
      await reader.cancel();
      throw new GatewayError("payload-too-large", { detail: `The body is more than ${maxBytes} bytes.` });
    }
    chunks.push(value);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const got = text === "" ? "nothing" : "text that is not JSON";
    throw new GatewayError("invalid-request", { detail: `the body: got ${got}, wanted a JSON object.` });
  }
}
