import { ackFrame } from "./control-frames.ts";

/** After so many messages the gateway is told that they have come, or after so long. */
const [ACK_MESSAGES, ACK_MS] = [64, 250] as const;

/** Tells the gateway how many messages have come, now and then. */
export interface ReceivedAcks {
  received(count: number): void;
  /** The connection is lost; the next says the count itself. */
  stop(): void;
}

/** Makes acks. @param send on the session's connection. */
export function createReceivedAcks(send: (frame: string) => void): ReceivedAcks {
  let told = 0;
  let latest = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function stop(): void {
    clearTimeout(timer);
    timer = undefined;
  }

  function tell(): void {
    stop();
    told = latest;
    send(ackFrame(told));
  }

  return {
    received(count) {
      latest = count;
      if (count - told >= ACK_MESSAGES) tell();
      else timer ??= setTimeout(tell, ACK_MS);
    },
    stop,
  };
}
