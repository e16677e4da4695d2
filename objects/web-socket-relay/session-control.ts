/**
 * What the admin API may ask of a `WebSocketRelay` object; the object implements it as RPC methods. A session is named by the
 * `id` under which it was registered (registration.ts), which is not the id by which its client resumes it.
 */
export interface SessionControl {
  /** Null: it has no such session, or no more. */
  describeSession(id: string): SessionDescription | null | Promise<SessionDescription | null>;
  /** Closes both legs of a session; a splice, in which no Close frame can be sent, is cut. Resolves when the Close frame was sent. */
  closeSession(id: string, order: CloseOrder): ControlReply | Promise<ControlReply>;
  /** Sends its client one message, in its place among the upstream's; counted and kept for resumption like those. */
  sendToSession(id: string, message: string | ArrayBuffer): ControlReply | Promise<ControlReply>;
  /** Server-sent events of what passes (session-tap.ts), until it is cancelled or its time is over. */
  tapSession(id: string, options: TapOptions): TapReply | Promise<TapReply>;
}

/** `gone`: there is no such session; `unsupported`: its mode has no messages; `closing`: too late; `full`: its byte budget is used up. */
export type ControlReply = { readonly kind: "done" | "gone" | "unsupported" | "closing" | "full" };

/** `busy`: somebody taps it already. */
export type TapReply =
  | { readonly kind: "tapped"; readonly events: ReadableStream<Uint8Array> }
  | { readonly kind: "gone" | "unsupported" | "busy" };

/** How a session is ended. */
export interface CloseOrder {
  /** One that may be sent: 1000, 1001, 1003, 1007 to 1014, or 3000 to 4999. */
  readonly code: number;
  /** At most 123 bytes. */
  readonly reason: string;
}

/** What of a session is shown as it passes. */
export interface TapOptions {
  readonly direction: "in" | "out" | "both";
  /** One message in so many is shown. */
  readonly sample: number;
  /** Of a message; what is beyond is cut. */
  readonly maxBytes: number;
  /** Names of members of JSON texts whose values are not shown, in any case. */
  readonly redact: readonly string[];
}

/** What a relay knows of a session now. Times are ms since the epoch; `in` is from the client. */
export interface SessionDescription {
  readonly id: string;
  readonly route: string;
  /** As limits name whoever is behind it; null: nobody is known. */
  readonly principal: string | null;
  readonly ip: string | null;
  readonly origin: string | null;
  readonly protocol: string | null;
  readonly extensions: string | null;
  readonly mode: SessionMode;
  readonly state: SessionState;
  readonly openedAt: number;
  readonly lastInAt: number | null;
  readonly lastOutAt: number | null;
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Bytes that wait in the relay. */
  readonly queued: number;
  readonly resumes: number;
  /** The target that is connected. */
  readonly upstream: string | null;
}

export const SESSION_MODES = ["splice", "bridge", "held", "shared", "callback"] as const;
export type SessionMode = (typeof SESSION_MODES)[number];

export const SESSION_STATES = ["connecting", "open", "held", "reconnecting", "closing"] as const;
export type SessionState = (typeof SESSION_STATES)[number];
