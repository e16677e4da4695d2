import { advance, newSteadyClock, reach } from "./steady-clock.ts";

/** A time at which something that lives long wants to be woken, and which changes with whatever happens to it. */
export interface WakeUp {
  /** Wakes once, in `ms` from now, instead of whenever was said before; null: not at all, so that its object may sleep. */
  in(ms: number | null): void;
  /** Wakes no more, and leaves no timer: for the end of whatever wants to be woken. */
  end(): void;
}

/** So long at most a timer holds an object that has nothing to do any more. */
const LONGEST_MS = 1_000;
/** An object with something to do now and then sleeps at once; of one that always has, 256 bytes a minute are lost. */
const CLEARS_MS = 60_000;

/**
 * Makes one. Of each timer that is cleared workerd 1.20261102.1 keeps 256 bytes or more until the object is put away, so hardly any is: a
 * timer fires, looks, and is set again if it is too early. None is set for later than `longestMs`, so one that nobody wants soon ends; none
 * where another fires early enough, as an object's timers fire a millisecond apart at best.
 *
 * It is never late, except where the clock is set forward: by as much, `longestMs` at most.
 *
 * @param longestMs more than a second (the default) where something else keeps the object awake, as connections do.
 */
export function createWakeUp(wake: () => void, longestMs = LONGEST_MS): WakeUp {
  /** Those that have yet to fire, the earliest last. */
  const timers: { readonly at: number; readonly timer: ReturnType<typeof setTimeout> }[] = [];
  let clock = newSteadyClock(Date.now());
  let dueAt = Infinity;
  let clearedAt = -Infinity;

  function set(): void {
    const at = Math.min(dueAt, clock.at + longestMs);
    if (at >= (timers.at(-1)?.at ?? Infinity)) return;
    timers.push({ at, timer: setTimeout(fired, at - clock.at, at) });
  }

  function fired(at: number): void {
    timers.splice(
      timers.findIndex((timer) => timer.at === at),
      1,
    );
    clock = reach(advance(clock, Date.now()), at);
    if (dueAt === Infinity) return;
    if (clock.at < dueAt) return set();
    dueAt = Infinity;
    wake();
  }

  function clear(): void {
    for (const { timer } of timers.splice(0)) clearTimeout(timer);
  }

  return {
    in(ms) {
      clock = advance(clock, Date.now());
      if (ms !== null) {
        dueAt = clock.at + Math.max(0, ms);
        return set();
      }
      dueAt = Infinity;
      if (timers.length === 0 || clock.at - clearedAt < CLEARS_MS) return;
      clearedAt = clock.at;
      clear();
    },
    end() {
      dueAt = Infinity;
      clear();
    },
  };
}
