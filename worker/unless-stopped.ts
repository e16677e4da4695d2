/** What work comes to; rejects with the signal's reason once that aborts, and nobody hears of the work any more. */
export function unlessStopped<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const stopped = () => reject(signal.reason);
    signal.addEventListener("abort", stopped, { once: true });
    if (signal.aborted) stopped();
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stopped));
  });
}
