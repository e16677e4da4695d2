import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

const START_MS = 5_000;

/** Resolves once somebody listens on a port of loopback; rejects after 5 s. */
export async function untilListening(port: number): Promise<void> {
  const deadline = Date.now() + START_MS;
  for (;;) {
    const socket = connect(port, "127.0.0.1");
    const connected = await once(socket, "connect").then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (connected) return;
    if (Date.now() > deadline) throw new Error(`nobody listens on port ${port} after ${START_MS} ms`);
    await pause(20);
  }
}
