import type { CanonicalRequest } from "./canonical.ts";
import type { Client } from "./client.ts";
import type { XCache } from "./cache/cache-status.ts";
import type { RequestFields } from "./request-fields.ts";
import type { PumpEnd } from "./upstream/pump.ts";
import type { NoTarget, StickyNote } from "./backends/choice.ts";
import type { RetryStop } from "./retry/may-retry.ts";
import type { CompiledRoute } from "./config/compile.ts";
import type { Pool } from "../objects/connection-pool/pool.ts";
import type { MirrorSkip } from "./mirror/may-mirror.ts";
import type { Priority } from "../schemas/index.ts";

/** Where a request goes that does not go to its route's own backend. */
export interface Placement {
  /** The route's own, or that of one of its `alternatives`. */
  readonly backend: string;
  /** Of the release that is tried out there, by name; absent: geography alone has placed it. */
  readonly variant?: string;
}

/** The one value that a step sees: a request on its way through its route. */
export interface Exchange {
  readonly request: Request;
  readonly canonical: CanonicalRequest;
  /** The client's header fields, read once. */
  readonly fields: RequestFields;
  readonly requestId: string;
  readonly route: CompiledRoute;
  readonly configVersion: number;
  readonly client: Client;
  /** Who the client is to policies that tell clients apart. The address until a step has identified it better. */
  principal: string;
  /** Whether somebody vouches for the principal, so that it is not a mere claim; absent: nobody does. */
  verified?: boolean;
  /** The known client that the principal belongs to, and what its token claims; absent until authentication says. */
  consumer?: string;
  claims?: Readonly<Record<string, unknown>>;
  /** Milliseconds since the epoch, read once when the request arrived. */
  readonly receivedAt: number;
  /** When the response head must be there, by `timeouts.total`. */
  readonly deadline: number;
  readonly env: Env;
  readonly ctx: Pick<ExecutionContext, "waitUntil">;
  /** Header fields that the response gets whatever it turns out to be, an error included. */
  readonly responseHeaders: [name: string, value: string][];
  readonly notes: ExchangeNotes;
  /** When the credentials of the principal end, in ms since the epoch; a WebSocket is closed then. Absent: never. */
  validUntil?: number;
  /** Whether it is a WebSocket's handshake on its way to the origin, which it is to see as one. Default false. */
  readonly isUpgrade?: boolean;
  /** What the gateway says to the origin of it, by field; absent: nothing. */
  readonly event?: Readonly<Record<string, string>>;
  /** A target of its backend, by URL, that is chosen only when there is no other. */
  readonly avoided?: string;
  /** Where it goes, as a step has decided; what is kept of its answer is for the same placement alone. Absent: to the route's backend. */
  placement?: Placement;
  /** The whole body, where a step has read it; it is sent in place of the request's. */
  readonly body?: ArrayBuffer;
  /** Whether it must not be sent again on the strength of its idempotency key: a step answers for one effect. Default false. */
  readonly isSentOnce?: boolean;
  /** What of the client's fields goes to the origin, where a step withholds some or says them its own way; absent: all of them. */
  readonly outgoing?: Headers;
  /** Takes what binds the client to a target, instead of its being done to the answer: what many get must bind nobody. */
  readonly bindLater?: (bind: (answer: Response) => void) => void;
  /** By which those take turns that share an invocation; absent: it has one of its own. */
  readonly pool?: Pool;
  /** Cuts the way to the origin and the answer off when aborted; made by a step that may have to. Absent: nobody may. */
  stop?: AbortController;
}

/** What steps leave behind for the log line. */
export interface ExchangeNotes {
  /** The reason code of a refusal or failure. */
  code?: string;
  /** Policies that would have refused, had they not been in shadow mode. */
  shadowed?: string[];
  /** Policies that were decided without their owner, and how. */
  degraded?: string[];
  /** How a streamed response body ended; the log line waits for it. Undefined when the body was all there. */
  body?: Promise<PumpEnd>;
  /** For how long its client was waited for while its body was sent, as `OutgoingBody` says. Not in the log. */
  clientMs?: (now: number) => number;
  /** Whether an object has counted this handshake. Not in the log. */
  isCounted?: boolean;
  /** Whether anything of it may have reached an origin. Not in the log. */
  isSent?: boolean;
  /** What was made of its idempotency key. */
  idempotency?: "kept" | "too-large" | "released" | "unknown" | "replayed";
  /** What the cache made of it, as `X-Cache` says. */
  cache?: XCache;
  /** Why: what made it go past the cache, why its response was not kept, what allowed a stale one. */
  cacheWhy?: string;
  /** Whether it waited for another's request: it made one that others may have waited for, it waited, it was told to make its own. */
  flight?: "led" | "joined" | "alone";
  /** Milliseconds until the origin's response head; of the last try. */
  upstreamMs?: number;
  /** The place by whose rule it was placed, or `default`. */
  place?: string;
  /** Of the release that is tried out on its route. */
  variant?: string;
  /** The target that answered, or was tried last, where there is more to say of it than the route does. */
  target?: string;
  /** What became of the client's binding to a target. */
  sticky?: StickyNote;
  /** How the tries failed that another followed: a status or a code each. */
  retried?: string[];
  /** Why no other try followed the last one, which failed. */
  retryStop?: RetryStop;
  /** Whether a second request to another target was faster. */
  hedged?: "won" | "lost";
  /** Why no target was asked. */
  refused?: NoTarget["why"];
  /** Milliseconds spent waiting for leave of the backend's quota, by all tries. */
  egressMs?: number;
  /** Why there was none: too many waited, it would have come too late, its owner did not answer. */
  egress?: "queue-full" | "deadline" | "no-owner";
  /** What answered instead: a backend's name, or `response`. */
  fallback?: string;
  /** Of a request that found no room at its backend. */
  priority?: Priority;
  /** Whether a copy went to the shadow backend; else why not. */
  mirror?: "sent" | MirrorSkip;
  /** How many requests it held. */
  batch?: number;
  /** Milliseconds spent waiting for the limiter's owner. */
  limitMs?: number;
  /** Why it failed, where the client is not told so by the answer. */
  error?: unknown;
}

export type Handler = (exchange: Exchange) => Promise<Response>;

/** One step of a route's chain: answers itself, or calls `next` once and may change what comes back. */
export type Step = (exchange: Exchange, next: Handler) => Promise<Response>;
