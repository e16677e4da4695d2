/** How one upstream connection is shared, as `SharedSettings` of the configuration says. It travels as JSON: null is none. */
export interface SharedTerms {
  /** Whether anybody may join: the upstream is dialled for no client, without credentials. */
  readonly isForAnyone: boolean;
  readonly clientMessages: "forward" | "drop";
  readonly maxClients: number;
  readonly lingerMs: number;
  /** Bytes that a client is sent before it has to say something. */
  readonly window: number | null;
  readonly overflow: "close" | "drop-oldest";
  readonly reconnect: boolean;
}

/** How messages become requests, as `CallbackSettings` of the configuration says. */
export interface CallbackTerms {
  /** Messages in one request; 1: its body is the message. */
  readonly batch: number;
  readonly onFailure: "close" | "drop";
  readonly ping: string | null;
  readonly pong: string;
}
