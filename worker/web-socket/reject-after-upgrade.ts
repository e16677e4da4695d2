import { exports, WorkerEntrypoint } from "cloudflare:workers";
import { ERRORS, type GatewayError } from "../errors.ts";
import type { Exchange } from "../exchange.ts";

/** Scripts in browsers never see the status of a handshake; these close codes they see. */
const CODES: Readonly<Record<number, number>> = { 401: 4401, 403: 4403, 429: 4429, 502: 1014, 503: 1013, 504: 1014 };
const POLICY = 1008;

/** What somebody is told who gets no session. */
interface Rejection {
  readonly code: number;
  readonly reason: string;
}

/** The inner entrypoint, reached through `exports` alone, that opens a session and closes it at once. */
export class Rejecting extends WorkerEntrypoint<Env, Rejection> {
  override fetch(request: Request): Response {
    const { code, reason } = this.ctx.props;
    const { 0: outer, 1: inner } = new WebSocketPair();
    inner.accept();
    inner.close(code, reason);
    // A browser that has offered protocols takes an answer without one for a failure, and its script would see 1006.
    const offered = request.headers.get("sec-websocket-protocol")?.split(",")[0]?.trim();
    const headers = offered === undefined ? undefined : { "sec-websocket-protocol": offered };
    return new Response(null, { status: 101, webSocket: outer, ...(headers === undefined ? {} : { headers }) });
  }
}

/**
 * A session that is open and closed at once, with the code that says why, and the error's code as its reason. Whoever does not answer
 * is dropped after `closeMs`: its connection would stay for as long as it likes, whatever limit it has met. Only a connection that was
 * fetched can be dropped.
 */
export async function rejectAfterUpgrade(
  { ctx, request, fields }: Exchange,
  { code }: GatewayError,
  closeMs: number,
): Promise<Response> {
  const props = { code: CODES[ERRORS[code].status] ?? POLICY, reason: code };
  const headers = new Headers({ upgrade: "websocket" });
  const offered = fields.get("sec-websocket-protocol");
  if (offered !== null) headers.set("sec-websocket-protocol", offered);
  const late = new AbortController();
  ctx.waitUntil(scheduler.wait(closeMs).then(() => late.abort()));
  const answer = await exports.Rejecting({ props }).fetch(request.url, { headers, signal: late.signal });
  return new Response(null, { status: 101, webSocket: answer.webSocket, headers: answer.headers });
}
