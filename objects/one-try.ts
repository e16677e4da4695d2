/**
 * Options of every stub: the runtime would repeat a failed call up to five times over ten seconds, and a request waits
 * 150 ms. What is overloaded is never asked again: the call that failed was already one too many.
 */
export const ONE_TRY = { retry: { maxRetries: 0 } };
