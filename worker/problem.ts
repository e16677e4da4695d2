import { ERRORS, GatewayError, type ErrorCode } from "./errors.ts";

/**
 * Renders any failure as problem+json (RFC 9457). Anything that is not a `GatewayError` becomes `internal-error`: the
 * client sees a request id and nothing else, whatever the message was.
 */
export function problemResponse(error: unknown, requestId: string): Response {
  const known = error instanceof GatewayError ? error : undefined;
  const code: ErrorCode = known?.code ?? "internal-error";
  const kind = ERRORS[code];
  const headers = new Headers({
    "content-type": "application/problem+json",
    "cache-control": "no-store",
    ...known?.headers,
  });
  // RFC 9209 2.3: the gateway's own refusals are told from what happened between it and the origin.
  const proxyError = "proxyError" in kind ? kind.proxyError : "http_request_denied";
  headers.set("proxy-status", `sluice; error=${proxyError}`);
  const body = {
    type: "type" in kind ? kind.type : `urn:sluice:problem:${code}`,
    title: kind.title,
    status: kind.status,
    detail:
      known?.message ?? "The gateway failed while handling this request; its log has the reason under the request id.",
    code,
    requestId,
    ...known?.members,
  };
  return new Response(JSON.stringify(body), { status: kind.status, headers });
}

/** The code under which a failure is logged and counted. */
export function codeOf(error: unknown): ErrorCode {
  return error instanceof GatewayError ? error.code : "internal-error";
}
