/**
 * What operators may ask of a `WebSocketRelay` object, as RPC methods of it. A session is named by the `id` under which it was
 * registered (registration.ts): not the id by which its client resumes it, which is a secret.
 *
 * Many orders go to one object at once, so that a thousand sessions of one object are one call.
 */
export interface SessionControl {
  /** Null: it has no such session, or no more. */
  describeSession(id: string): SessionDescription | null;
  /** Ends sessions, at once or later; answers when that is begun or its timers are set, in the order asked. */
  closeSessions(order: CloseOrder): readonly ControlReply[];
  /** Sends the client of each session one message, in its place among the upstream's; counted and kept for resumption like those. */
  sendToSessions(ids: readonly string[], message: string | ArrayBuffer): readonly ControlReply[];
  /** Shows what passes as server-sent events (session-tap.ts), until the stream is cancelled or its time is over. */
  tapSession(id: string, options: TapOptions): TapReply;
}

/** Ends sessions: both legs with a Close frame; a splice, in which none can be sent, is cut. */
export interface CloseOrder {
  readonly sessions: readonly {
    readonly id: string;
    /** Close it so many ms from now. Clients with control frames are told at once, with a code of 1012. */
    readonly afterMs: number;
  }[];
  /** One that may be sent: 1000 to 1003, 1007 to 1014, or 3000 to 4999. With 1012 the session can be resumed, elsewhere too if it is stored. */
  readonly code: number;
  /** At most 123 bytes. */
  readonly reason: string;
}

/** `gone`: no such session, or it closes already; `unsupported`: a splice has no messages; `full`: its byte budget is used up. */
export type ControlReply = "done" | "gone" | "unsupported" | "full";

/** `busy`: somebody taps it already. */
export type TapReply =
  | { readonly kind: "tapped"; readonly events: ReadableStream<Uint8Array> }
  | { readonly kind: "gone" | "unsupported" | "busy" };

/** What of a session is shown as it passes. */
export interface TapOptions {
  readonly direction: "in" | "out" | "both";
  /** One message in so many is shown. */
  readonly sample: number;
  /** Of a message; what is beyond is cut. */
  readonly maxBytes: number;
  /** Names of members of JSON texts whose values are not shown, in any case of letters. */
  readonly redact: readonly string[];
}

/** What a relay knows of a session now. Times are ms since the epoch; `in` is from the client. */
export interface SessionDescription {
  /** 1 to 64 letters, digits, `-` and `_`. */
  readonly id: string;
  readonly route: string;
  /** As limits name whoever is behind it; null: nobody is known. */
  readonly principal: string | null;
  readonly address: string | null;
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
  readonly queuedBytes: number;
  /** How often its client has come back. */
  readonly resumes: number;
  /** Messages that its client was sent again when it came back, or then for the first time. */
  readonly replayed: number;
  /** How often its upstream was lost and has taken it again. */
  readonly reconnects: number;
  /** The target that is connected. */
  readonly upstream: string | null;
  /** What was said first when it began to end; null: it has not, or nothing was. */
  readonly closeCode: number | null;
}

/** Of a session whose two sides are never away. */
export const NEVER_AWAY = { resumes: 0, replayed: 0, reconnects: 0 } as const;

export const SESSION_MODES = ["splice", "bridge", "held", "shared", "callback"] as const;
export type SessionMode = (typeof SESSION_MODES)[number];

export const SESSION_STATES = ["connecting", "open", "held", "reconnecting", "closing"] as const;
export type SessionState = (typeof SESSION_STATES)[number];
