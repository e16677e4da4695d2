import { createLru } from "../../objects/lru.ts";
import { within } from "../within.ts";
import { afterFailure, mayCall, type DependencyHealth } from "./dependency-health.ts";

/** For whoever makes a stub for a call that is made here. */
export { ONE_TRY } from "../../objects/one-try.ts";

/** How long a call may take, and what its silence means. */
export interface CallOptions {
  readonly deadlineMs: number;
  /** Whether silence until the deadline counts against who was called: it may have been given less time than usual. Default always. */
  readonly countsLate?: () => boolean;
  /** Told of a failure that counts: against whom? Default: against who was called. */
  readonly blame?: (error: unknown) => string;
}

/** Something outside this isolate that it needs: a class of objects, a namespace of KV. */
export interface Dependency {
  /**
   * Makes one call. Never made again, whatever the failure; after three within a second who was called is left alone for 1 to
   * 5 s, in which calls reject at once, and then one call at a time finds out whether that is over.
   *
   * @param whom the one of its kind that is called: an object's name.
   * @throws Error when nothing came by the deadline or nobody is asked; else what the call throws.
   */
  call<Reply>(whom: string, call: () => Promise<Reply>, options: CallOptions): Promise<Reply>;
  /** Whether a call to this one would reject at once now. */
  isLeftAlone(whom: string, now: number): boolean;
  /** Why one is not asked. One value: while it is dead, each request meets it, and a stack costs more than the rest. */
  leftAlone(): Error;
}

/**
 * Makes the local breaker of an isolate in front of a dependency. It costs a look into an empty table while all is well.
 *
 * @param options.kind what is called, for errors: `RateLimiter`, `KV`.
 * @param options.remembers of how many of its kind it is remembered at once that they fail; the one longest ago is forgotten.
 */
export function createDependency({ kind, remembers }: { kind: string; remembers: number }): Dependency {
  const failing = createLru<string, DependencyHealth>(remembers);
  let notAsked: Error | undefined;

  function leftAlone(): Error {
    notAsked ??= new Error(`${kind} is not asked: its last calls failed`);
    return notAsked;
  }

  return {
    async call(whom, call, { deadlineMs, countsLate, blame }) {
      const known = failing.get(whom);
      if (known !== undefined) {
        const health = mayCall(known, Date.now());
        if (health === undefined) throw leftAlone();
        failing.set(whom, health);
      }
      let isLate = false;
      function late(): Error {
        isLate = true;
        return new Error(`${kind} did not answer within ${deadlineMs} ms`);
      }
      try {
        const reply = await within(call(), deadlineMs, late);
        failing.delete(whom);
        return reply;
      } catch (error) {
        // Whoever refuses a message is alive, and the next message may be a good one.
        const isAlive = error instanceof TypeError || (isLate && countsLate?.() === false);
        if (isAlive) throw error;
        const blamed = blame?.(error) ?? whom;
        failing.set(blamed, afterFailure(failing.get(blamed), isOverloaded(error), Date.now()));
        throw error;
      }
    },
    isLeftAlone(whom, now) {
      const health = failing.size === 0 ? undefined : failing.get(whom);
      return health !== undefined && now < health.pausedUntil;
    },
    leftAlone,
  };
}

/** As the runtime marks it: the object has more calls waiting than it can take. Such a call is never made again. */
export function isOverloaded(error: unknown): boolean {
  return error instanceof Error && "overloaded" in error && error.overloaded === true;
}
