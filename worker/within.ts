/**
 * Waits for a promise at most `ms` milliseconds, then rejects with what `late` makes. The work itself is not cancelled
 * here: in a Worker whatever it holds is released when the exchange ends.
 */
export async function within<T>(work: Promise<T>, ms: number, late: () => Error): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | null = null;
  const expiry = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), Math.max(0, ms));
  });
  try {
    return await Promise.race([work, expiry]);
  } finally {
    clearTimeout(timer);
  }
}
