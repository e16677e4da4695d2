import { exports, WorkerEntrypoint } from "cloudflare:workers";
import { closeOf, EVENT } from "../../objects/web-socket-relay/callback/event-reply.ts";
import { closedAtOnce } from "../../objects/web-socket-relay/closed-at-once.ts";
import { fittingReason } from "../../objects/web-socket-relay/close-codes.ts";
import type { Exchange } from "../exchange.ts";

/** Scripts in browsers never see the status of a handshake; these close codes they see. */
const CODES: Readonly<Record<number, number>> = { 401: 4401, 403: 4403, 429: 4429, 502: 1014, 503: 1013, 504: 1014 };
const POLICY = 1008;
const UPSTREAM = 1014;

/** What somebody is told who gets no session. */
export interface Rejection {
  readonly code: number;
  readonly reason: string;
}

/** The inner entrypoint, reached through `exports` alone, that opens a session and closes it at once. */
export class Rejecting extends WorkerEntrypoint<Env, Rejection> {
  override fetch(request: Request): Response {
    const { code, reason } = this.ctx.props;
    return closedAtOnce(request, code, reason);
  }
}

/** What a script is told of a backend that does not take its session: what that says, or what its status means. */
export function rejectionBy({ status, headers }: Response): Rejection {
  try {
    const said = closeOf(headers.get(EVENT.close));
    if (said?.code !== undefined) return { code: said.code, reason: fittingReason(said.reason ?? "") };
  } catch {
    // It has said no, however badly.
  }
  return { code: closeCodeOf(status), reason: "" };
}

/** The code that stands for a status. */
export function closeCodeOf(status: number): number {
  return CODES[status] ?? (status >= 500 ? UPSTREAM : POLICY);
}

/**
 * A session that is open and closed at once, with a code and a reason that say why. Whoever does not answer
 * is dropped after `closeMs`: its connection would stay for as long as it likes, whatever limit it has met. Only a connection that was
 * fetched can be dropped.
 */
export async function rejectAfterUpgrade(
  { ctx, request, fields }: Exchange,
  props: Rejection,
  closeMs: number,
): Promise<Response> {
  const headers = new Headers({ upgrade: "websocket" });
  const offered = fields.get("sec-websocket-protocol");
  if (offered !== null) headers.set("sec-websocket-protocol", offered);
  const late = new AbortController();
  ctx.waitUntil(scheduler.wait(closeMs).then(() => late.abort()));
  const answer = await exports.Rejecting({ props }).fetch(request.url, { headers, signal: late.signal });
  return new Response(null, { status: 101, webSocket: answer.webSocket, headers: answer.headers });
}
