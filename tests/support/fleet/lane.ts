import { connect, type Socket } from "node:net";

/** What became of a request that got no answer: its connection broke. */
export const LOST = 0;

const CONTENT_LENGTH = /\r\ncontent-length: *(\d+)/i;

/** A keep-alive connection for one request after the other; it reads no more of an answer than its status and its end. */
export class Lane {
  /** The latest answer, head and body. */
  answer = "";
  readonly #port: number;
  #socket: Socket | undefined;
  #received = "";
  #answered: (status: number) => void = () => {};

  constructor(url: string) {
    this.#port = Number(new URL(url).port);
  }

  /** Sends the bytes of one request and resolves to its answer's status, or to LOST. Connects when it has to. */
  ask(request: string): Promise<number> {
    return new Promise((resolve) => {
      this.#answered = resolve;
      this.#socket ??= this.#connect();
      this.#socket.write(request, "latin1");
    });
  }

  close(): void {
    this.#socket?.destroy();
  }

  #connect(): Socket {
    const socket = connect({ port: this.#port, host: "127.0.0.1", noDelay: true });
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => this.#receive(text));
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#socket = undefined;
      this.#end(LOST);
    });
    return socket;
  }

  #receive(text: string): void {
    this.#received += text;
    if (isWhole(this.#received)) this.#end(Number(this.#received.slice(9, 12)));
  }

  #end(status: number): void {
    this.answer = this.#received;
    this.#received = "";
    this.#answered(status);
  }
}

/** One request is under way at a time, so an answer without Content-Length ends with the last chunk. */
function isWhole(answer: string): boolean {
  const headEnd = answer.indexOf("\r\n\r\n");
  if (headEnd < 0) return false;
  const length = CONTENT_LENGTH.exec(answer.slice(0, headEnd))?.[1];
  if (length === undefined) return answer.endsWith("\r\n0\r\n\r\n");
  return answer.length >= headEnd + 4 + Number(length);
}
