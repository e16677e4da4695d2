import { setTimeout as pause } from "node:timers/promises";
import type { Connection } from "../connection.ts";

/** One thing an origin does on its connection; false when nothing can follow on it. A fault is a list of these. */
export type Act = (peer: Connection) => Promise<boolean>;

/** Sends text as latin1, so that every byte value can be written. */
export function send(text: string): Act {
  return (peer) => peer.send(text);
}

/** Sends one byte at a time. */
export function trickle(text: string, everyMs: number): Act {
  return async (peer) => {
    for (const byte of Buffer.from(text, "latin1")) {
      if (!(await peer.send(Buffer.of(byte)))) return false;
      await pause(everyMs);
    }
    return true;
  };
}

/** Says nothing more and waits until the peer gives up. */
export async function hang(peer: Connection): Promise<boolean> {
  await peer.gone();
  return false;
}

/** Breaks the connection with a TCP reset. */
export async function reset(peer: Connection): Promise<boolean> {
  peer.reset();
  return false;
}

/** Ends the connection with a FIN. */
export async function close(peer: Connection): Promise<boolean> {
  peer.finish();
  return false;
}

/** Performs the acts in order. Answers whether the connection may carry another request. */
export async function perform(peer: Connection, acts: readonly Act[]): Promise<boolean> {
  for (const act of acts) {
    if (!(await act(peer))) return false;
  }
  return true;
}
