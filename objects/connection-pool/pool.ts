import { createDeadlines } from "../deadlines.ts";
import {
  ask,
  giveBack,
  hasRoom,
  letThrough,
  newSlots,
  SIX,
  type PoolTally,
  type SlotRules,
  type Ticket,
} from "./slots.ts";

/**
 * Keeps an invocation, or an object, from waiting for more than six heads at once: the others queue here, where they are counted, where
 * upstreams share evenly and where a wait has an end.
 */
export interface Pool {
  /**
   * Waits for a turn to ask an upstream.
   *
   * @param upstream whatever tells upstreams apart: an origin, a target's URL.
   * @param until when to give up, in ms since the epoch, now for a turn that is free; never later than the pool's own time for that (30 s).
   * @returns a function to be called once the head is there, or will not come; again changes nothing. "timed-out": the wait was too
   * long; nothing is to be given back.
   */
  acquire(upstream: string, until: number): Promise<Release | "timed-out">;
  /** Resolves once it is closed: then those may come that must be in nobody's way. */
  readonly over: Promise<void>;
  close(): void;
  /** What became of everything that was asked for so far, by upstream. */
  tallies(): ReadonlyMap<string, PoolTally>;
}

/** Gives a slot back. */
export type Release = () => void;

/** A pool that nobody has used: one an invocation, or one an object for its life. */
export function newPool(rules: SlotRules = SIX): Pool {
  const slots = newSlots(rules);
  const { promise: over, resolve: close } = Promise.withResolvers<void>();
  const within = createDeadlines();
  const waiters = new Map<Ticket, (release: Release) => void>();

  function releaseOf(ticket: Ticket): Release {
    return () => {
      if (ticket.state === "over") return;
      giveBack(slots, ticket, "done", Date.now());
      letAllThrough();
    };
  }
  function letAllThrough(): void {
    for (;;) {
      const next = letThrough(slots, Date.now());
      if (next === undefined) return;
      waiters.get(next)?.(releaseOf(next));
      waiters.delete(next);
    }
  }

  return {
    over,
    close,
    acquire(upstream, until) {
      const now = Date.now();
      // It can't wait, so it doesn't count as one that did.
      if (until <= now && !hasRoom(slots, upstream)) return Promise.resolve("timed-out");
      const ticket = ask(slots, upstream, now);
      if (ticket.state === "held") return Promise.resolve(releaseOf(ticket));
      const { promise: turn, resolve } = Promise.withResolvers<Release>();
      waiters.set(ticket, resolve);
      const giveUp = () => {
        waiters.delete(ticket);
        giveBack(slots, ticket, "timed-out", Date.now());
        // Whoever stood behind it in line may have been kept by nothing else.
        letAllThrough();
        return new Error("its turn did not come in time");
      };
      return within(turn, Math.min(rules.queueMs, until - now), giveUp).catch(() => "timed-out" as const);
    },
    tallies() {
      return new Map([...slots.lines].map(([upstream, { tally }]) => [upstream, { ...tally }]));
    },
  };
}
