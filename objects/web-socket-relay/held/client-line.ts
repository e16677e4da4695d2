import { IN_FLIGHT, sizeOf } from "../bridge.ts";
import { LOST, NO_CODE, type Close } from "../close-codes.ts";
import { costOf } from "../flow.ts";
import { socketLine, type Line } from "../line.ts";
import { CONTROL_PREFIX, controlFrame, escapeText, readText, type ControlFrame } from "../resume/control-frames.ts";
import { COME_BACK, SUPERSEDED } from "../resume/resume-rules.ts";
import type { PassedMessage } from "../resume/ring.ts";
import type { Attached, ResumeSession } from "../resume/resume-session.ts";
import { endsSession } from "../resume/session.ts";
import type { HeldTerms } from "./held-terms.ts";

/** The client of a session that is held: one line over as many connections as it takes. */
export interface ClientLine extends Line {
  /** Takes a connection in, in place of the one before, and sends what the client has missed. */
  attach(socket: WebSocket, attached: LineConnection): void;
  /** Says something that is no message, where client and gateway have agreed on that. */
  tell(frame: ControlFrame): void;
  /** Asks the client to come back, or waits for one that is away; false: it cannot come back. */
  sendAway(reason: string): boolean;
  /** Waited for in vain. */
  expire(): void;
  /** Waits no longer for its answer to the end of the session, which it may not have heard of; false: it cannot come back for it. */
  leave(): boolean;
  /** Messages of it that counted. */
  readonly arrived: number;
  /** Connections that were taken over and are not closed. */
  readonly leaving: number;
  /** Of what it had missed and was sent on those, who may not have read it. */
  readonly leavingBytes: number;
  /** How the session ended, until the client has answered that: it may come back without having heard of it. */
  readonly last: Close | undefined;
  /** Whether it has answered that. */
  readonly hasHeard: boolean;
}

/** A connection that counts from now on. */
export interface LineConnection extends Pick<Attached, "connection" | "replay"> {
  /** Whether `hello` comes first on it, as it does wherever there are control frames. */
  readonly hello: boolean;
}

/** What a client's line needs of its session. */
export interface ClientLineTerms {
  readonly resume: ResumeSession;
  readonly held: HeldTerms;
  /** Bytes that wait for a client whose acks are missing. */
  readonly maxBuffered: number;
  /** Something was counted. */
  settle(now: number): void;
  /** The client is gone, or back. */
  changed(): void;
  /** More came than can be kept for it. */
  overflow(): void;
  /** A connection that does not count any more goes on sending. */
  drop(): void;
}

/** Of a client's frame beside what it says, at least: a kernel's buffers may be full of frames that say nothing. */
const FRAME_BYTES = 6;

/** Control frames of a connection that say nothing new: no limit of messages is for them. */
const MOST_VAIN = 256;

/** A connection that is not closed and does not count, in bytes. */
interface Left {
  /** What it was sent to begin with. */
  readonly replayed: number;
  /** What came on it since. */
  ignored: number;
}

