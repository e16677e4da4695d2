import { MARK, REFUSAL, TARGET, TRIES, toField } from "../../objects/web-socket-relay/opening.ts";
import { GatewayError } from "../errors.ts";
import type { Exchange, ExchangeNotes } from "../exchange.ts";
import { codeOf, problemResponse } from "../problem.ts";

/**
 * Runs a handshake through the tail of its route, for the object that will relay the session: by placement, balancer and breaker as
 * any request. What the gateway itself has against it is said in a field of its own, so that the origin's refusals are told from it.
 *
 * Not in the time that `timeouts.total` gives but in the handshake's. Whatever fails is aborted: the runtime would go on with a dial
 * that nobody waits for, and keep both connections.
 *
 * @param stop of the dial, and of what has come of it. Once it has been used, this rejects.
 */
export async function dialUpstream(exchange: Exchange, stop: AbortController): Promise<Response> {
  const { route, receivedAt, requestId, notes } = exchange;
  const handshakeMs = route.route.webSocket?.handshakeMs ?? route.route.timeouts.headers;
  try {
    const answer = await route.tail({ ...exchange, isUpgrade: true, stop, deadline: receivedAt + handshakeMs });
    for (const name of [REFUSAL, MARK]) answer.headers.delete(name);
    tell(answer, notes);
    if (route.mark !== null && answer.webSocket !== null) answer.headers.set(MARK, route.mark);
    return answer;
  } catch (error) {
    // Whoever has stopped it knows why.
    if (stop.signal.aborted) throw error;
    stop.abort();
    const answer = refusedDial(error, requestId);
    tell(answer, notes);
    return answer;
  }
}

/** Says where a handshake has been. */
function tell({ headers }: Response, { target, retried, retryStop }: ExchangeNotes): void {
  headers.set(TARGET, target ?? "");
  if (retried === undefined && retryStop === undefined) headers.delete(TRIES);
  else headers.set(TRIES, JSON.stringify({ retried, retryStop }));
}

/** What the gateway has against a dial, as a relay tells it from an origin's refusal. */
export function refusedDial(error: unknown, requestId: string): Response {
  const answer = problemResponse(error, requestId);
  const known = error instanceof GatewayError ? error : undefined;
  const detail = known?.message ?? "The gateway failed while it dialled the origin.";
  const retryAfter = known?.headers["retry-after"] ?? null;
  answer.headers.set(REFUSAL, toField({ code: codeOf(error), detail, retryAfter }));
  return answer;
}
