/** How requests arrive: a Poisson process whose rate and isolates change in steps. */
export interface Traffic {
  /** What holds at a time, and until when. */
  at(ms: number, isolates: number): Phase;
}

/** Requests a second over isolates `first`, `first + 1`, ... (modulo their number), `spread` of them. */
export interface Phase {
  readonly rate: number;
  readonly until: number;
  readonly first: number;
  readonly spread: number;
}

/** The same rate all the time, evenly over all isolates. */
export function steady(rate: number): Traffic {
  return { at: (_ms, isolates) => ({ rate, until: Infinity, first: 0, spread: isolates }) };
}

/** A rate for `onMs`, nothing for `offMs`. */
export function onOff(rate: number, onMs: number, offMs: number): Traffic {
  const period = onMs + offMs;
  return {
    at(ms, isolates) {
      const began = Math.floor(ms / period) * period;
      const isOn = ms - began < onMs;
      return { rate: isOn ? rate : 0, until: began + (isOn ? onMs : period), first: 0, spread: isolates };
    },
  };
}

/** A high rate for `highMs`, then a low one until `periodMs` are over, evenly over all isolates. */
export function waves(high: number, highMs: number, low: number, periodMs: number): Traffic {
  return {
    at(ms, isolates) {
      const began = Math.floor(ms / periodMs) * periodMs;
      const isHigh = ms - began < highMs;
      return {
        rate: isHigh ? high : low,
        until: began + (isHigh ? highMs : periodMs),
        first: 0,
        spread: isolates,
      };
    },
  };
}

/** The same rate on a few isolates at a time, others every `everyMs`. */
export function shifting(rate: number, spread: number, everyMs: number): Traffic {
  return {
    at(ms) {
      const turn = Math.floor(ms / everyMs);
      return { rate, until: (turn + 1) * everyMs, first: turn * spread, spread };
    },
  };
}

/**
 * What a client would do to get too much: make every isolate take a lease, wait until the bucket has refilled behind
 * them, then spend everything everywhere at once.
 */
export function waitThenBurst(rate: number, warmMs: number, waitMs: number, burstRequests: number): Traffic {
  const burstMs = 60;
  const period = warmMs + waitMs + burstMs;
  return {
    at(ms, isolates) {
      const began = Math.floor(ms / period) * period;
      const into = ms - began;
      const all = { first: 0, spread: isolates };
      if (into < warmMs) return { ...all, rate, until: began + warmMs };
      if (into < warmMs + waitMs) return { ...all, rate: 0, until: began + warmMs + waitMs };
      return { ...all, rate: (burstRequests * 1_000) / burstMs, until: began + period };
    },
  };
}
