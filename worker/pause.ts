import type { Exchange } from "./exchange.ts";
import { stopReason } from "./upstream/fetch.ts";

/** Waits; a step that stops the exchange ends that. @throws GatewayError what has stopped it. */
export async function pause({ stop }: Pick<Exchange, "stop">, ms: number): Promise<void> {
  try {
    await scheduler.wait(ms, stop === undefined ? {} : { signal: stop.signal });
  } catch (error) {
    throw stopReason(stop?.signal) ?? error;
  }
}
