import { listedText } from "../listed-text.ts";
import { REFUSAL, type Opening, type Refusal } from "../opening.ts";
import { clientFields, type AskBackend } from "./ask-backend.ts";
import { readReply, type EventReply } from "./event-reply.ts";
import type { StoredCallback } from "./stored-callback.ts";

/** What a backend says to a new session. */
export type Connected =
  | { readonly kind: "taken"; readonly stored: StoredCallback; readonly headers: Headers; readonly reply: EventReply }
  /** The client's answer. */
  | { readonly kind: "refused"; readonly answer: Response }
  /** It may have taken what cannot be, and is to be told of the end of it. */
  | { readonly kind: "failed"; readonly stored: StoredCallback; readonly refusal: Refusal; readonly error: string };

/** Asks a backend whether it takes a session. @throws what `ask` does. */
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
  return ask(asked, 1, { name: "connect", headers: clientFields(headers), body: null }, async (answer) => {
    if (!answer.ok) {
      const refusal = new Response(answer.body, answer);
      refusal.headers.delete(REFUSAL);
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
}
