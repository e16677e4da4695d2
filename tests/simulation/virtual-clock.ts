interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** Some time in 2026, as the clocks of objects say it when a run begins. */
export const OWNER_EPOCH = 1_790_000_000_000;

/** Runs what was scheduled in the order of its time, and of its scheduling where times are equal. */
export class VirtualClock {
  now = 0;
  readonly #heap: Event[] = [];
  #count = 0;

  /** Runs `run` in `delayMs`, not before now. */
  after(delayMs: number, run: () => void): void {
    this.#count += 1;
    const event = { at: this.now + Math.max(0, delayMs), order: this.#count, run };
    let index = this.#heap.length;
    this.#heap.push(event);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = this.#heap[parent];
      if (above === undefined || !isBefore(event, above)) break;
      this.#heap[index] = above;
      index = parent;
    }
    this.#heap[index] = event;
  }

  /** Runs everything up to `until`. */
  runUntil(until: number): void {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || first.at > until) break;
      this.#removeFirst();
      this.now = first.at;
      first.run();
    }
    this.now = until;
  }

  #removeFirst(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      const left = this.#heap[child];
      if (left === undefined) break;
      const right = this.#heap[child + 1];
      let smaller = left;
      if (right !== undefined && isBefore(right, left)) {
        smaller = right;
        child += 1;
      }
      if (!isBefore(smaller, last)) break;
      this.#heap[index] = smaller;
      index = child;
    }
    this.#heap[index] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
