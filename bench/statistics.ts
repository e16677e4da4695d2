/** The figures of one measured slice of load on one subject. */
export interface Slice {
  readonly answers: number;
  /** Answers per second within the window. */
  readonly throughput: number;
  /** Milliseconds from writing a request to its last byte. */
  readonly p50: number;
  readonly p99: number;
  /** CPU microseconds of the subject's own processes per answer. */
  readonly cpu: number;
  /** CPU time of the subject over wall time: near 1, a single-threaded subject is what limits the throughput. */
  readonly busy: number;
  /** Cores that processes outside of the bench used meanwhile. */
  readonly others: number;
  /** The longest time in milliseconds for which the load generator was not let run. */
  readonly stallMs: number;
}

/** A median and how far to trust it. */
export interface Spread {
  readonly median: number;
  /** The median lies within `low` to `high` with at least 95 % confidence, whatever the distribution. */
  readonly low: number;
  readonly high: number;
  readonly min: number;
  readonly max: number;
}

/** Returns the middle value (the mean of the two middle ones of an even count); NaN of no values. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? Number.NaN;
  if (!Number.isInteger(middle)) return upper;
  return ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** Returns the smallest value that at least `share` (0 to 1) of the ascending values do not exceed. */
export function percentile(ascending: ArrayLike<number>, share: number): number {
  const rank = Math.max(0, Math.ceil(share * ascending.length) - 1);
  return ascending[rank] ?? Number.NaN;
}

/**
 * Returns the median of the values with its 95 % confidence interval by the sign test (Conover, Practical Nonparametric
 * Statistics, 3.2): order statistics alone, since slices on a shared machine are nothing like normally distributed.
 */
export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const count = sorted.length;
  const reach = (1.96 * Math.sqrt(count)) / 2;
  const low = Math.max(0, Math.floor(count / 2 - reach - 0.5));
  return {
    median: median(sorted),
    low: sorted[low] ?? Number.NaN,
    high: sorted[count - 1 - low] ?? Number.NaN,
    min: sorted[0] ?? Number.NaN,
    max: sorted[count - 1] ?? Number.NaN,
  };
}

/**
 * Returns the spread of `subject / reference`, divided round by round: both of a pair were measured seconds apart, so a
 * machine that slows down for a minute slows both and the ratio stays.
 */
export function pairedRatio(subject: readonly number[], reference: readonly number[]): Spread {
  const ratios = subject.flatMap((value, round) => {
    const other = reference[round];
    return other === undefined ? [] : [value / other];
  });
  return spread(ratios);
}
