/** The answer to a handshake that gets no session and is told why: of a refusal scripts in browsers see the code and the reason alone. */
export function closedAtOnce({ headers }: Request, code: number, reason: string): Response {
  const { 0: outer, 1: inner } = new WebSocketPair();
  inner.accept();
  inner.close(code, reason);
  // A browser that has offered protocols takes an answer without one for a failure, and its script would see 1006.
  const offered = headers.get("sec-websocket-protocol")?.split(",")[0]?.trim();
  const fields = offered === undefined ? {} : { "sec-websocket-protocol": offered };
  return new Response(null, { status: 101, webSocket: outer, headers: fields });
}
