/** What may be sent through a `WebSocket`. */
export type Sendable = string | ArrayBuffer | Blob;

/** How many copies are kept of what the gateway may not have; whichever comes first. */
export interface CopyLimits {
  readonly messages: number;
  readonly bytes: number;
}

/** What to do after the gateway has said how many messages it has. */
export type Resumption =
  | { readonly kind: "resend"; readonly messages: readonly Sendable[] }
  /** Messages in between are gone, or the counts cannot be of the same session. */
  | { readonly kind: "lost" };

/**
 * The client's half of a session that survives its connection: counts what it has received, and keeps copies of what it has sent
 * until the gateway says that it has come.
 */
export interface Copies {
  /** Messages received in this session. */
  readonly received: number;
  /** Messages given to `add` in this session. */
  readonly sent: number;
  /** Bytes of the copies that are kept. */
  readonly bytes: number;
  /** Whether half of the room is taken: time to ask what has come. */
  readonly isHalfFull: boolean;
  countReceived(): void;
  /**
   * Keeps a copy. Where there is no room for it the oldest goes, which is likely to have come; false: none that was sent
   * can go, and this one would be lost.
   */
  add(message: Sendable, bytes: number, isSent: boolean): boolean;
  /** The gateway has so many: their copies can go. */
  confirm(count: number): void;
  /** The gateway has so many, and waits for the rest on a new connection. */
  resume(count: number): Resumption;
  /** All that is not confirmed, the oldest first. */
  all(): readonly Sendable[];
}

/** Starts a session. */
export function createCopies(limits: CopyLimits): Copies {
  let kept: { readonly message: Sendable; readonly bytes: number }[] = [];
  let received = 0;
  let sent = 0;
  /** Messages that have gone out on some connection. */
  let gone = 0;
  let bytes = 0;

  function first(): number {
    return sent - kept.length + 1;
  }

  function drop(count: number): void {
    for (const copy of kept.slice(0, count)) bytes -= copy.bytes;
    kept = kept.slice(count);
  }

  function confirm(count: number): void {
    if (count <= sent) drop(Math.max(0, count - first() + 1));
  }

  return {
    get received() {
      return received;
    },
    get sent() {
      return sent;
    },
    get bytes() {
      return bytes;
    },
    get isHalfFull() {
      return kept.length * 2 > limits.messages || bytes * 2 > limits.bytes;
    },
    countReceived() {
      received += 1;
    },
    add(message, size, isSent) {
      let dropped = 0;
      let room = limits.bytes - bytes;
      while (kept.length - dropped >= limits.messages || room < size) {
        const oldest = kept[dropped];
        if (oldest === undefined) break;
        room += oldest.bytes;
        dropped += 1;
      }
      if (first() + dropped - 1 > gone || (room < size && !isSent)) return false;
      drop(dropped);
      sent += 1;
      if (isSent) gone = sent;
      if (room < size) return true;
      kept.push({ message, bytes: size });
      bytes += size;
      return true;
    },
    confirm,
    resume(count) {
      if (count > sent || count < first() - 1) return { kind: "lost" };
      confirm(count);
      gone = sent;
      return { kind: "resend", messages: kept.map(({ message }) => message) };
    },
    all() {
      return kept.map(({ message }) => message);
    },
  };
}
