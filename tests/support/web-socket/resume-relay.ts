import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { WebSocketServer, type WebSocket } from "ws";
import { controlFrame, escapeText, readText } from "../../../objects/web-socket-relay/resume/control-frames.ts";
import { resumeRequest, type ResumeRequest } from "../../../objects/web-socket-relay/resume/resume-request.ts";
import type { ResumeRules } from "../../../objects/web-socket-relay/resume/resume-rules.ts";
import type { Refused, ResumeSession } from "../../../objects/web-socket-relay/resume/resume-session.ts";
import { createResumeSession, endsSession, NO_SUCH_SESSION } from "../../../objects/web-socket-relay/resume/session.ts";

/** A session of the relay, and the backend's side of it. */
export interface RelayedSession {
  readonly id: string;
  readonly resume: ResumeSession;
  /** What the backend has got. */
  readonly got: (string | ArrayBuffer)[];
  /** The backend sends. */
  send(data: string | ArrayBuffer): void;
  /** Cuts the connection as a network does: without a Close frame, and with what is under way lost. */
  reset(): void;
  /** Closes the client's connection with a Close frame of the gateway's. */
  close(code: number, reason: string): void;
  /** Loses the session, as an object that crashes does. */
  crash(): void;
  sendControl(frame: Parameters<typeof controlFrame>[0]): void;
}

const RULES: ResumeRules = {
  holdMs: 30_000,
  ring: { messages: 1_000, bytes: 1_048_576 },
  control: false,
  stored: false,
};

/**
 * A gateway's relay on Node, made of the pure core that the gateway runs: what a client has to come to terms with, without the
 * gateway. Its backend is the test.
 */
export class ResumeRelay {
  readonly sessions: RelayedSession[] = [];
  /** Handshakes and plain GETs, by their queries. */
  readonly asked: string[] = [];
  /** Plain GETs that were answered. */
  answered = 0;
  /** While it is set, everything is refused with this status. */
  refuses: number | undefined;
  /** Whether it says `hello` where that is asked for; false: an older gateway, which knows nothing of it. */
  greets = true;
  /** Whether plain GETs are answered. */
  isKnown = true;
  /** What plain GETs alone get: a status, or nothing at all; undefined: what there is to say. */
  statusIs: number | "never" | undefined;
  /** Plain GETs. */
  gets = 0;
  /** Plain GETs that nobody answers, and that were not withdrawn. */
  hanging = 0;
  /** Before the next handshake is answered; the network may let another one overtake it. */
  beforeNext: Promise<void> | undefined;
  onMessage: ((session: RelayedSession, data: string | ArrayBuffer) => void) | undefined;
  onSession: ((session: RelayedSession) => void) | undefined;
  readonly #rules: Partial<ResumeRules>;
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({ noServer: true });
  readonly #held = new Map<string, (request: ResumeRequest, socket: WebSocket, raw: Socket) => void>();
  readonly #raw = new Set<Socket>();
  #waiters: (() => void)[] = [];

