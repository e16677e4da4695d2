import { GatewayError } from "./errors.ts";
import type { Exchange } from "./exchange.ts";

/**
 * Lets an exchange come to its end though its client leaves: a client that resets its connection ends it with no more
 * JavaScript run, and what has to be settled then would not be. The way to the origin is cut off then, as it is without us.
 *
 * @returns to be called at that end.
 */
export function stayToTheEnd(exchange: Exchange): () => void {
  const { signal } = exchange.request;
  const stop = (exchange.stop ??= new AbortController());
  const leave = () => stop.abort(new GatewayError("invalid-request", { detail: "The client left before its answer." }));
  // Never removed: it cuts a body off too, which is no longer tied to the client once there is `stop`.
  signal.addEventListener("abort", leave, { once: true });
  if (signal.aborted) leave();
  const { promise, resolve } = Promise.withResolvers<void>();
  exchange.ctx.waitUntil(promise);
  return resolve;
}
