import { advance, newSteadyClock, reach } from "./steady-clock.ts";

/** A time at which something that lives long wants to be woken, and which changes with whatever happens to it. */
export interface WakeUp {
  /** Wakes once, in `ms` from now, instead of whenever was said before; null: not at all. */
  in(ms: number | null): void;
  /** Wakes no more. Clears what is set, so it is for the end of whatever wants to be woken, and not for each time it has nothing to do. */
  end(): void;
}

/**
 * So long at most a timer holds an object that has nothing to do any more: half of the time after which the platform puts one away that
 * is quiet.
 */
const LONGEST_MS = 5_000;

/**
 * Makes one. Of each timer that is cleared workerd 1.20261102.1 keeps 256 bytes or more until the object is put away, so none is: a timer
 * fires, looks, and is set again if it is too early. None is set for later than five seconds, so one that nobody wants soon ends; none
 * where one fires early enough, since an object's timers fire a millisecond apart at best.
 *
 * It is never late, except where the clock is set forward: by as much, five seconds at most.
 */
export function createWakeUp(wake: () => void): WakeUp {
  /** Those that have yet to fire, the earliest last. */
  const timers: { readonly at: number; readonly timer: ReturnType<typeof setTimeout> }[] = [];
  let clock = newSteadyClock(Date.now());
  let dueAt = Infinity;

  function set(): void {
    const at = Math.min(dueAt, clock.at + LONGEST_MS);
    if (dueAt === Infinity || at >= (timers.at(-1)?.at ?? Infinity)) return;
    timers.push({ at, timer: setTimeout(fired, at - clock.at, at) });
  }

  function fired(at: number): void {
    timers.splice(
      timers.findIndex((timer) => timer.at === at),
      1,
    );
    clock = reach(advance(clock, Date.now()), at);
    if (clock.at < dueAt) return set();
    dueAt = Infinity;
    wake();
  }

  return {
    in(ms) {
      clock = advance(clock, Date.now());
      dueAt = ms === null ? Infinity : clock.at + Math.max(0, ms);
      set();
    },
    end() {
      dueAt = Infinity;
      for (const { timer } of timers.splice(0)) clearTimeout(timer);
    },
  };
}
