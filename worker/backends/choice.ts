import type { Exchange } from "../exchange.ts";

/** Chooses the target of each try among those of a backend. */
export interface Balancer {
  /**
   * A promise only for a client's binding that this isolate has not seen before. Never rejects for anything that a client sends.
   *
   * @param asked what this exchange has tried; absent at its first try.
   */
  choose(exchange: Exchange, now: number, asked?: Asked): Choice | Promise<Choice>;
  /** Takes out of the fields for the origin what is between the client and the gateway alone; absent: there is nothing. */
  readonly strip?: (headers: Headers) => void;
}

/** Targets by index that an exchange is done with. */
export interface Asked {
  /** Sent to: chosen again only when there is no other. */
  readonly tried: readonly number[];
  /** Their breakers refused it: not chosen again. */
  readonly refused: readonly number[];
}

/** Where a try goes. */
export type Choice = ChosenTarget | NoTarget;

export interface ChosenTarget {
  readonly kind: "target";
  readonly index: number;
  /** What became of the client's binding, for the log; undefined where clients are not bound. */
  readonly sticky: StickyNote | undefined;
  /**
   * Binds the client to this target: to be called with the answer for the client, when it is this target's that is accepted.
   * Undefined: nothing to say.
   */
  readonly bind: ((answer: Response) => void) | undefined;
}

/** `kept`: it is where it was. `new`: it had none that is ours. `moved`: its target is gone or not to be had. */
export type StickyNote = "kept" | "new" | "moved";

export interface NoTarget {
  readonly kind: "none";
  /**
   * `breaker-open`: a breaker refuses; `no-healthy-target`: health checks or weights leave none; `egress-queue-full`: the backend's quota
   * has no room in time; `overloaded`: the backend has as many requests as it may.
   */
  readonly why: "breaker-open" | "no-healthy-target" | "egress-queue-full" | "overloaded";
  /** When one may be had again, at the earliest. */
  readonly retryAfterMs: number;
}
