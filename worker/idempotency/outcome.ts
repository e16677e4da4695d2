import type { KeptAnswer } from "../../objects/dedup/idempotency-messages.ts";
import type { AttemptOutcome } from "../../objects/dedup/idempotency.ts";
import { GatewayError } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import { stopReason } from "../upstream/fetch.ts";
import { moveOn, readUpTo, type Read } from "./read-up-to.ts";

/** What came of a request, and what its client is to get once that is recorded. */
export interface Outcome {
  readonly outcome: AttemptOutcome;
  /** With the outcome `stored`. */
  readonly kept?: KeptAnswer;
  readonly answer: Response;
}

/** Between us and the origin somebody may have given up that was not the last to be asked. */
const NOBODY_KNOWS: ReadonlySet<number> = new Set([502, 503, 504]);

/**
 * Judges an answer. Whatever an origin answers for good is the outcome, 500 among it. It has refused with 429, and with 503 when it says
 * when to come back; with other gateway errors nobody knows. What was answered without an origin is no outcome.
 *
 * @param maxBytes of a body that is kept.
 * @throws GatewayError `upstream-invalid-response` when the body breaks off, or what stopped the exchange.
 */
export async function outcomeOf(exchange: Exchange, answer: Response, maxBytes: number): Promise<Outcome> {
  const { notes, ctx } = exchange;
  if (notes.isSent !== true) return { outcome: "not-sent", answer };
  const { status, headers } = answer;
  const isRefusal = status === 429 || (status === 503 && headers.has("retry-after"));
  // Of several tries one may have had the effect.
  if (isRefusal && notes.retried === undefined) return { outcome: "not-sent", answer };
  if (isRefusal || NOBODY_KNOWS.has(status)) return { outcome: "unknown", answer };
  const { body } = answer;
  if (body === null) return { outcome: "stored", kept: keptAnswer(answer, null), answer };
  const declared = headers.get("content-length");
  if (declared !== null && Number(declared) > maxBytes) return { outcome: "too-large", answer };
  const read = await readAnswer(exchange, body, maxBytes);
  if (read.kind === "whole") {
    const whole = new Response(read.bytes, answer);
    whole.headers.delete("transfer-encoding");
    return { outcome: "stored", kept: keptAnswer(whole, read.bytes), answer: whole };
  }
  const pipe = new IdentityTransformStream();
  ctx.waitUntil(moveOn(read, pipe.writable).catch(() => {}));
  return { outcome: "too-large", answer: new Response(pipe.readable, answer) };
}

/** The answer of a key that was used before. */
export function replayed({ status, statusText, headers, body }: KeptAnswer): Response {
  const fields = headers.map(({ name, value }): [string, string] => [name, value]);
  // As it came from the origin, coded bytes are kept coded.
  const answer = new Response(body, { status, statusText, headers: fields, encodeBody: "manual" });
  answer.headers.set("idempotent-replayed", "true");
  return answer;
}

async function readAnswer({ stop }: Exchange, body: ReadableStream<Uint8Array>, maxBytes: number): Promise<Read> {
  try {
    return await readUpTo(body, maxBytes);
  } catch (cause) {
    const detail = "The origin's response body broke off.";
    throw stopReason(stop?.signal) ?? new GatewayError("upstream-invalid-response", { detail, cause });
  }
}

function keptAnswer({ status, statusText, headers }: Response, body: ArrayBuffer | null): KeptAnswer {
  return { status, statusText, headers: [...headers].map(([name, value]) => ({ name, value })), body };
}
