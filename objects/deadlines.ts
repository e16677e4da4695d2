import { advance, newSteadyClock, reach } from "./steady-clock.ts";
import { createWakeUp } from "./wake-up.ts";

/** Waits for a promise at most `ms` milliseconds, then rejects with what `late` makes. The work goes on. */
export type Within = <T>(work: Promise<T>, ms: number, late: () => Error) => Promise<T>;

interface Wait {
  readonly until: number;
  readonly giveUp: () => void;
}

/**
 * Makes what ends the waits of one object, which share a timer, as hardly any is to be cleared: see `createWakeUp`. A timer of one object cannot
 * end what another waits for.
 */
export function createDeadlines(): Within {
  const waits = new Set<Wait>();
  const wakeUp = createWakeUp(giveUp);
  let clock = newSteadyClock(Date.now());
  let nextAt = Infinity;

  function giveUp(): void {
    clock = reach(advance(clock, Date.now()), nextAt);
    let next = Infinity;
    for (const wait of waits) {
      if (wait.until > clock.at) {
        next = Math.min(next, wait.until);
        continue;
      }
      waits.delete(wait);
      wait.giveUp();
    }
    plan(next);
  }

  /** Called as the clock has just been read. */
  function plan(at: number): void {
    nextAt = at;
    wakeUp.in(at === Infinity ? null : at - clock.at);
  }

  return (work, ms, late) => {
    clock = advance(clock, Date.now());
    return new Promise((resolve, reject) => {
      const until = clock.at + Math.max(0, ms);
      const wait = { until, giveUp: () => reject(late()) };
      waits.add(wait);
      if (until < nextAt) plan(until);
      work.then(resolve, reject).finally(() => {
        waits.delete(wait);
        if (waits.size === 0) plan(Infinity);
      });
    });
  };
}
