import { escapeText, readText, type ControlFrame } from "./control-frames.ts";
import type { Sendable } from "./copies.ts";
import { createReceivedAcks } from "./received-acks.ts";

/** What passes between client and gateway beside messages, on the session's own connection, if it is wanted. */
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
  return {
    read: (data) => (isWanted && typeof data === "string" ? readText(data) : { data }),
    write: (message) => (isWanted && typeof message === "string" ? escapeText(message) : message),
    received(count) {
      if (isWanted) acks.received(count);
    },
    stop: () => acks.stop(),
  };
}
