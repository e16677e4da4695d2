import { closeSocket } from "./close-socket.ts";
import type { LiveSession } from "./live-session.ts";
import type { Opening } from "./opening.ts";
import { UNTAKEN } from "./own-closes.ts";
import { COME_BACK } from "./resume/resume-rules.ts";

/** Long after an answer has been sent, or never will be. */
const DECIDED_MS = 10_000;

/**
 * Ends a session whose 101 nobody took: a client that left in the moment of the answer. The runtime tells of that in no way, and both of the
 * session's connections would stay until it is idle for too long. A socket that went into an answer cannot be accepted any more. Who can come
 * back is waited for, as if the connection were lost. Not with `callback`, whose objects sleep when they have nothing to do.
 *
 * @param session undefined: none has come of it.
 */
export function endUntaken(
  { webSocket }: Response,
  { mode, held }: Pick<Opening, "mode" | "held">,
  session: LiveSession | undefined,
): void {
  if (webSocket === null || mode === "callback") return;
  const isKept = (held?.owner ?? null) !== null;
  setTimeout(() => {
    try {
      webSocket.accept();
    } catch {
      return;
    }
    closeSocket(webSocket, isKept ? { code: COME_BACK } : UNTAKEN);
    // A splice has no Close frame.
    if (!isKept) session?.close(UNTAKEN);
  }, DECIDED_MS);
}
