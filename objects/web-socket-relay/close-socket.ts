import { fittingReason, type Close } from "./close-codes.ts";

/** Closes a socket; one that is gone already tells so by its own events. */
export function closeSocket(socket: WebSocket, { code, reason }: Close): void {
  try {
    if (code === undefined) socket.close();
    else socket.close(code, fittingReason(reason ?? ""));
  } catch {
    // It is gone.
  }
}
