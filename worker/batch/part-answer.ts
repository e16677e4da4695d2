/** What is left of the bytes that the bodies of a batch's answers may have, as they are written. Changed in place. */
export interface AnswerBudget {
  bytes: number;
}

/** What stands around a body. */
const FRAME = 32;
const IS_JSON = /^application\/(?:[\w.!#$&^-]+\+)?json\s*(?:;|$)/i;

/**
 * Writes an answer as JSON: `status`, `headers`, and `body`, which is the value that a JSON body holds, letter by letter, the text of any
 * other, or base64 with `"encoding": "base64"` where it is no text. Undefined: its body is larger than what is left for it, and
 * cancelled. Rejects when it breaks off, or is stopped, with the reason for that.
 */
export async function renderAnswer(
  response: Response,
  budget: AnswerBudget,
  stop?: AbortSignal,
): Promise<string | undefined> {
  const bytes = await readWithin(response.body, budget, stop);
  stop?.throwIfAborted();
  if (bytes === undefined) return undefined;
  const { status, headers } = response;
  const fields: Record<string, string | readonly string[]> = {};
  headers.forEach((value, name) => {
    if (name !== "set-cookie") fields[name] = value;
  });
  const cookies = headers.getSetCookie();
  if (cookies.length > 0) fields["set-cookie"] = cookies;
  const body = bodyOf(bytes, headers);
  // A byte may take six letters in JSON.
  const more = Math.max(0, body.length - bytes.byteLength - FRAME);
  if (more > budget.bytes) {
    budget.bytes += bytes.byteLength;
    return undefined;
  }
  budget.bytes -= more;
  return `{"status":${status},"headers":${JSON.stringify(fields)}${body}}`;
}

function bodyOf(bytes: Uint8Array, headers: Headers): string {
  if (bytes.byteLength === 0) return "";
  const text = headers.has("content-encoding") ? undefined : textOf(bytes);
  if (text === undefined) return `,"encoding":"base64","body":"${base64(bytes)}"`;
  const isJson = IS_JSON.test(headers.get("content-type") ?? "") && isValid(text);
  return `,"body":${isJson ? text : JSON.stringify(text)}`;
}

async function readWithin(
  body: ReadableStream<Uint8Array> | null,
  budget: AnswerBudget,
  stop: AbortSignal | undefined,
): Promise<Uint8Array | undefined> {
  if (body === null) return new Uint8Array();
  const pieces: Uint8Array[] = [];
  let size = 0;
  const reader = body.getReader();
  const cancel = () => void reader.cancel().catch(() => {});
  stop?.addEventListener("abort", cancel, { once: true });
  if (stop?.aborted === true) cancel();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.byteLength;
    budget.bytes -= value.byteLength;
    if (budget.bytes < 0) {
      // What others could still have is theirs.
      budget.bytes += size;
      await reader.cancel().catch(() => {});
      return undefined;
    }
    pieces.push(value);
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.byteLength;
  }
  return whole;
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function isValid(json: string): boolean {
  try {
    JSON.parse(json);
    return true;
  } catch {
    return false;
  }
}

/** A call takes some ten thousand arguments and no more. */
const PIECE = 8_192;

function base64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.byteLength; at += PIECE) text += String.fromCharCode(...bytes.subarray(at, at + PIECE));
  return btoa(text);
}
