import { OPENING, TARGET, type Opening, type Refusal } from "./opening.ts";

/** Sends a handshake by the tail of its route. `stop` ends the dial, and cuts what has come of it. */
export type Dialler = (request: Request, stop: AbortController) => Promise<Response>;

/** Under which route, for whom and to where a session is dialled. */
export type DialProps = Pick<Opening, "route" | "requestId" | "placement"> &
  Partial<Pick<Opening, "client">> & {
    /** A target that is chosen only when there is no other; null or absent: none. */
    readonly avoided?: string | null;
  };

/** What came of a dial. */
export type Dialled =
  /** The origin took the session. `cut` ends it, without a Close frame. */
  | {
      readonly kind: "open";
      readonly socket: WebSocket;
      readonly headers: Headers;
      readonly target: string | null;
      readonly cut: () => void;
    }
  /** It did not, or the gateway does not: the client's answer. */
  | { readonly kind: "answer"; readonly answer: Response }
  | { readonly kind: "failed"; readonly refusal: Refusal };

/** The tail keeps the deadline itself, and says what was late. */
const GRACE_MS = 1_000;

/** What is between two neighbours. */
const OWN_FIELDS = ["connection", "upgrade", "sec-websocket-accept"];

const LATE = failed("upstream-timeout", "The origin did not answer the handshake in time.");
/** Nobody hears of it, but it is counted. */
export const LEFT = failed("client-left", "The client has left before the origin answered.");

function failed(code: string, detail: string): Dialled & { readonly kind: "failed" } {
  return { kind: "failed", refusal: { code, detail, retryAfter: null } };
}

/**
 * Dials the upstream of a session by the tail of its route. The dial ends with its client, and in its time: a client that leaves
 * during a handshake would otherwise keep its own connection and the origin's for ever, since nothing but this aborts them.
 */
export async function dial(request: Request, { handshakeMs }: Opening, send: Dialler): Promise<Dialled> {
  const dialling = new AbortController();
  const cut = () => dialling.abort();
  // An abort that came before anybody listened is told to nobody.
  if (request.signal.aborted) return LEFT;
  const late = setTimeout(cut, handshakeMs + GRACE_MS);
  request.signal.addEventListener("abort", cut, { once: true });
  try {
    const { url, headers } = request;
    const asking = new Request(url, { headers });
    asking.headers.delete(OPENING);
    const answer = await send(asking, dialling);
    const { webSocket: socket } = answer;
    if (socket === null) return { kind: "answer", answer };
    const fields = new Headers(answer.headers);
    for (const name of OWN_FIELDS) fields.delete(name);
    return { kind: "open", socket, headers: fields, target: answer.headers.get(TARGET), cut };
  } catch (error) {
    if (!dialling.signal.aborted) throw error;
    return request.signal.aborted ? LEFT : LATE;
  } finally {
    clearTimeout(late);
    request.signal.removeEventListener("abort", cut);
  }
}

/** Whether a dial has come to an upstream that does not want the session: anything but busy. */
export function isRefused(dialled: Dialled | undefined): boolean {
  if (dialled?.kind !== "answer") return false;
  const { status, body } = dialled.answer;
  void body?.cancel().catch(() => undefined);
  return status < 500 && status !== 408 && status !== 429;
}
