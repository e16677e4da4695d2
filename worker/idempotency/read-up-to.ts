/** What was read of a body. */
export type Read =
  | { readonly kind: "whole"; readonly bytes: ArrayBuffer }
  /** It is longer. `head`: what has been read; `rest`: what follows that. */
  | { readonly kind: "longer"; readonly head: readonly Uint8Array[]; readonly rest: BodyReader };

type BodyReader = ReadableStreamDefaultReader<Uint8Array>;

/** Reads a body whole when it has at most so many bytes. Rejects when it breaks off. */
export async function readUpTo(body: ReadableStream<Uint8Array>, maxBytes: number): Promise<Read> {
  const reader = body.getReader();
  const head: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { kind: "whole", bytes: joined(head, size) };
    head.push(value);
    size += value.byteLength;
    if (size <= maxBytes) continue;
    return { kind: "longer", head, rest: reader };
  }
}

/** Moves a body that was longer to where it is to go, as fast as it is taken there. Rejects when either side breaks off; so does the other. */
export async function moveOn(
  { head, rest }: Extract<Read, { kind: "longer" }>,
  destination: WritableStream<Uint8Array>,
): Promise<void> {
  const writer = destination.getWriter();
  try {
    for (const piece of head) await writer.write(piece);
    for (;;) {
      const { done, value } = await rest.read();
      if (done) break;
      await writer.write(value);
    }
    await writer.close();
  } catch (error) {
    // Either may have ended already; there is nobody left to tell.
    void rest.cancel(error).catch(() => {});
    void writer.abort(error).catch(() => {});
    throw error;
  }
}

function joined(pieces: readonly Uint8Array[], size: number): ArrayBuffer {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.byteLength;
  }
  return bytes.buffer;
}