/** Makes the line; nobody is connected yet. */
export function createClientLine(terms: ClientLineTerms): ClientLine {
  const { resume, held, maxBuffered } = terms;
  const { control } = held;
  const leaving = new Map<Line, Left>();
  const unsent: PassedMessage[] = [];
  let unsentBytes = 0;
  let current: Line | undefined;
  /** Of what it was sent to begin with. */
  let replayed = 0;
  let vain = 0;
  let arrived = 0;
  let last: Close | undefined;
  let hasHeard = false;
  let isOver = false;
  let heard: Parameters<Line["open"]>[0] = () => undefined;
  let over: Parameters<Line["open"]>[1] = () => undefined;

  function end(code: number, reason: string): void {
    if (isOver) return;
    isOver = true;
    over(code, reason);
  }

  function take(line: Line, connection: number, data: string | ArrayBuffer): void {
    let message = data;
    if (control && typeof data === "string" && data.startsWith(CONTROL_PREFIX)) {
      const read = readText(data);
      if (line !== current) return;
      if (read === undefined) return end(0, "");
      if ("frame" in read) return obey(read.frame);
      message = read.data;
    }
    const now = Date.now();
    if (!resume.fromClient(connection, now)) return ignore(line, message);
    arrived += 1;
    heard(message);
    terms.settle(now);
  }

  function ignore(line: Line, message: string | ArrayBuffer): void {
    const left = leaving.get(line);
    if (left === undefined) return;
    left.ignored += FRAME_BYTES + sizeOf(message);
    if (left.ignored > IN_FLIGHT) terms.drop();
  }

  /** Nothing counts on it any more, and it is not closed yet. */
  function part(line: Line, close: Close): void {
    leaving.set(line, { replayed, ignored: 0 });
    line.close(close);
  }

  function obey(frame: ControlFrame): void {
    if (frame.kind !== "ack" || !resume.acked(frame.n)) {
      vain += 1;
      if (vain > MOST_VAIN) end(0, "");
      return;
    }
    drain();
    tellLast();
  }

  function lost(line: Line, connection: number, code: number, reason: string): void {
    if (leaving.delete(line) || line !== current) return;
    const hasAnswered = last !== undefined && code !== LOST;
    if (held.owner === null || hasAnswered || resume.state === "over" || endsSession(code, held)) {
      last = undefined;
      hasHeard ||= hasAnswered;
      resume.end();
      return end(code, reason);
    }
    current = undefined;
    if (code !== LOST) line.close({ code });
    const now = Date.now();
    resume.detach(connection, now);
    drain();
    // As if it had answered: there is nobody to wait for.
    if (last !== undefined) return end(last.code ?? NO_CODE, "");
    terms.changed();
    terms.settle(now);
  }

  /** What waits for acks goes on when there is room, or into the ring when nobody is connected. */
  function drain(): void {
    for (let next = unsent[0]; next !== undefined && !resume.isWindowFull; next = unsent[0]) {
      unsent.shift();
      unsentBytes -= costOf(next.bytes);
      pass(next);
    }
  }

  /** The end comes after all that waits for acks. */
  function tellLast(): void {
    if (last !== undefined && unsent.length === 0) current?.close(last);
  }

  function pass(message: PassedMessage): void {
    const now = Date.now();
    const fate = resume.toClient(message, now);
    if (fate === "overflow") return terms.overflow();
    // One that has closed may still be told what the upstream says until that closes too.
    if (fate !== "held") say(message.data);
    terms.settle(now);
  }

  function say(data: string | ArrayBuffer): void {
    try {
      current?.send(control && typeof data === "string" ? escapeText(data) : data, 0);
    } catch {
      // It is gone, which its own events tell; the message is in the ring.
    }
  }

  function tell(frame: ControlFrame): void {
    try {
      current?.send(controlFrame(frame), 0);
    } catch {
      // As above.
    }
  }

  return {
    open(onMessage, onOver) {
      heard = onMessage;
      over = onOver;
    },
    send(data, bytes) {
      const message = { data, bytes };
      if (unsent.length === 0 && !resume.isWindowFull) return pass(message);
      unsent.push(message);
      unsentBytes += costOf(bytes);
      if (unsentBytes > maxBuffered) terms.overflow();
    },
    close(close, isOrderly = false) {
      // It has said so itself, or was waited for in vain: no ack comes any more.
      if (isOver) resume.end();
      else last = close;
      if (isOver || !isOrderly) {
        for (const { data } of unsent.splice(0)) if (isOrderly) say(data);
        unsentBytes = 0;
        if (current !== undefined) return current.close(close);
      }
      if (current !== undefined) return tellLast();
      // As above, once whoever says so is done.
      queueMicrotask(() => end(close.code ?? NO_CODE, ""));
    },
    attach(socket, { connection, replay, hello }) {
      const line = socketLine(socket);
      const before = current;
      line.open(
        (data) => take(line, connection, data),
        (code, reason) => lost(line, connection, code, reason),
      );
      current = line;
      if (before !== undefined) part(before, { code: SUPERSEDED, reason: "another connection has taken over" });
      [replayed, vain] = [0, 0];
      if (control || hello) {
        const { epoch, recv, restarts } = resume.status();
        tell({ kind: "hello", epoch, recv, restarts });
      }
      for (const { data, bytes } of replay) {
        replayed += bytes;
        say(data);
      }
      drain();
      tellLast();
    },
    tell,
    sendAway(reason) {
      const line = current;
      if (held.owner === null || last !== undefined || isOver) return false;
      if (line === undefined) return true;
      lost(line, resume.connection, LOST, "");
      part(line, { code: COME_BACK, reason });
      return true;
    },
    expire: () => end(LOST, ""),
    leave() {
      const line = current;
      if (line === undefined || held.owner === null || last === undefined) return false;
      lost(line, resume.connection, LOST, "");
      // Should it live, and only be slow.
      part(line, { code: COME_BACK, reason: "the rest waits" });
      return true;
    },
    get arrived() {
      return arrived;
    },
    get leaving() {
      return leaving.size;
    },
    get leavingBytes() {
      return [...leaving.values()].reduce((sum, left) => sum + left.replayed, 0);
    },
    get last() {
      return last;
    },
    get hasHeard() {
      return hasHeard;
    },
  };
}
