import { escapeText, readText, type ControlFrame } from "./control-frames.ts";
import type { Sendable } from "./copies.ts";
import { createReceivedAcks } from "./received-acks.ts";

/**
 * What passes between client and gateway beside messages, on the session's own connection. Nothing does before the gateway has said
 * `hello`, which is the first that comes: whoever says anything else first holds no session, and means all as it is.
 */
export interface ControlChannel {
  /** What that is which came; undefined: for nobody. */
  read(data: unknown): { readonly data: unknown } | { readonly frame: ControlFrame } | undefined;
  /** A message as it is sent. */
  write(message: Sendable): Sendable;
  /** So many messages have come in this session. */
  received(count: number): void;
  /** The connection is lost. */
  stop(): void;
}

/** Makes the channel of a session. @param send on its connection. */
export function createControlChannel(isWanted: boolean, send: (frame: string) => void): ControlChannel {
  const acks = createReceivedAcks(send);
  /** Undefined: nobody has said anything yet. */
  let isUsed = isWanted ? undefined : false;
  return {
    read(data) {
      const read = isUsed !== false && typeof data === "string" ? readText(data) : { data };
      isUsed ??= read !== undefined && "frame" in read && read.frame.kind === "hello";
      return isUsed ? read : { data };
    },
    write: (message) => (isUsed === true && typeof message === "string" ? escapeText(message) : message),
    received(count) {
      if (isUsed === true) acks.received(count);
    },
    stop: () => acks.stop(),
  };
}