  private constructor(rules: Partial<ResumeRules>) {
    this.#rules = rules;
    this.#server = createServer((request, response) => {
      const asked = this.#read(request);
      const session = typeof asked === "object" ? this.sessions.find(({ id }) => id === asked.session) : undefined;
      this.gets += 1;
      if (this.statusIs === "never") {
        this.hanging += 1;
        this.#changed();
        response.on("close", () => {
          this.hanging -= 1;
          this.#changed();
        });
        return;
      }
      response.on("finish", () => {
        this.answered += 1;
        this.#changed();
      });
      const headers = {
        "content-type": "application/json",
        "access-control-allow-origin": request.headers.origin ?? "*",
        "access-control-allow-credentials": "true",
      };
      const refuses = this.refuses ?? this.statusIs;
      if (refuses !== undefined || !this.isKnown || session === undefined) {
        response.writeHead(refuses ?? 404, headers).end("{}");
        return;
      }
      response
        .writeHead(200, headers)
        .end(JSON.stringify({ ...session.resume.status(), ...(this.greets ? { hello: true } : {}) }));
    });
    this.#server.on("upgrade", (request: IncomingMessage, raw: Socket, head: Buffer) => {
      this.#raw.add(raw);
      raw.on("close", () => {
        this.#raw.delete(raw);
        this.#changed();
      });
      raw.on("error", () => {});
      const asked = this.#read(request);
      if (this.refuses !== undefined || typeof asked !== "object") {
        raw.end(`HTTP/1.1 ${this.refuses ?? 400} Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
        return;
      }
      const answer = () => this.#sockets.handleUpgrade(request, raw, head, (socket) => this.#join(asked, socket, raw));
      const waits = this.beforeNext;
      this.beforeNext = undefined;
      if (waits === undefined) answer();
      else void waits.then(answer);
    });
  }

  static async start(rules: Partial<ResumeRules> = {}, port = 0): Promise<ResumeRelay> {
    const relay = new ResumeRelay(rules);
    await new Promise<void>((resolve) => relay.#server.listen(port, "127.0.0.1", resolve));
    return relay;
  }

  get port(): number {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a server that listens on TCP has such an address
    return (this.#server.address() as AddressInfo).port;
  }

  /** WebSockets that are not closed, known to their sessions or not. */
  get connections(): number {
    return this.#raw.size;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/chat?room=1`;
  }

  /** Settles when something holds, looked at after each message and session. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  async stop(): Promise<void> {
    for (const raw of this.#raw) raw.destroy();
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  #read(request: IncomingMessage): ReturnType<typeof resumeRequest> {
    const { searchParams } = new URL(request.url ?? "/", "http://relay");
    this.asked.push(searchParams.toString());
    this.#changed();
    return resumeRequest(searchParams, new Headers());
  }

  #changed(): void {
    for (const resolve of this.#waiters.splice(0)) resolve();
  }

  #join(asked: ResumeRequest, socket: WebSocket, raw: Socket): void {
    socket.on("error", () => {});
    const join = this.#held.get(asked.session);
    if (join !== undefined) join(asked, socket, raw);
    else if (asked.recv === undefined) this.#open(asked, socket, raw);
    else refuse(socket, NO_SUCH_SESSION);
  }

  #open({ session: id, control }: ResumeRequest, first: WebSocket, firstRaw: Socket): void {
    const rules = { ...RULES, ...this.#rules, control };
    const resume = createResumeSession({ epoch: `epoch of ${id}`, owner: "o", rules }, Date.now());
    const got: (string | ArrayBuffer)[] = [];
    let live: WebSocket | undefined;
    let liveRaw: Socket | undefined;
    let acks: ReturnType<typeof setTimeout> | undefined;

    function sendControl(frame: Parameters<typeof controlFrame>[0]): void {
      live?.send(controlFrame(frame));
    }

    function acknowledge(): void {
      clearTimeout(acks);
      acks = undefined;
      const n = resume.takeAck(Date.now());
      if (n !== undefined) sendControl({ kind: "ack", n });
      const at = resume.nextAt();
      if (control && resume.state === "live" && at !== null) acks = setTimeout(acknowledge, at - Date.now());
    }

    const session: RelayedSession = {
      id,
      resume,
      got,
      send(data) {
        const bytes = typeof data === "string" ? Buffer.byteLength(data) : data.byteLength;
        const fate = resume.toClient({ data, bytes }, Date.now());
        if (fate === "send") live?.send(wired(data, control));
      },
      reset: () => liveRaw?.resetAndDestroy(),
      close: (code, reason) => live?.close(code, reason),
      crash: () => {
        this.#held.delete(id);
        this.sessions.splice(this.sessions.indexOf(session), 1);
        liveRaw?.resetAndDestroy();
      },
      sendControl,
    };

    const attach = (socket: WebSocket, raw: Socket, connection: number, hello: boolean): void => {
      [live, liveRaw] = [socket, raw];
      if (control || (hello && this.greets))
        sendControl({ kind: "hello", epoch: resume.status().epoch, recv: resume.status().recv, restarts: 0 });
      socket.on("message", (payload: Buffer, isBinary: boolean) => {
        const data = isBinary ? new Uint8Array(payload).buffer : payload.toString();
        const read = control && typeof data === "string" ? readText(data) : { data };
        if (read === undefined) throw new Error(`the client sent ${JSON.stringify(data)}`);
        if ("frame" in read) {
          if (read.frame.kind === "ack") resume.acked(read.frame.n);
          return;
        }
        if (!resume.fromClient(connection, Date.now())) return;
        got.push(read.data);
        this.onMessage?.(session, read.data);
        acks ??= control ? setTimeout(acknowledge, 250) : undefined;
        this.#changed();
      });
      socket.on("close", (code: number) => {
        if (endsSession(code, { resumeOn1001: false })) {
          if (live === socket) resume.end();
        } else resume.detach(connection, Date.now());
        this.#changed();
      });
    };

    this.#held.set(id, ({ recv, hello = false }, socket, raw) => {
      const before = live;
      const reply = resume.attach({ owner: "o", recv }, Date.now());
      if (reply.kind === "refused") {
        refuse(socket, reply);
        return;
      }
      attach(socket, raw, reply.connection, hello);
      if (reply.supersedes) before?.close(4409, "another connection has taken over");
      for (const { data } of reply.replay) socket.send(wired(data, control));
    });
    this.sessions.push(session);
    attach(first, firstRaw, resume.connection, false);
    this.onSession?.(session);
    this.#changed();
  }
}

function wired(data: string | ArrayBuffer, control: boolean): string | ArrayBuffer {
  return control && typeof data === "string" ? escapeText(data) : data;
}

function refuse(socket: WebSocket, refused: Refused): void {
  if ("code" in refused) socket.close(refused.code, refused.reason);
  else socket.terminate();
}
