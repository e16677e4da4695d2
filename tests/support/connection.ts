import { connect, type Socket } from "node:net";

/** Why no more bytes come: the peer finished its side (`end`) or broke the connection (`reset`). */
export type Silence = "end" | "reset";

/**
 * A TCP connection, read piece by piece and only as fast as the caller asks: what is not asked for stays in the kernel,
 * so a slow reader really slows its peer.
 */
export class Connection {
  readonly #socket: Socket;
  readonly #chunks: AsyncIterator<Buffer>;
  #pending: Buffer = Buffer.alloc(0);
  #silence: Silence | undefined;
  #pulling: Promise<boolean> | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#chunks = socket.iterator({ destroyOnReturn: false });
    socket.setNoDelay(true);
    // A peer may reset at any moment; readers and writers see it where they stand.
    socket.on("error", () => undefined);
  }

  /** Connects to the host and port of a URL. */
  static open(url: string): Promise<Connection> {
    const { hostname, port } = new URL(url);
    return new Promise((resolve, reject) => {
      const socket = connect(Number(port), hostname, () => resolve(new Connection(socket)));
      socket.once("error", reject);
    });
  }

  /** Set once a read has met the peer's last byte. */
  get silence(): Silence | undefined {
    return this.#silence;
  }

  /** Hands bytes (text as latin1) to the kernel and waits until it took them; false when the peer is gone. */
  send(bytes: Buffer | string): Promise<boolean> {
    const data = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes;
    return new Promise((resolve) => {
      if (this.#socket.destroyed) return resolve(false);
      this.#socket.write(data, (error) => resolve(error === undefined || error === null));
    });
  }

  /** The next bytes, at most `limit`; empty when the peer stopped. */
  async some(limit = Number.POSITIVE_INFINITY): Promise<Buffer> {
    if (this.#pending.length === 0) await this.#pull();
    return this.#take(Math.min(limit, this.#pending.length));
  }

  /** Bytes up to and including `mark`; undefined when the peer stopped before it (what came stays readable). */
  async until(mark: string): Promise<Buffer | undefined> {
    for (let searched = 0; ;) {
      const at = this.#pending.indexOf(mark, searched, "latin1");
      if (at >= 0) return this.#take(at + mark.length);
      searched = Math.max(0, this.#pending.length - mark.length + 1);
      if (!(await this.#pull())) return undefined;
    }
  }

  /** Waits until the peer finished or broke the connection; what arrives meanwhile stays readable. */
  async gone(): Promise<void> {
    while (await this.#pull());
  }

  /** Breaks the connection with a TCP reset. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  /** Ends this side with a FIN; the other side may still be read. */
  finish(): void {
    this.#socket.end();
  }

  /** Ends both sides. */
  destroy(): void {
    this.#socket.destroy();
  }

  #take(bytes: number): Buffer {
    const taken = this.#pending.subarray(0, bytes);
    this.#pending = this.#pending.subarray(bytes);
    return taken;
  }

  /** One read at a time, shared by all who wait for it. */
  #pull(): Promise<boolean> {
    this.#pulling ??= this.#read().finally(() => {
      this.#pulling = undefined;
    });
    return this.#pulling;
  }

  async #read(): Promise<boolean> {
    if (this.#silence !== undefined) return false;
    try {
      const next = await this.#chunks.next();
      if (next.done !== true) {
        this.#pending = this.#pending.length === 0 ? next.value : Buffer.concat([this.#pending, next.value]);
        return true;
      }
      this.#silence = "end";
    } catch {
      this.#silence = "reset";
    }
    return false;
  }
}
