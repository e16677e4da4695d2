/** What a request says of a session that can be resumed. */
export interface ResumeRequest {
  /** The id that the client has chosen: 22 to 128 letters, digits, `-` and `_`, so 128 random bits at least. */
  readonly session: string;
  /** How many messages it has received; undefined: the session is new. */
  readonly recv: number | undefined;
  /** Whether it wants control frames, which is level 1. */
  readonly control: boolean;
  /** Whether it wants `hello` alone, as the first message on this connection. Default false. */
  readonly hello?: true;
}

const SESSION = /^[A-Za-z0-9_-]{22,128}$/;
const COUNT = /^\d{1,15}$/;
const PREFIX = "_ws_";

/**
 * Reads `_ws_session` (or the header `X-WS-Session`), `_ws_recv`, `_ws_ctl=1` and `_ws_hello=1`. Undefined: the request does not ask for a
 * session; a text: what is wrong with what it says, for a 400.
 */
export function resumeRequest(query: URLSearchParams, headers: Headers): ResumeRequest | string | undefined {
  const session = query.get("_ws_session") ?? headers.get("x-ws-session");
  const recv = query.get("_ws_recv");
  const twice = ["_ws_session", "_ws_recv"].find((name) => query.getAll(name).length > 1);
  if (twice !== undefined) return `${twice}: got it twice, wanted it once`;
  if (session === null)
    return recv === null ? undefined : "_ws_recv: got a count without a session, wanted _ws_session too";
  if (!SESSION.test(session))
    return `_ws_session: got ${session.length} characters, wanted 22 to 128 letters, digits, - or _, and at least 128 random bits`;
  if (recv !== null && !COUNT.test(recv)) {
    return `_ws_recv: got ${JSON.stringify(recv.slice(0, 40))}, wanted how many messages were received, a whole number`;
  }
  const asked = { session, recv: recv === null ? undefined : Number(recv), control: query.get("_ws_ctl") === "1" };
  return query.get("_ws_hello") === "1" ? { ...asked, hello: true } : asked;
}

/** A raw query (without `?`) without what is the gateway's own in it, for the upstream. */
export function withoutResume(query: string): string {
  return (
    query
      .split("&")
      // Read as it was read above: a name may be escaped.
      .filter((part) => ![...new URLSearchParams(part).keys()].some((name) => name.startsWith(PREFIX)))
      .join("&")
  );
}
