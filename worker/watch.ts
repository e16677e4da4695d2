/** The one deadline of work in progress; it moves as the work goes from phase to phase. */
export interface Watch {
  /** From now on the work must have come further within `ms` milliseconds, else it ends with what `late` makes. */
  expect(ms: number, late: () => Error): void;
}

/**
 * Runs work of several phases under one timer, which is set and cleared once however many phases there are: each timer
 * was measured at 4 to 8 % of a forwarded request. Work that is given up is not cancelled here: in a Worker whatever it
 * holds is released when the exchange ends.
 *
 * @returns what the work returns; rejects with what it throws, or with the current phase's `late` when that is over.
 */
export function watched<T>(work: (watch: Watch) => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    let timer: number | null = null;
    let firesAt = Number.POSITIVE_INFINITY;
    let expiresAt = Number.POSITIVE_INFINITY;
    let makeError: (() => Error) | undefined;

    function arm(now: number): void {
      if (timer !== null) clearTimeout(timer);
      firesAt = expiresAt;
      timer = setTimeout(expire, Math.max(0, expiresAt - now));
    }
    function expire(): void {
      const now = Date.now();
      // A later phase may have been given longer than the timer that it found running.
      if (now < expiresAt) return arm(now);
      if (makeError !== undefined) reject(makeError());
    }
    function end(): void {
      if (timer !== null) clearTimeout(timer);
    }
    const watch: Watch = {
      expect(ms, late) {
        const now = Date.now();
        expiresAt = now + ms;
        makeError = late;
        if (expiresAt < firesAt) arm(now);
      },
    };
    work(watch).then(
      (value) => {
        end();
        resolve(value);
      },
      (error: unknown) => {
        end();
        reject(error);
      },
    );
  });
}
