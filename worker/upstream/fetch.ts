import type { Timeouts } from "../../schemas/index.ts";
import { GatewayError } from "../errors.ts";
import type { Watch } from "../watch.ts";
import type { OutgoingBody } from "./request-body.ts";

export interface UpstreamRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  readonly body: OutgoingBody;
  readonly timeouts: Timeouts;
  /** Now, in milliseconds since the epoch. */
  readonly sentAt: number;
  /** Milliseconds since the epoch by which the response head must be there. */
  readonly deadline: number;
  /** Ends the request, and the body that came of it, with its reason. Default never. */
  readonly signal: AbortSignal | undefined;
}

/** Redirects are passed on, never followed (a 302 to a private address must not be fetched); coded bodies keep their bytes. */
const AS_IT_IS = { redirect: "manual", encodeResponseBody: "manual" } as const;

/**
 * Sends one request to an origin and waits for its response head, as long as `watch` is told. The only caller of the
 * upstream `fetch`.
 *
 * @throws GatewayError `upstream-unreachable`, `upstream-invalid-response`, `upstream-timeout`, or what ended the body or aborted the signal.
 */
export async function fetchUpstream(request: UpstreamRequest, watch: Watch): Promise<Response> {
  let response: Response;
  try {
    const { sent } = request.body;
    response = await (sent === undefined ? headOf(request, watch) : headWhileSending(request, sent, watch));
  } catch (error) {
    if (error instanceof GatewayError) throw error;
    throw stopReason(request.signal) ?? connectionFailure(error);
  }
  const { status } = response;
  if (response.webSocket !== null) return response;
  if (status >= 200 && status <= 599) return response;
  // A body that has failed already cannot be cancelled, and there is nothing to learn from that.
  await response.body?.cancel().catch(() => {});
  throw new GatewayError("upstream-invalid-response", {
    detail: `The origin answered with status ${status}, which is not a final HTTP status.`,
  });
}

/** Why work was stopped; undefined: it was not. The runtime rejects with a copy of the reason that has lost its class. */
export function stopReason(signal: AbortSignal | undefined): GatewayError | undefined {
  const reason: unknown = signal?.aborted === true ? signal.reason : undefined;
  return reason instanceof GatewayError ? reason : undefined;
}

function headOf(request: UpstreamRequest, watch: Watch): Promise<Response> {
  const { timeouts, sentAt, deadline } = request;
  watch.expect(Math.min(sentAt + timeouts.headers, deadline), noHead);
  return send(request);
}

async function headWhileSending(
  request: UpstreamRequest,
  sent: NonNullable<OutgoingBody["sent"]>,
  watch: Watch,
): Promise<Response> {
  const { body, timeouts, deadline } = request;
  watch.expect(deadline, body.overdue ?? noHead);
  const outgoing = send(request);
  // An origin may answer before it has read everything. The headers deadline runs from when everything was sent.
  const first = await Promise.race([answerOf(outgoing), sent]);
  if (first instanceof GatewayError) throw first;
  if (first instanceof Response) return first;
  if (first !== undefined) throw (await endedBy(sent)) ?? first.failure;
  watch.expect(Math.min(Date.now() + timeouts.headers, deadline), noHead);
  return outgoing;
}

function send({ url, method, headers, body: { body }, signal }: UpstreamRequest): Promise<Response> {
  const how = signal === undefined ? AS_IT_IS : { ...AS_IT_IS, signal };
  if (body instanceof Request) return fetch(new Request(new Request(url, body), { headers }), how);
  if (body === null) return fetch(url, { method, headers, ...how });
  return fetch(url, { method, headers, body, ...how });
}

interface Failure {
  readonly failure: unknown;
}

function answerOf(outgoing: Promise<Response>): Promise<Response | Failure> {
  return outgoing.catch((failure: unknown) => ({ failure }));
}

/** When the body was cut by us (too large, too slow) the connection fails too; the cut is the reason, not its echo. */
async function endedBy(sent: Promise<GatewayError | undefined>): Promise<GatewayError | undefined> {
  return Promise.race([sent, scheduler.wait(0).then(() => undefined)]);
}

function noHead(): GatewayError {
  return new GatewayError("upstream-timeout", { detail: "The origin sent no response head in time." });
}

/** What the runtime says when bytes came that are no HTTP response, as opposed to no bytes at all. */
const NOT_HTTP = /protocol|parse|invalid|header|content-length|status|range/i;

function connectionFailure(cause: unknown): GatewayError {
  const message = cause instanceof Error ? cause.message : String(cause);
  if (NOT_HTTP.test(message)) {
    return new GatewayError("upstream-invalid-response", { detail: "The origin's response is not valid HTTP.", cause });
  }
  return new GatewayError("upstream-unreachable", {
    // workerd 1.20261102.1 reports a malformed head exactly like a lost connection, so the two cannot be told apart here.
    detail: "No response head came from the origin: the connection failed, or what it sent is not HTTP.",
    cause,
  });
}
