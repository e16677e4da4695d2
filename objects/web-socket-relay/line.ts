import { LOST, type Close } from "./close-codes.ts";
import { closeSocket } from "./close-socket.ts";

/** A side of a session as a bridge knows it: a socket, or what stands for one over several connections. */
export interface Line {
  /**
   * Begins to deliver what comes, from the next turn on.
   *
   * @param over told once, with the code of the Close frame that came; 1006: none did, 0: one with a code that nobody may send.
   */
  open(heard: (data: string | ArrayBuffer) => void, over: (code: number, reason: string) => void): void;
  /** Sends a message of so many bytes. Throws when it cannot. */
  send(data: string | ArrayBuffer, bytes: number): void;
  /** @param isOrderly whether all that was sent comes before; else what waits is forgotten. Default false. */
  close(close: Close, isOrderly?: boolean): void;
}

/** The line that is one socket, which is not accepted yet. */
export function socketLine(socket: WebSocket): Line {
  return {
    open(heard, over) {
      // Before anything is delivered: the default is Blob, which `send` turns into the text "[object Blob]".
      socket.binaryType = "arraybuffer";
      socket.addEventListener("message", ({ data }) => heard(data));
      socket.addEventListener("close", ({ code, reason, wasClean }) =>
        // A side that says 1006 is not one that is gone.
        over(code === LOST && wasClean ? 0 : code, reason),
      );
      socket.addEventListener("error", () => over(LOST, ""));
      socket.accept({ allowHalfOpen: true });
    },
    send: (data) => socket.send(data),
    close: (close) => closeSocket(socket, close),
  };
}
