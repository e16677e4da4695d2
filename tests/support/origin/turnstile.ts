import type { Connection } from "../connection.ts";

/** Holds requests at the origin until the test, or their number, lets them on. */
export class Turnstile {
  readonly #queue = new Set<() => void>();
  #releases = 0;
  #together = Promise.withResolvers<void>();
  #arrived = 0;

  /** Lets the request that waits longest go on; when none waits, the next that comes. */
  release(): void {
    const [first] = this.#queue;
    if (first === undefined) {
      this.#releases += 1;
      return;
    }
    this.#queue.delete(first);
    first();
  }

  /** True when it is released; false when the peer left before that. */
  released(peer: Connection): Promise<boolean> {
    if (this.#releases > 0) {
      this.#releases -= 1;
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const go = (): void => resolve(true);
      this.#queue.add(go);
      void peer.gone().then(() => {
        this.#queue.delete(go);
        resolve(false);
      });
    });
  }

  /** Resolves once `count` requests have come here. */
  together(count: number): Promise<void> {
    this.#arrived += 1;
    const { promise, resolve } = this.#together;
    if (this.#arrived === count) {
      this.#arrived = 0;
      this.#together = Promise.withResolvers();
      resolve();
    }
    return promise;
  }
}
