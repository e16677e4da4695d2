import type { LimitKey, RateLimit } from "./rate-limit-types.ts";

/** How a route relays WebSockets. Durations in ms, sizes in bytes. */
export interface WebSocketSettings {
  /**
   * `splice`: bytes as they are, seen by nobody; `bridge`: message by message, by an object of the session's own; `held`: the same, and the
   * session outlives the connections of its client and its origin; `shared`: many clients
   * over one connection to the origin; `callback`: no connection to the origin, which gets each message as a request.
   */
  readonly mode: "splice" | "bridge" | "held" | "shared" | "callback";
  /** With mode `held` alone. */
  readonly held: HeldSettings | undefined;
  /** With mode `shared` alone. */
  readonly shared: SharedSettings | undefined;
  /** With mode `callback` alone. */
  readonly callback: CallbackSettings | undefined;
  /** Whether requests that are no handshake are refused; else they go their ordinary way. Default false. */
  readonly required: boolean;
  /** Web origins that may connect: `*`, `same-host`, `https://app.example.com`, `https://*.example.com`. Default same-host. */
  readonly origins: readonly string[];
  /** Whether a handshake without an `Origin`, which no browser makes, is refused. Default false. */
  readonly requireOrigin: boolean;
  /** Whether refusals of the gateway are a close code after a 101, which scripts in browsers can read. Default false. */
  readonly rejectAfterUpgrade: boolean;
  /** Until the origin has answered the handshake. Default 10 s. */
  readonly handshakeMs: number;
  /** Longest silence of both sides, counted in messages. Default 10 min. */
  readonly idleMs: number;
  /** Default 24 h. */
  readonly maxLifetimeMs: number;
  /** How long a side may take to answer a close. Default 5 s. */
  readonly closeMs: number;
  /** What happens to sessions when their route goes elsewhere, is set otherwise or vanishes. Default drain. */
  readonly onRouteChange: "keep" | "drain" | "close";
  /** Over which time they are drained. Default 30 s. */
  readonly drainMs: number;
  readonly fromClient: MessageLimits;
  readonly fromUpstream: MessageLimits;
  /** Bytes that wait, each way, while `bytesPerSecond` is used up. Default 1 MiB. */
  readonly maxBuffered: number;
  /** Sessions open at once; undefined: any number. */
  readonly sessions: SessionCaps;
  /** How often sessions are opened; empty: as often as the route's own limits allow. */
  readonly newSessions: readonly RateLimit[];
}

/** What one side may send. Rates are token buckets; undefined: any rate. */
export interface MessageLimits {
  /** Bytes. Default 1 MiB from a client, 16 MiB from an origin. */
  readonly maxMessage: number;
  /** Default 100 from a client, any number from an origin. */
  readonly messagesPerSecond: number | undefined;
  /** Default twice `messagesPerSecond`. */
  readonly messageBurst: number;
  /** Default 1 MiB. */
  readonly bytesPerSecond: number | undefined;
  /** Default 8 MiB. */
  readonly byteBurst: number;
}

/** How many sessions may be open at once. */
export interface SessionCaps {
  /** Of who was authenticated. Default 100. */
  readonly principal: number | undefined;
  /** Of an address (IPv6: a /64). Default 200. */
  readonly address: number | undefined;
  /** Of the route. Default any number. */
  readonly route: number | undefined;
}

/** With mode `held`. */
export interface HeldSettings {
  /** How long a session waits for its client. Default 30 s. */
  readonly holdMs: number;
  /** Of what was sent to the client, and of what waits for it. Default 1,000 and 1 MiB. */
  readonly ringMessages: number;
  readonly ringBytes: number;
  /** Whether a client that closes with 1001 may come back. Default false. */
  readonly resumeOn1001: boolean;
  /** Whether what is needed to resume is stored, so that a session outlives its object. Default false. */
  readonly durable: boolean;
  /** How an origin that is lost is dialled again; undefined: its end is the session's. */
  readonly reconnect: ReconnectSettings | undefined;
}

/** How an origin that is lost is dialled again while its client stays. */
export interface ReconnectSettings {
  /** After these close codes; 1006 stands for a connection that is lost without any. Default 1001, 1006, 1012, 1013. */
  readonly on: readonly number[];
  /** Before the first try, at most; doubled with each. Default 100 ms. */
  readonly minDelayMs: number;
  /** Default 5 s. */
  readonly maxDelayMs: number;
  /** Default 30 s. */
  readonly giveUpMs: number;
  /** What clients say meanwhile. Default 256 and 256 KiB. */
  readonly queue: { readonly messages: number; readonly bytes: number };
  /** So many of the client's first messages are said again to the new connection. Default 0. */
  readonly replayFirst: number;
  /** So many of the origin's answers to them, that the client has heard before, are not passed on. Default 1, if any is said again. */
  readonly skipAnswers: number;
}

/** With mode `shared`. */
export interface SharedSettings {
  /** What tells clients apart beside their URL: those that differ don't share. Default nothing. */
  readonly by: readonly LimitKey[];
  /** Who shares: those with the same credentials, or anyone. Default the same credentials. */
  readonly between: "credentials" | "anyone";
  /** Whether what a client says goes to the origin. Default forward. */
  readonly clientMessages: "forward" | "drop";
  /** Clients of one connection. Default 1,000. */
  readonly maxClients: number;
  /** How long the connection stays when the last client has left. Default 5 s. */
  readonly lingerMs: number;
  /** Bytes that a client is sent before it has to say something; undefined: any number, and a client need never speak. */
  readonly window: number | undefined;
  /** What becomes of messages that neither a rate nor a window has room for. Default close. */
  readonly overflow: "close" | "drop-oldest";
  /** Whether a connection that is lost is dialled again while clients wait. Default false. */
  readonly reconnect: boolean;
}

/** With mode `callback`. */
export interface CallbackSettings {
  /** Messages in one request at most; 1: the message is the body. Default 1. */
  readonly batch: number;
  /** What becomes of a session of which the origin has not taken a message. Default close. */
  readonly onFailure: "close" | "drop";
  /** The text that is answered with `pong`, without waking anything; undefined: none. */
  readonly ping: string | undefined;
  /** Default "pong". */
  readonly pong: string;
}
