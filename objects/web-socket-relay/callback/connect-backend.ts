import { listedText } from "../listed-text.ts";
import { REFUSAL, type Opening, type Refusal } from "../opening.ts";
import { refused } from "../refused.ts";
import { clientFields, type AskBackend } from "./ask-backend.ts";
import { EVENT, readReply, type EventReply } from "./event-reply.ts";
import type { StoredCallback } from "./stored-callback.ts";

/** What a backend says to a new session. */
export type Connected =
  | { readonly kind: "taken"; readonly stored: StoredCallback; readonly headers: Headers; readonly reply: EventReply }
  /** The client's answer. */
  | { readonly kind: "refused"; readonly answer: Response }
  /** That, where the backend has not answered, and may have taken the session. */
  | { readonly kind: "unanswered"; readonly answer: Response; readonly stored: StoredCallback }
  /** It may have taken what cannot be, and is to be told of the end of it. */
  | { readonly kind: "failed"; readonly stored: StoredCallback; readonly refusal: Refusal; readonly error: string };

/** What both sides are told where the backend does not do what it should. */
export const NOT_TAKEN = { code: 1014, reason: "upstream failed" } as const;

const LATE: Refusal = { code: "upstream-timeout", detail: "The backend did not answer in time.", retryAfter: null };
const MOST_LATE_MS = 5_000;

/** Asks a backend whether it takes a session. @throws what `ask` does, but for its being too late. */
export async function connectBackend(request: Request, opening: Opening, ask: AskBackend): Promise<Connected> {
  const { headers, url } = request;
  const asked: StoredCallback = {
    opening,
    url,
    openedAt: Date.now(),
    origin: listedText(headers.get("origin")),
    protocol: null,
    state: null,
    tries: 0,
  };
  const { maxMessage } = opening.fromUpstream;
  const connect = { name: "connect", headers: clientFields(headers), body: null } as const;
  const connected = ask(asked, 1, connect, async (answer): Promise<Connected> => {
    if (!answer.ok) {
      const refusal = new Response(answer.body, answer);
      for (const name of [REFUSAL, EVENT.lost]) refusal.headers.delete(name);
      if (answer.headers.has(EVENT.lost)) return { kind: "unanswered", answer: refusal, stored: asked };
      return { kind: "refused", answer: refusal };
    }
    try {
      const reply = await readReply(answer, maxMessage);
      const protocol = listedText(answer.headers.get("sec-websocket-protocol"));
      return { kind: "taken", stored: { ...asked, protocol, state: reply.state }, headers: answer.headers, reply };
    } catch (error) {
      const detail = "The backend took the session, with an answer that cannot be read.";
      const refusal = { code: "upstream-invalid-response", detail, retryAfter: null };
      return { kind: "failed", stored: asked, refusal, error: String(error) };
    }
  });
  return connected.catch((error: unknown) => {
    if (!(error instanceof Error && error.name === "AbortError")) throw error;
    return { kind: "unanswered", answer: refused(LATE), stored: asked };
  });
}

/**
 * Tells a backend that has not answered that there is no session. Once, since it may never have heard of it; and after another
 * handshake's time, at most five seconds, since it may not have done yet with what it was asked. Never rejects.
 */
export async function disown(stored: StoredCallback, ask: AskBackend): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, Math.min(stored.opening.handshakeMs, MOST_LATE_MS)));
  const { code, reason } = NOT_TAKEN;
  const said = { name: "disconnect", body: reason, close: String(code) } as const;
  await ask(stored, 2, said, async ({ body }) => body?.cancel()).catch(() => undefined);
}
