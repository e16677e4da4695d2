import { createControlChannel } from "./control-channel.ts";
import { helloIn, type ControlFrame } from "./control-frames.ts";
import { createCopies, type Sendable } from "./copies.ts";
import { closeMeaning, GONE, HOLD_OVERFLOW, LOST } from "./close-codes.ts";
import type { Link, LinkEvents } from "./link-events.ts";
import type { Settings } from "./options.ts";
import { newSessionId, whenOnline, type Socket } from "./platform.ts";
import { NOBODY_KNOWS, RESUMES_NONE, resumptionOf } from "./resumption.ts";
import { createRetries } from "./retries.ts";
import { askStatus, isOfAnother, sessionUrl, type SessionStatus } from "./session-status.ts";
import { createStatusQuestions } from "./status-questions.ts";

const [SOCKET_CONNECTING, SOCKET_OPEN] = [0, 1] as const;
/** A gateway that holds the session says so together with its answer to the handshake; a lost packet takes less than this to come again. */
const HELLO_MS = 1_000;

/** Connects, and tells what comes of it. Nothing is told before it has returned. */
export function createLink(url: URL, protocols: string | string[], settings: Settings, events: LinkEvents): Link {
  const { control, giveUpMs, random } = settings;
  const retries = createRetries(settings);
  const copies = createCopies(settings.copies);
  const questions = createStatusQuestions(settings);
  /** Connections that were left for others and are not closed; the gateway may still believe in one of them. */
  const left = new Set<Socket>();
  let session = newSessionId();
  let known: SessionStatus | undefined;
  let isResumable = true;
  let socket: Socket | undefined;
  let binaryType = settings.binaryType;
  /** On the latest connection. */
  let spoken = { protocol: "", extensions: "" };
  /** Whether there is a session to go on with. */
  let isOpen = false;
  /** Whether the connection is known to be that session's, and the gateway has all that was sent before. */
  let isReady = false;
  /** Whether the gateway was asked to say that with its first message on this connection, and none has come. */
  let isGreeted = false;
  /** How this connection was closed, while it was not known to be the session's. */
  let hidden: { readonly code: number; readonly reason: string } | undefined;
  let early: { readonly data: unknown; readonly origin: string }[] = [];
  let closing: { readonly code: number | undefined; readonly reason: string | undefined } | undefined;
  let isOver = false;
  let stopListening = () => {};
  const channel = createControlChannel(control, (frame) => socket?.send(frame));
  const timers: Partial<Record<"retry" | "drain", ReturnType<typeof setTimeout>>> = {};

  function address(): string {
    return sessionUrl(url, { session, recv: isOpen ? copies.received : undefined, control, hello: isGreeted });
  }

  function connect(): void {
    leave();
    // What was never open is not resumed: nobody knows whether the gateway has it.
    if (!isOpen) session = newSessionId();
    isGreeted = isOpen && !control && known?.hello === true;
    const made = new settings.WebSocket(address(), protocols);
    made.binaryType = binaryType;
    socket = made;
    timers.retry = setTimeout(() => {
      retry();
      // Browsers shake hands with a host one at a time.
      if (made.readyState === SOCKET_CONNECTING) made.close();
    }, settings.handshakeTimeoutMs);
    made.addEventListener("open", () => {
      if (socket !== made) return;
      if (isGreeted || (control && !isOpen)) {
        clearTimeout(timers.retry);
        timers.retry = setTimeout(() => (isOpen ? void resume(made) : open(made, "none")), HELLO_MS);
      } else if (!isOpen) open(made, undefined);
      else if (!control) void resume(made);
    });
    made.addEventListener("message", ({ data, origin }) => {
      if (socket === made) take(made, data, origin);
    });
    // Some throw where nobody listens; what is to be done about it comes with the close.
    made.addEventListener("error", () => {});
    made.addEventListener("close", ({ code, reason, wasClean }) => {
      left.delete(made);
      if (socket === made) closed(code, reason, wasClean);
    });
  }

  /**
   * Never with a Close frame, which would end the session: whoever connects next takes the connection over. Nor by giving up a handshake,
   * for which Chromium sends a Close frame with 1001 if the answer is there already. One that has never been open holds nothing but
   * a session that nobody would come back for.
   */
  function leave(): void {
    const before = socket;
    socket = undefined;
    if (!isOpen) before?.close();
    else if (before !== undefined && before.readyState <= SOCKET_OPEN) left.add(before);
    for (const timer of [timers.retry, timers.drain]) clearTimeout(timer);
    isReady = isGreeted = false;
    early = [];
    hidden = undefined;
    channel.stop();
  }

  /** @param status `none`: nobody holds the session, so far as can be seen; undefined: nobody has been asked. */
  function open(made: Socket, status: SessionStatus | "none" | undefined): void {
    isOpen = true;
    isResumable = status !== "none";
    if (typeof status === "object") known = status;
    ready(made, []);
    events.opened();
    if (status === undefined && socket === made) void learn();
  }

  /** Whether the gateway knows of this session at all: if not, it must not be opened again as if it were the same. */
  async function learn(): Promise<void> {
    const status = await askStatus(address(), settings);
    if (status === "none") isResumable = false;
    else if (status !== "retry") known ??= status;
  }

  /** Asks where the gateway does not say it by itself. */
  async function resume(made: Socket): Promise<void> {
    const status = await askStatus(address(), settings);
    if (socket !== made || isReady) return;
    if (status === "retry" || (status !== "none" && isOfAnother(status, known, hidden !== undefined))) retry();
    else if (status === "none") lose(GONE, NOBODY_KNOWS);
    else verified(made, status);
  }

  function verified(made: Socket, status: SessionStatus): void {
    const before = known;
    const missing = resumptionOf(status, before, copies);
    if (typeof missing === "string") {
      lose(GONE, missing);
      return;
    }
    known = status;
    const waiting = early;
    ready(made, missing);
    events.resumed(missing.length);
    if (before !== undefined && before.restarts < status.restarts) events.restarted(status.restarts);
    for (const { data, origin } of waiting) {
      // A listener may have connected anew, which brings the rest again.
      if (socket !== made) return;
      deliver(data, origin);
    }
    if (hidden !== undefined) closed(hidden.code, hidden.reason, true);
    else if (closing !== undefined) made.close(closing.code, closing.reason);
  }

  function ready(made: Socket, messages: readonly Sendable[]): void {
    clearTimeout(timers.retry);
    isReady = true;
    spoken = { protocol: made.protocol, extensions: made.extensions };
    retries.connected(Date.now());
    for (const message of messages) made.send(channel.write(message));
  }

  function take(made: Socket, data: unknown, origin: string): void {
    if (isGreeted) {
      isGreeted = false;
      const hello = helloIn(data, known?.epoch);
      // Who has asked meanwhile, since it took long, knows it already.
      if (hello !== undefined && !isReady) verified(made, { ...known, ...hello });
      if (hello !== undefined) return;
      if (!isReady) void resume(made);
    }
    const read = channel.read(data);
    if (read === undefined) return;
    if ("frame" in read) obey(made, read.frame);
    else if (isReady) deliver(read.data, origin);
    // Until it is sure that this is the session, nothing of it may be shown.
    else if (!control) early.push({ data: read.data, origin });
    else if (isOpen) lose(GONE, NOBODY_KNOWS);
    else {
      open(made, "none");
      if (socket === made) deliver(read.data, origin);
    }
  }

  function obey(made: Socket, frame: ControlFrame): void {
    switch (frame.kind) {
      case "hello":
        if (!isOpen) open(made, frame);
        else if (!isReady) verified(made, frame);
        // It took longer than it was waited for.
        else [known, isResumable] = [frame, true];
        return;
      case "ack":
        copies.confirm(frame.n);
        return;
      case "drain":
        clearTimeout(timers.drain);
        timers.drain = setTimeout(connect, random() * frame.inMs);
    }
  }

  function deliver(data: unknown, origin: string): void {
    copies.countReceived();
    channel.received(copies.received);
    events.message(data, origin);
  }

  function closed(code: number, reason: string, wasClean: boolean): void {
    const meaning = closeMeaning(code, wasClean, isOpen && isResumable);
    if (meaning === "over" && isOpen && !isReady && closing === undefined) {
      // The end of the session, which is told with the rest, or of an attempt that the gateway refuses for now.
      if (control || isGreeted) retry();
      else hidden = { code, reason };
      return;
    }
    leave();
    if (closing !== undefined) end(code, reason, wasClean);
    else if (meaning === "gone") lose(code, reason);
    else if (meaning === "over") end(code, reason, true);
    else if (!isResumable) lose(LOST, RESUMES_NONE);
    else retry();
  }

  function retry(): void {
    leave();
    if (closing !== undefined) {
      end(LOST, "", false);
      return;
    }
    const next = retries.next(Date.now());
    if (next !== undefined) {
      timers.retry = setTimeout(connect, next.delayMs);
      events.reconnecting(next.attempt, next.delayMs);
    } else if (isOpen) lose(LOST, `no connection for ${giveUpMs} ms`);
    else end(LOST, "", false);
  }

  function finish(code: number): void {
    isOver = true;
    if (socket !== undefined) left.add(socket);
    leave();
    // They may hold a session of ours that nobody will come back for.
    for (const one of left) one.close(code === LOST ? undefined : code);
    stopListening();
  }

  function lose(code: number, reason: string, unkept: readonly Sendable[] = []): void {
    finish(code);
    events.lost({ code, reason, unconfirmed: [...copies.all(), ...unkept] });
  }

  function end(code: number, reason: string, wasClean: boolean): void {
    finish(LOST);
    // Whatever was sent, as far as a WebSocket can say.
    if (wasClean) copies.confirm(copies.sent);
    events.ended(code, reason, wasClean);
  }

  async function trim(): Promise<void> {
    const status = await questions.ask(address());
    if (status !== undefined && status.epoch === (known?.epoch ?? status.epoch)) copies.confirm(status.recv);
  }

  connect();
  stopListening = whenOnline(() => {
    // Whoever was without a network has most likely lost a connection too that looks well.
    const isDoubtful = isReady && isResumable && known !== undefined;
    if (!isOver && closing === undefined && (socket === undefined || isDoubtful)) connect();
  });
  return {
    send(message, bytes) {
      if (isOver) return;
      if (!copies.add(message, bytes, isReady)) {
        lose(HOLD_OVERFLOW, "more was sent while there was no connection than can be kept", [message]);
        return;
      }
      if (!isReady) return;
      socket?.send(channel.write(message));
      if (!control && isResumable && copies.isHalfFull) void trim();
    },
    close(code, reason) {
      closing = { code, reason };
      clearTimeout(timers.drain);
      if (isReady) socket?.close(code, reason);
      else if (!isOpen || socket === undefined) {
        // With nothing connected there is nobody to say it to; the gateway ends what it holds by itself.
        finish(LOST);
        // No WebSocket tells of its end before `close` has returned.
        setTimeout(() => events.ended(LOST, "", false), 0);
      }
    },
    reconnect() {
      if (isOver || closing !== undefined) return;
      if (isResumable) connect();
      else lose(LOST, RESUMES_NONE);
    },
    setBinaryType(type) {
      binaryType = type;
      if (socket !== undefined) socket.binaryType = type;
    },
    get bufferedAmount() {
      return isReady ? (socket?.bufferedAmount ?? 0) : copies.bytes;
    },
    get spoken() {
      return spoken;
    },
  };
}
