import { NO_ANSWER_YET, sealAnswer, type FlightAnswer, type FlightMessage } from "./flight-messages.ts";
import type { SharedBody } from "./shared-body.ts";

/** Those who wait for an answer or read one, each over a stream of its own. */
export interface Passengers {
  /** Takes somebody aboard, who reads the answer from the stream once there is one. */
  board(message: FlightMessage): { readonly id: number; readonly readable: ReadableStream<Uint8Array> };
  /** What it asked for; undefined: it has gone. */
  messageOf(id: number): FlightMessage | undefined;
  /** Tells each of them that no body comes, and why. They are aboard no more. */
  answer(ids: readonly number[], answer: FlightAnswer): void;
  /** Gives one a body behind what is said of it. It is aboard until it has all. */
  deliver(id: number, body: SharedBody, answer: FlightAnswer): Promise<void>;
  isEmpty(): boolean;
}

interface Passenger {
  readonly message: FlightMessage;
  readonly writer: WritableStreamDefaultWriter<Uint8Array>;
  /** Whether it has its answer, or is getting it. */
  isServed: boolean;
  /** Since when it has been taking what was last written; Infinity: it has taken it. */
  writingSince: number;
}

/** How often those who wait are looked after. */
const BEAT_MS = 1_000;

/** @param left called once for each that goes before it has all. */
export function newPassengers(now: () => number, left: (id: number) => void): Passengers {
  const aboard = new Map<number, Passenger>();
  let last = 0;
  let beat: ReturnType<typeof setInterval> | null = null;

  /** Whoever has gone shows it only when it is written to. Whoever takes nothing for too long is broken off. */
  function askWhoIsThere(): void {
    for (const { writer, isServed, writingSince, message } of aboard.values()) {
      if (!isServed) void writer.write(NO_ANSWER_YET).catch(() => {});
      else if (now() - writingSince > message.idleMs) void writer.abort(new Error("idle")).catch(() => {});
    }
    if (aboard.size > 0 || beat === null) return;
    clearInterval(beat);
    beat = null;
  }

  function leave(id: number): void {
    if (aboard.delete(id)) left(id);
  }

  return {
    board(message) {
      const { readable, writable } = new IdentityTransformStream();
      const writer = writable.getWriter();
      const id = (last += 1);
      aboard.set(id, { message, writer, isServed: false, writingSince: Infinity });
      beat ??= setInterval(askWhoIsThere, BEAT_MS);
      writer.closed.catch(() => leave(id));
      return { id, readable };
    },
    messageOf: (id) => aboard.get(id)?.message,
    answer(ids, answer) {
      for (const id of ids) {
        const { writer } = aboard.get(id) ?? {};
        aboard.delete(id);
        void writer
          ?.write(sealAnswer(answer))
          .then(
            () => writer.close(),
            () => {},
          )
          .catch(() => {});
      }
    },
    async deliver(id, body, answer) {
      const passenger = aboard.get(id);
      if (passenger === undefined) return;
      const { writer } = passenger;
      passenger.isServed = true;
      const write = async (chunk: Uint8Array) => {
        passenger.writingSince = now();
        await writer.write(chunk);
        passenger.writingSince = Infinity;
      };
      try {
        await body.deliver(id, write, sealAnswer(answer));
        await writer.close();
        aboard.delete(id);
      } catch (error) {
        void writer.abort(error).catch(() => {});
        leave(id);
      }
    },
    isEmpty: () => aboard.size === 0,
  };
}
