import type { Release } from "../../objects/connection-pool/pool.ts";
import type { NoTarget } from "../backends/choice.ts";
import type { Exchange } from "../exchange.ts";
import { stopReason } from "./fetch.ts";

/** Somebody may have to wait for a connection for so long before there is one again. */
const RETRY_MS = 1_000;

/** Gives back what is given back already. */
export function noTurn(): void {}

/**
 * Waits for a turn to ask a backend, where several requests share one invocation.
 *
 * @param mayWait false: it is now or not at all.
 * @throws GatewayError what has stopped the exchange meanwhile.
 */
export async function takeTurn(
  { pool, deadline, stop }: Pick<Exchange, "deadline" | "stop"> & { readonly pool?: Exchange["pool"] | undefined },
  backend: string,
  mayWait: boolean,
): Promise<Release | NoTarget> {
  if (pool === undefined) return noTurn;
  const turn = await pool.acquire(backend, mayWait ? deadline : Date.now());
  if (turn === "timed-out") return { kind: "none", why: "overloaded", retryAfterMs: RETRY_MS };
  const reason = stopReason(stop?.signal);
  if (reason === undefined) return turn;
  turn();
  throw reason;
}
