/** A clock that never steps back, made of one that may. In ms; its zero means nothing. */
export interface SteadyClock {
  readonly at: number;
  /** What the other clock said last. */
  readonly wall: number;
}

/** A clock that begins now. */
export function newSteadyClock(wall: number): SteadyClock {
  return { at: 0, wall };
}

/** The clock as time has gone on: by as much as the other one, and not at all where that stepped back. */
export function advance(clock: SteadyClock, wall: number): SteadyClock {
  return { at: clock.at + Math.max(0, wall - clock.wall), wall };
}

/** The clock as a timer has fired that was set for `at`: so much time has gone by, whatever the other clock says. */
export function reach(clock: SteadyClock, at: number): SteadyClock {
  return { ...clock, at: Math.max(clock.at, at) };
}
