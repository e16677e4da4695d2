import {
  addToFanOut,
  closeFanOut,
  joinFanOut,
  leaveFanOut,
  NEW_FAN_OUT,
  readFromFanOut,
  type FanOut,
  type FanOutStep,
} from "./fan-out.ts";

/** How far the fastest reader may be behind before no more is taken from the origin, once the body isn't kept whole. */
const AHEAD_BYTES = 1 << 20;

/** The bytes of one body on their way to those who read it: one list of chunks, and a place in it for each reader. */
export interface SharedBody {
  /** More has come. The chunk is kept as it is. */
  add(chunk: Uint8Array): void;
  /** It is all there, or has broken off. */
  end(isComplete: boolean): void;
  /** Nobody may join any more: what all have read is let go. While more is to come, whoever is too slow is broken off. */
  close(): void;
  /** Bytes that are kept for somebody who still reads, or may come. */
  kept(): number;
  /** Resolves once more may be taken from the origin: somebody has read enough, or everything is kept anyway. */
  room(): Promise<void>;
  /** Gives a reader what stands before the body, and all of it. Rejects when it breaks off, or the reader is too slow or has gone. */
  deliver(reader: number, write: (chunk: Uint8Array) => Promise<void>, before: Uint8Array): Promise<void>;
}

/** A body of which nothing has come. */
export function newSharedBody(): SharedBody {
  let fanOut: FanOut = NEW_FAN_OUT;
  const chunks: Uint8Array[] = [];
  /** Chunks that are let go, and their bytes. */
  let dropped = { chunks: 0, bytes: 0 };
  let ended: "complete" | "broken" | undefined;
  /** Those who wait for more; whoever waits for somebody to have read more. */
  let waiting: (() => void)[] = [];
  let isRoomWanted: (() => void) | undefined;

  function take({ fanOut: after }: FanOutStep): void {
    fanOut = after;
    for (;;) {
      const [first] = chunks;
      if (first === undefined || dropped.bytes + first.byteLength > fanOut.freed) break;
      chunks.shift();
      dropped = { chunks: dropped.chunks + 1, bytes: dropped.bytes + first.byteLength };
    }
    isRoomWanted?.();
    isRoomWanted = undefined;
  }
  /** Takes in what concerns all who wait. A read concerns none of them: there are as many as readers times chunks. */
  function tellAll(after: FanOutStep): void {
    take(after);
    const woken = waiting;
    waiting = [];
    for (const wake of woken) wake();
  }
  /** The next chunk for somebody; undefined: there is none, and none will come. */
  async function next(reader: number, index: number): Promise<Uint8Array | undefined> {
    for (;;) {
      if (!fanOut.readers.has(reader)) throw new Error("too slow for the others");
      if (ended === "broken") throw new Error("the origin's response broke off");
      const chunk = chunks[index - dropped.chunks];
      if (chunk !== undefined || ended === "complete") return chunk;
      await new Promise<void>((resolve) => void waiting.push(resolve));
    }
  }

  return {
    add(chunk) {
      chunks.push(chunk);
      tellAll(addToFanOut(fanOut, chunk.byteLength));
    },
    end(isComplete) {
      if (ended !== "broken") ended = isComplete ? "complete" : "broken";
      tellAll({ fanOut, cut: [] });
    },
    close() {
      tellAll(closeFanOut(fanOut, ended === "complete"));
    },
    kept: () => (fanOut.readers.size > 0 || fanOut.isAdmitting ? fanOut.total - fanOut.freed : 0),
    async room() {
      for (;;) {
        const furthest = Math.max(0, ...fanOut.readers.values());
        const isFull = !fanOut.isAdmitting && fanOut.readers.size > 0 && fanOut.total - furthest > AHEAD_BYTES;
        if (!isFull || ended !== undefined) return;
        await new Promise<void>((resolve) => {
          isRoomWanted = resolve;
        });
      }
    },
    async deliver(reader, write, before) {
      // Before anything is waited for: from here on nothing is let go that it has not read.
      const joined = joinFanOut(fanOut, reader);
      if (joined === undefined) throw new Error("the first byte is not kept any more");
      fanOut = joined;
      try {
        await write(before);
        for (let index = 0; ; index += 1) {
          const chunk = await next(reader, index);
          if (chunk === undefined) break;
          await write(chunk);
          take(readFromFanOut(fanOut, reader, chunk.byteLength));
        }
      } finally {
        take(leaveFanOut(fanOut, reader));
      }
    },
  };
}
