/** Bytes of bodies that this isolate is collecting at once; what comes beyond is passed on and not kept. */
const MAX_COLLECTED = 32 * 2 ** 20;

/** A fill that has got nothing for so long was ended by the runtime, which runs no more of it. */
const LOST_MS = 120_000;

/** What one fill has collected, and when it last got something. */
interface Share {
  bytes: number;
  at: number;
}

const shares = new Set<Share>();

/** Whether there is room for so much more. */
function hasRoom(bytes: number, now: number): boolean {
  let collected = bytes;
  for (const share of shares) {
    if (now - share.at > LOST_MS) shares.delete(share);
    else collected += share.bytes;
  }
  return collected <= MAX_COLLECTED;
}

/** A body on its way to the client, and all of it once it has come whole; undefined: it has not, or is too large to be kept. */
export interface FilledBody {
  readonly body: BodyInit | null;
  readonly whole: Promise<Uint8Array | undefined>;
}

/**
 * Passes a response's body on and collects it on the way, at the client's speed. Never a part of it: where the origin breaks off or the
 * client leaves nothing is collected.
 *
 * @param response its fields frame it: with a `Content-Length` it was checked against that already, or will be.
 * @param maxBytes of what is worth keeping.
 */
export function fillBody(response: Response, maxBytes: number): FilledBody {
  const { body } = response;
  if (body === null) return { body: null, whole: Promise.resolve(new Uint8Array()) };
  const declared = response.headers.get("content-length");
  if (declared !== null && Number(declared) > maxBytes) return { body, whole: Promise.resolve(undefined) };
  const pipe = declared === null ? new IdentityTransformStream() : new FixedLengthStream(Number(declared));
  return { body: pipe.readable, whole: move(body, pipe.writable, maxBytes) };
}

/** All of a body that no client waits for; undefined as above. */
export function collectBody(response: Response, maxBytes: number): Promise<Uint8Array | undefined> {
  const { body } = response;
  return body === null ? Promise.resolve(new Uint8Array()) : move(body, undefined, maxBytes);
}

async function move(
  source: ReadableStream<Uint8Array>,
  destination: WritableStream<Uint8Array> | undefined,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  const reader = source.getReader();
  const writer = destination?.getWriter();
  const share: Share = { bytes: 0, at: Date.now() };
  let chunks: Uint8Array[] | undefined = [];
  shares.add(share);
  const release = () => {
    shares.delete(share);
    chunks = undefined;
  };
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      share.at = Date.now();
      if (share.bytes + value.byteLength <= maxBytes && hasRoom(value.byteLength, share.at)) {
        chunks?.push(value);
        share.bytes += value.byteLength;
      } else release();
      if (chunks === undefined && writer === undefined) {
        await reader.cancel();
        return undefined;
      }
      await writer?.write(value);
    }
    await writer?.close();
    return chunks === undefined ? undefined : joined(chunks, share.bytes);
  } catch (error) {
    void reader.cancel(error).catch(() => {});
    void writer?.abort(error).catch(() => {});
    return undefined;
  } finally {
    release();
  }
}

function joined(chunks: readonly Uint8Array[], bytes: number): Uint8Array {
  const [only] = chunks;
  if (only !== undefined && chunks.length === 1) return only;
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}
