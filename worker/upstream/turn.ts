import type { Release } from "../../objects/connection-pool/pool.ts";
import type { NoTarget } from "../backends/choice.ts";
import type { Exchange } from "../exchange.ts";

/** Somebody may have to wait for a connection for so long before there is one again. */
const RETRY_MS = 1_000;

/** Gives back what is given back already. */
export function noTurn(): void {}

/**
 * Waits for a turn to ask a backend, where several requests share one invocation.
 *
 * @param mayWait false: it is now or not at all.
 */
export async function takeTurn(
  { pool, deadline }: Pick<Exchange, "pool" | "deadline">,
  backend: string,
  mayWait: boolean,
): Promise<Release | NoTarget> {
  if (pool === undefined) return noTurn;
  const turn = await pool.acquire(backend, mayWait ? deadline : Date.now());
  return turn === "timed-out" ? { kind: "none", why: "overloaded", retryAfterMs: RETRY_MS } : turn;
}
