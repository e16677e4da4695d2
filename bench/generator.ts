import { connect, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

import { cpuTime, machineCpuTime } from "./cpu-time.ts";
import type { LoadAnswer, LoadOrder } from "./load.ts";
import { percentile, type Slice } from "./statistics.ts";

/** What a browser's or SDK's GET carries, so that copying headers has its everyday price. */
const requestHead = (port: number) =>
  Buffer.from(
    [
      "GET /api/orders/ord_7f3a9c21?expand=items HTTP/1.1",
      `Host: 127.0.0.1:${port}`,
      "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
      "Accept: application/json",
      "Accept-Language: en-GB,en;q=0.5",
      "Accept-Encoding: gzip, deflate, br",
      "Authorization: Bearer 5b1c0e9d2f7a4c83",
      "Cookie: session=3f1d77aa; theme=dark",
      "Referer: https://shop.example/orders",
      "Connection: keep-alive",
      "",
      "",
    ].join("\r\n"),
  );

/** One keep-alive connection: a request at a time, the next when the answer's last byte is in. */
class Client {
  readonly #order: LoadOrder;
  readonly #request: Buffer;
  readonly #record: (latencyMs: number) => void;
  readonly #fail: (reason: string) => void;
  #socket: Socket | undefined;
  #sentAt = 0;
  #pending = "";

  constructor(order: LoadOrder, request: Buffer, record: (latencyMs: number) => void, fail: (reason: string) => void) {
    this.#order = order;
    this.#request = request;
    this.#record = record;
    this.#fail = fail;
  }

  start(): void {
    const socket = connect({ port: this.#order.port, host: "127.0.0.1", noDelay: true });
    this.#socket = socket;
    socket.on("connect", () => this.#send());
    socket.on("data", (chunk) => this.#receive(chunk));
    socket.on("error", (error) => this.#fail(`connection failed: ${error.message}`));
    socket.on("end", () => this.#fail("the subject closed a keep-alive connection"));
  }

  stop(): void {
    this.#socket?.removeAllListeners();
    this.#socket?.on("error", () => {});
    this.#socket?.destroy();
  }

  #send(): void {
    this.#sentAt = performance.now();
    this.#socket?.write(this.#request);
  }

  #receive(chunk: Buffer): void {
    this.#pending = this.#pending === "" ? chunk.toString("latin1") : this.#pending + chunk.toString("latin1");
    if (!isComplete(this.#pending)) return;
    const status = Number(this.#pending.slice(9, 12));
    if (!this.#order.statuses.includes(status)) {
      this.#fail(`got status ${status}, wanted ${this.#order.statuses.join(" or ")}: ${this.#pending.slice(0, 500)}`);
      return;
    }
    this.#pending = "";
    this.#record(performance.now() - this.#sentAt);
    this.#send();
  }
}

const contentLength = /\r\ncontent-length: *(\d+)/i;

/** One request is in flight at a time, so an answer without Content-Length ends with the last chunk. */
function isComplete(answer: string): boolean {
  const headEnd = answer.indexOf("\r\n\r\n");
  if (headEnd < 0) return false;
  const length = contentLength.exec(answer)?.[1];
  if (length === undefined) return answer.endsWith("\r\n0\r\n\r\n");
  return answer.length >= headEnd + 4 + Number(length);
}

async function run(order: LoadOrder): Promise<Slice> {
  const request = requestHead(order.port);
  const latencies: number[] = [];
  let isCounting = false;
  const failed = Promise.withResolvers<never>();
  const record = (latencyMs: number) => {
    if (isCounting) latencies.push(latencyMs);
  };
  const clients = Array.from(
    { length: order.connections },
    () => new Client(order, request, record, (reason) => failed.reject(new Error(reason))),
  );
  const stalls = new StallWatch();
  try {
    for (const client of clients) client.start();
    await Promise.race([pause(order.rampMs), failed.promise]);
    const meter = new Meter(order);
    isCounting = true;
    stalls.reset();
    await Promise.race([pause(order.windowMs), failed.promise]);
    return { ...meter.read(latencies), stallMs: stalls.longestMs };
  } finally {
    stalls.stop();
    for (const client of clients) client.stop();
  }
}

/** What was used between its making and its reading. */
class Meter {
  readonly #order: LoadOrder;
  readonly #subject: number;
  readonly #bench: number;
  readonly #machine = machineCpuTime();
  readonly #startedAt = performance.now();

  constructor(order: LoadOrder) {
    this.#order = order;
    this.#subject = cpuTime(order.pids);
    this.#bench = cpuTime(this.#all());
  }

  read(latencies: readonly number[]): Omit<Slice, "stallMs"> {
    const wallMs = performance.now() - this.#startedAt;
    const cpuUs = cpuTime(this.#order.pids) - this.#subject;
    const othersUs = machineCpuTime() - this.#machine - (cpuTime(this.#all()) - this.#bench);
    const ascending = Float64Array.from(latencies).toSorted();
    return {
      answers: latencies.length,
      throughput: (latencies.length * 1000) / wallMs,
      p50: percentile(ascending, 0.5),
      p99: percentile(ascending, 0.99),
      cpu: cpuUs / latencies.length,
      busy: cpuUs / (wallMs * 1000),
      others: Math.max(0, othersUs / (wallMs * 1000)),
    };
  }

  #all(): readonly number[] {
    return [...this.#order.pids, ...this.#order.helpers, process.pid];
  }
}

const TICK_MS = 10;

/** Notices that this process was not let run, which on a shared machine happened to the subject too. */
class StallWatch {
  longestMs = 0;
  #lastTick = performance.now();
  readonly #timer = setInterval(() => {
    const now = performance.now();
    this.longestMs = Math.max(this.longestMs, now - this.#lastTick - TICK_MS);
    this.#lastTick = now;
  }, TICK_MS);

  reset(): void {
    this.longestMs = 0;
    this.#lastTick = performance.now();
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

process.on("message", (order: LoadOrder) => {
  const answer: Promise<LoadAnswer> = run(order).then(
    (slice) => ({ ok: true, slice }),
    (error: unknown) => ({ ok: false, reason: String(error) }),
  );
  void answer.then((value) => process.send?.(value));
});
process.on("disconnect", () => process.exit(0));
process.send?.("ready");
