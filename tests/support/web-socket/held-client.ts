import { ResumableWebSocket, type ResumableOptions } from "../../../clients/websocket/resumable-web-socket.ts";

/** A client that comes back by itself, and all that it was told. */
export interface HeldClient {
  readonly socket: ResumableWebSocket;
  /** Messages. */
  readonly got: unknown[];
  /** Events other than messages, in short. */
  readonly told: string[];
  /** From the loss of a connection until the session went on, in ms. */
  readonly resumeMs: number[];
  /** Settles when something holds, looked at after each event. */
  readonly until: (holds: () => boolean) => Promise<void>;
}

/** Connects a client; it tries again at once. */
export async function openHeld(url: string, options: ResumableOptions = {}): Promise<HeldClient> {
  const socket = new ResumableWebSocket(url, [], { minDelayMs: 1, maxDelayMs: 50, stableMs: 0, ...options });
  socket.binaryType = "arraybuffer";
  const [got, told, resumeMs]: [unknown[], string[], number[]] = [[], [], []];
  let lostAt = 0;
  let waiters: (() => void)[] = [];

  function wake(): void {
    for (const waiter of waiters.splice(0)) waiter();
  }

  function tell(what: string): void {
    told.push(what);
    wake();
  }

  socket.addEventListener("message", ({ data }) => {
    got.push(data);
    wake();
  });
  socket.addEventListener("open", () => tell("open"));
  socket.addEventListener("reconnecting", ({ detail }) => {
    if (detail.attempt === 1) lostAt = performance.now();
    tell("reconnecting");
  });
  socket.addEventListener("resumed", () => {
    if (lostAt > 0) resumeMs.push(performance.now() - lostAt);
    lostAt = 0;
    tell("resumed");
  });
  socket.addEventListener("restarted", () => tell("restarted"));
  socket.addEventListener("lost", ({ detail }) => tell(`lost ${detail.code}`));
  socket.addEventListener("close", ({ code, reason }) => tell(`close ${code} ${reason}`));

  async function until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => waiters.push(resolve));
  }

  await until(() => told.length > 0 && told[0] !== "reconnecting");
  return { socket, got, told, resumeMs, until };
}
