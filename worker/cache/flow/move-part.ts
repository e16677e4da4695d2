import type { PumpEnd } from "../../upstream/pump.ts";
import { within } from "../../within.ts";

/** Which bytes of a body, and how long either side may be silent, in ms. */
export interface Part {
  readonly first: number;
  readonly length: number;
  readonly idleMs: number;
  /** Aborts when nobody waits for it any more. */
  readonly signal: AbortSignal;
}

/**
 * Moves a part of a body. What lies before it is read and thrown away, what lies behind is not read. Whatever the end, both streams are
 * released, and a destination that did not get all of it is aborted.
 */
export async function movePart(
  source: ReadableStream<Uint8Array>,
  destination: WritableStream<Uint8Array>,
  { first, length, idleMs, signal }: Part,
): Promise<PumpEnd> {
  const reader = source.getReader();
  const writer = destination.getWriter();
  const idle = () => new Error(`a kept body did not move for ${idleMs} ms`);
  const leave = () => {
    void reader.cancel().catch(() => {});
    void writer.abort().catch(() => {});
  };
  signal.addEventListener("abort", leave, { once: true });
  let toSkip = first;
  let bytes = 0;
  let waitsFor: "source" | "destination" = "source";
  try {
    while (bytes < length) {
      waitsFor = "source";
      const { done, value } = await within(reader.read(), idleMs, idle);
      if (done) throw new Error("a kept body ended too early");
      const from = Math.min(toSkip, value.byteLength);
      toSkip -= from;
      const bite = value.subarray(from, from + length - bytes);
      waitsFor = "destination";
      if (bite.byteLength > 0) await within(writer.write(bite), idleMs, idle);
      bytes += bite.byteLength;
    }
    void reader.cancel().catch(() => {});
    await writer.close();
    return { kind: "complete", bytes };
  } catch (error) {
    leave();
    return { kind: `${waitsFor}-failed`, bytes, error };
  }
}
