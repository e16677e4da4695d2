/**
 * Waits for a promise at most `ms` milliseconds, then rejects with what `late` makes. The work itself is not cancelled
 * here: in a Worker whatever it holds is released when the exchange ends.
 */
export function within<T>(work: Promise<T>, ms: number, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), Math.max(0, ms));
    work.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}
