/** A data message as it passes: text stays text, binary stays binary. */
export interface PassedMessage {
  readonly data: string | ArrayBuffer;
  /** On the wire: of a text, its UTF-8. */
  readonly bytes: number;
}

/** What a ring may hold; whichever comes first. */
export interface RingLimits {
  readonly messages: number;
  readonly bytes: number;
}

/**
 * The latest messages of one direction, each with its number: the first of a session is 1. What does not fit any more is
 * forgotten from its old end; one that is larger than the whole ring takes all with it and is itself not kept.
 */
export interface Ring {
  /** Adds the next message. */
  push(message: PassedMessage): void;
  /** Forgets all up to this number. */
  dropTo(number: number): void;
  /** Those that are kept and come after this number, the oldest first. */
  after(number: number): readonly PassedMessage[];
  /** Gives all that come the same number more, as if so many had been added and forgotten before. */
  skip(count: number): void;
  /** The number of the latest message, kept or not. */
  readonly last: number;
  /** The number of the oldest that is kept; one more than `last` when none is. */
  readonly first: number;
  /** Of all that are kept. */
  readonly bytes: number;
}

/** A gap at the front of the list is closed when it is this long and half of the list. */
const MIN_GAP = 64;

/** Makes a ring. @param last the number of the latest message that was before, of which none is kept. */
export function createRing(limits: RingLimits, last = 0): Ring {
  let kept: (PassedMessage | undefined)[] = [];
  /** What is before was forgotten. */
  let head = 0;
  let first = last + 1;
  let bytes = 0;

  function size(): number {
    return kept.length - head;
  }

  function dropOldest(): void {
    bytes -= kept[head]?.bytes ?? 0;
    // Else it stays in memory for as long as the list does.
    kept[head] = undefined;
    head += 1;
    first += 1;
    if (head < MIN_GAP || head * 2 < kept.length) return;
    kept = kept.slice(head);
    head = 0;
  }

  return {
    push(message) {
      kept.push(message);
      bytes += message.bytes;
      while (size() > limits.messages || bytes > limits.bytes) dropOldest();
    },
    dropTo(number) {
      while (first <= number && size() > 0) dropOldest();
    },
    after(number) {
      const rest = kept.slice(head + Math.max(0, number + 1 - first));
      return rest.filter((message) => message !== undefined);
    },
    skip(count) {
      first += count;
    },
    get last() {
      return first + size() - 1;
    },
    get first() {
      return first;
    },
    get bytes() {
      return bytes;
    },
  };
}
