import type { SharedTerms } from "../mode-terms.ts";

/** What has been sent to one of many clients since it said something last, and what waits for it to do so again. */
export interface ClientWindow {
  unheard: number;
  /** Bytes that wait. */
  buffered: number;
  /** Messages that were left out because it was silent for too long. */
  dropped: number;
  readonly queue: { readonly message: string | ArrayBuffer; readonly bytes: number }[];
}

type WindowTerms = Pick<SharedTerms, "window" | "overflow"> & { readonly maxBuffered: number };

/** A client that has just come. */
export function newWindow(): ClientWindow {
  return { unheard: 0, buffered: 0, dropped: 0, queue: [] };
}

/**
 * Decides about a message for a client. Whether it reads nobody can see, as the runtime takes whatever is sent; that it speaks is the
 * one sign of life there is. A client that stays silent for a window of bytes is sent no more: messages wait, up to
 * `maxBuffered`, beyond which the oldest are dropped or the client is to be closed (`overflow`).
 */
export function offer(
  state: ClientWindow,
  message: string | ArrayBuffer,
  bytes: number,
  { window, overflow, maxBuffered }: WindowTerms,
): "send" | "wait" | "overflow" {
  if (window === null) return "send";
  if (state.queue.length === 0 && state.unheard < window) {
    state.unheard += bytes;
    return "send";
  }
  if (state.buffered + bytes > maxBuffered && overflow === "close") return "overflow";
  state.queue.push({ message, bytes });
  state.buffered += bytes;
  while (state.buffered > maxBuffered) {
    state.buffered -= state.queue.shift()?.bytes ?? 0;
    state.dropped += 1;
  }
  return "wait";
}

/** The client has said something: a new window, with what may go at once. */
export function renewWindow(state: ClientWindow, window: number | null): readonly (string | ArrayBuffer)[] {
  state.unheard = 0;
  const going: (string | ArrayBuffer)[] = [];
  if (window === null) return going;
  while (state.unheard < window) {
    const next = state.queue.shift();
    if (next === undefined) break;
    state.unheard += next.bytes;
    state.buffered -= next.bytes;
    going.push(next.message);
  }
  return going;
}
