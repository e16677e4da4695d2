import { ERRORS, type GatewayError } from "../errors.ts";
import type { Exchange } from "../exchange.ts";

/** Scripts in browsers never see the status of a handshake; these close codes they see. */
const CODES: Readonly<Record<number, number>> = { 401: 4401, 403: 4403, 429: 4429, 502: 1014, 503: 1013, 504: 1014 };
const POLICY = 1008;

/** A session that is open and closed at once, with the code that says why, and the error's code as its reason. */
export function rejectAfterUpgrade({ fields }: Exchange, { code }: GatewayError): Response {
  const { 0: outer, 1: inner } = new WebSocketPair();
  inner.accept();
  inner.close(CODES[ERRORS[code].status] ?? POLICY, code);
  // A browser that has offered protocols takes an answer without one for a failure, and its script would see 1006.
  const offered = fields.get("sec-websocket-protocol")?.split(",")[0]?.trim();
  const headers = offered === undefined ? undefined : { "sec-websocket-protocol": offered };
  return new Response(null, { status: 101, webSocket: outer, ...(headers === undefined ? {} : { headers }) });
}
