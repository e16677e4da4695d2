type Event = Readonly<Record<string, number>>;
type Result = IteratorResult<Event, undefined>;

const OVER: Result = { done: true, value: undefined };

/** Events of a subscription that a case makes happen; one that waits for the next can be ended, which a generator cannot. */
export class Feed implements AsyncIterableIterator<Event, undefined> {
  readonly #field: string;
  readonly #onReturn: () => void;
  readonly #events: Event[] = [];
  #waiting: ((result: Result) => void) | undefined;
  #isOver = false;

  constructor(field: string, onReturn: () => void) {
    this.#field = field;
    this.#onReturn = onReturn;
  }

  /** Makes one happen. */
  push(value: number): void {
    const event = { [this.#field]: value };
    if (this.#waiting === undefined) this.#events.push(event);
    this.#waiting?.({ done: false, value: event });
    this.#waiting = undefined;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Result> {
    const event = this.#events.shift();
    if (event !== undefined) return Promise.resolve({ done: false, value: event });
    if (this.#isOver) return Promise.resolve(OVER);
    return new Promise((resolve) => (this.#waiting = resolve));
  }

  return(): Promise<Result> {
    if (!this.#isOver) this.#onReturn();
    this.#isOver = true;
    this.#waiting?.(OVER);
    return Promise.resolve(OVER);
  }
}
