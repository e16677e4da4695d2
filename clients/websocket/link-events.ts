import type { Sendable } from "./copies.ts";

/** A session that cannot go on. */
export interface Lost {
  readonly code: number;
  readonly reason: string;
  /** What was sent and is not known to have come, the oldest first. */
  readonly unconfirmed: readonly Sendable[];
}

/** What a link tells; nothing after `lost` or `ended`. */
export interface LinkEvents {
  opened(): void;
  message(data: unknown, origin: string): void;
  reconnecting(attempt: number, delayMs: number): void;
  resumed(resent: number): void;
  restarted(restarts: number): void;
  lost(lost: Lost): void;
  ended(code: number, reason: string, wasClean: boolean): void;
}

/** One session at the gateway, over as many connections as it takes. */
export interface Link {
  send(message: Sendable, bytes: number): void;
  close(code: number | undefined, reason: string | undefined): void;
  /** Connects anew, now; whatever there is is taken over. */
  reconnect(): void;
  setBinaryType(type: "blob" | "arraybuffer"): void;
  readonly bufferedAmount: number;
  /** On the latest connection. */
  readonly spoken: { readonly protocol: string; readonly extensions: string };
}
