import { closeSocket } from "./close-socket.ts";
import type { Opening } from "./opening.ts";

/** Long after an answer has been sent, or never will be. */
const DECIDED_MS = 10_000;

/** Of the others one outlives its client, and the other's objects sleep when they have nothing to do. */
export const ENDS_WITH_CLIENT: ReadonlySet<Opening["mode"]> = new Set(["splice", "bridge", "shared"]);

/**
 * Ends a session whose 101 nobody took: a client that left in the moment of the answer. The runtime tells of that in no way, and both of the
 * session's connections would stay until it is idle for too long. A socket that went into an answer cannot be accepted any more.
 *
 * @param cut for what has no Close frame.
 */
export function endUntaken({ webSocket }: Response, cut: () => void): void {
  if (webSocket === null) return;
  setTimeout(() => {
    try {
      webSocket.accept();
    } catch {
      return;
    }
    closeSocket(webSocket, { code: 1001, reason: "client lost" });
    cut();
  }, DECIDED_MS);
}
