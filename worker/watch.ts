/** The one deadline of work in progress; it moves as the work goes from phase to phase. */
export interface Watch {
  /** From now on the work must have come further by `until` (ms since the epoch), else it ends with what `late` makes. */
  expect(until: number, late: () => Error): void;
}

/**
 * Runs work of several phases under one timer, which is set once however many phases there are: each timer was measured
 * at 4 to 8 % of a forwarded request. It is not cleared at the end, which costs as much as to set it: the runtime drops it
 * with the exchange, and where a streamed body keeps the exchange it fires once, for nothing. Work that is given up is not
 * cancelled here: in a Worker whatever it holds is released when the exchange ends.
 *
 * @param isOutlived whether what holds the timer lives on, as the object of a WebSocket does: then it is cleared, since all that the
 * work was about would stay in memory with it, and be old when it fires (20 KiB a session). Default false.
 * @returns what the work returns; rejects with what it throws, or with the current phase's `late` when that is over.
 */
export function watched<T>(work: (watch: Watch) => Promise<T>, isOutlived = false): Promise<T> {
  return new Promise((resolve, reject) => {
    let timer: ReturnType<typeof setTimeout> | null = null;
    let firesAt = Number.POSITIVE_INFINITY;
    let expiresAt = Number.POSITIVE_INFINITY;
    let makeError: (() => Error) | undefined;

    function arm(): void {
      if (timer !== null) clearTimeout(timer);
      firesAt = expiresAt;
      timer = setTimeout(expire, Math.max(0, expiresAt - Date.now()));
    }
    function expire(): void {
      if (makeError === undefined) return;
      // A later phase may have been given longer than the timer that it found running.
      if (Date.now() < expiresAt) return arm();
      reject(makeError());
    }
    function end(): void {
      makeError = undefined;
      if (isOutlived && timer !== null) clearTimeout(timer);
    }
    const watch: Watch = {
      expect(until, late) {
        expiresAt = until;
        makeError = late;
        if (expiresAt < firesAt) arm();
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
