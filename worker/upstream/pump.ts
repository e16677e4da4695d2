/** Chunks of this many bytes: 16 times the runtime's default read, so that large bodies cost few turns of JavaScript. */
const CHUNK_BYTES = 65_536;

export interface PumpLimits {
  /** Longest silence, in milliseconds, of either side. */
  readonly idleMs: number;
  /** Longest duration of the whole transfer in milliseconds. Default none. */
  readonly totalMs?: number;
  /** Most bytes that may pass. Default any number. */
  readonly maxBytes?: number;
  /** Aborts when nobody waits for the body any more. Default never. */
  readonly signal?: AbortSignal;
}

/** Why we ended a transfer that could have gone on. */
type Cut = "idle" | "late" | "too-large" | "abandoned";

export type PumpEnd =
  | { readonly kind: "complete"; readonly bytes: number }
  | { readonly kind: Cut; readonly bytes: number }
  | { readonly kind: "source-failed" | "destination-failed"; readonly bytes: number; readonly error: unknown };

/**
 * Moves a body through one reused buffer, so memory stays flat in its size, and says how that ended. Whatever the end,
 * both streams are released: a source that is no longer wanted is cancelled, which closes its connection, and an
 * unfinished destination is aborted, which leaves a declared length visibly unmet.
 */
export async function pump(
  source: ReadableStream<Uint8Array>,
  destination: WritableStream<Uint8Array>,
  limits: PumpLimits,
): Promise<PumpEnd> {
  const reader = source.getReader({ mode: "byob" });
  const writer = destination.getWriter();
  const startedAt = Date.now();
  let activeAt = startedAt;
  let bytes = 0;
  let cut: Cut | undefined;
  let timer: ReturnType<typeof setTimeout> | null = null;

  function stop(reason: Cut): void {
    cut ??= reason;
    release(reason);
  }
  function release(reason: unknown): void {
    // Either may have ended already; there is nobody left to tell.
    void reader.cancel(reason).catch(() => {});
    void writer.abort(reason).catch(() => {});
  }
  function watch(): void {
    const now = Date.now();
    const idleLeft = limits.idleMs - (now - activeAt);
    const totalLeft = (limits.totalMs ?? Number.POSITIVE_INFINITY) - (now - startedAt);
    if (totalLeft <= 0) return stop("late");
    if (idleLeft <= 0) return stop("idle");
    timer = setTimeout(watch, Math.min(idleLeft, totalLeft));
  }

  watch();
  limits.signal?.addEventListener("abort", () => stop("abandoned"), { once: true });
  let side: "source-failed" | "destination-failed" = "source-failed";
  try {
    let buffer = new Uint8Array(CHUNK_BYTES);
    for (;;) {
      side = "source-failed";
      const { done, value } = await reader.read(buffer);
      if (cut !== undefined || done) break;
      activeAt = Date.now();
      bytes += value.byteLength;
      if (limits.maxBytes !== undefined && bytes > limits.maxBytes) {
        stop("too-large");
        break;
      }
      side = "destination-failed";
      await writer.write(value);
      activeAt = Date.now();
      buffer = new Uint8Array(value.buffer, 0, CHUNK_BYTES);
    }
    if (cut !== undefined) return { kind: cut, bytes };
    side = "destination-failed";
    await writer.close();
    return { kind: "complete", bytes };
  } catch (error) {
    if (cut !== undefined) return { kind: cut, bytes };
    release(error);
    return { kind: side, bytes, error };
  } finally {
    clearTimeout(timer);
  }
}
