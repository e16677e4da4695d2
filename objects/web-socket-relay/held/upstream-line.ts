import { LOST, type Close } from "../close-codes.ts";
import { isRefused, type Dialled } from "../dial.ts";
import { socketLine, type Line } from "../line.ts";
import type { PassedMessage } from "../resume/ring.ts";
import type { Reconnect } from "../told-counts.ts";
import type { ReconnectTerms } from "./held-terms.ts";
import { redialDelay } from "./redial-delay.ts";

/** The upstream of a session that is held: one line over as many connections as it takes. */
export interface UpstreamLine extends Line {
  /** Drops the connection, and dials no more. */
  cut(): void;
  /** Forgets what waits for it; so many of the client's messages count as passed on then. */
  forget(passed: number): void;
  /** How many of the client's messages were passed on. */
  readonly passed: number;
  readonly isAway: boolean;
  /** Whether what it was told first can be said to another. */
  readonly isRepeatable: boolean;
  /** How often it was lost, and has come back. */
  readonly reconnects: number;
  readonly target: string | null;
}

/** What came of a dial that was taken. */
export type OpenDial = Dialled & { readonly kind: "open" };

/** What an upstream's line needs of its session. */
export interface UpstreamLineTerms {
  readonly reconnect: ReconnectTerms | null;
  /** The first messages that were passed on, to be said again; grows. */
  readonly firsts: PassedMessage[];
  readonly mostFirsts: number;
  /** Dials for the nth time. @param avoided the target that is to be left alone if there is another one; null: none. */
  redial(count: number, avoided: string | null): Promise<Dialled>;
  /** What has come of it. */
  redialled(outcome: Reconnect): void;
  /** The connection is lost, having been told so much since it said something last. */
  lost(unanswered: number): void;
  /** It is away, or back. */
  changed(): void;
  /** More waits for it than may. */
  overflow(): void;
}

/**
 * Who is told again who a client is may take a message before its answer for an intruder's (graphql-ws: 4401). One that has just
 * started takes its time; where no answer is expected none may come.
 */
const ANSWER_MS = 5_000;
const NO_ANSWER_MS = 1_000;
/** Of the first messages. Where there are more of them an origin that is lost is not dialled again, since it could not be told them. */
const MOST_FIRST_BYTES = 2 ** 20;

/** Makes the line of a connection that is open, on which nothing was said yet. */
export function createUpstreamLine(first: OpenDial, terms: UpstreamLineTerms): UpstreamLine {
  const { reconnect, firsts, mostFirsts } = terms;
  const protocol = first.headers.get("sec-websocket-protocol");
  const queue: PassedMessage[] = [];
  let queuedBytes = 0;
  let firstBytes = firsts.reduce((sum, { bytes }) => sum + bytes, 0);
  let isRepeatable = true;
  let passed = 0;
  let current: { readonly line: Line; readonly dialled: OpenDial } | undefined;
  /** Whether it was told the first messages again, and has not answered. */
  let isGreeted = false;
  /** Answers that the client has heard before. */
  let toSkip = 0;
  let target = first.target;
  let isCut = false;
  let isTold = false;
  /** What it is to be told when it is back. */
  let last: Close | undefined;
  let count = 0;
  let attempt = 0;
  let reconnects = 0;
  /** Messages that it was told since it said something last. */
  let unanswered = 0;
  let joinedAt = 0;
  /** Since when there is none that does anything. */
  let lostAt: number | undefined;
  let timer: ReturnType<typeof setTimeout> | null = null;
  let heard: Parameters<Line["open"]>[0] = () => undefined;
  let over: Parameters<Line["open"]>[1] = () => undefined;

  function join(dialled: OpenDial): void {
    const line = socketLine(dialled.socket);
    ({ target } = dialled);
    current = { line, dialled };
    joinedAt = Date.now();
    line.open(
      (data) => {
        if (current?.line !== line) return;
        lostAt = undefined;
        unanswered = 0;
        const isKnown = isGreeted && toSkip > 0;
        if (isKnown) toSkip -= 1;
        else heard(data);
        if (isGreeted && toSkip === 0) drain(line);
      },
      (code, reason) => lost(line, code, reason),
    );
    for (const { data, bytes } of firsts) line.send(data, bytes);
    isGreeted = firsts.length > 0;
    toSkip = reconnect?.skipAnswers ?? 0;
    if (isGreeted) timer = setTimeout(drain, toSkip > 0 ? ANSWER_MS : NO_ANSWER_MS, line);
    else drain(line);
  }

  function drain(line: Line): void {
    clearTimeout(timer);
    isGreeted = false;
    for (const message of queue.splice(0)) pass(line, message);
    queuedBytes = 0;
    if (last !== undefined) tell(line, last);
  }

  function pass(line: Line, message: PassedMessage): void {
    passed += 1;
    unanswered += 1;
    if (firsts.length < mostFirsts && isRepeatable) keep(message);
    line.send(message.data, message.bytes);
  }

  function keep(message: PassedMessage): void {
    firstBytes += message.bytes;
    isRepeatable = firstBytes <= MOST_FIRST_BYTES;
    if (isRepeatable) firsts.push(message);
    else firsts.length = 0;
  }

  function tell(line: Line, close: Close): void {
    isTold = true;
    line.close(close);
  }

  function lost(line: Line, code: number, reason: string): void {
    if (current?.line !== line) return;
    if (isTold || isCut || !isRepeatable || reconnect?.on.includes(code) !== true) return over(code, reason);
    if (code !== LOST) line.close({ code });
    clearTimeout(timer);
    terms.lost(unanswered);
    unanswered = 0;
    current = undefined;
    const now = Date.now();
    // One that takes sessions and lets them go at once is not back: it would be dialled for ever, and ever again at once.
    if (now - joinedAt >= reconnect.maxDelayMs) [attempt, lostAt] = [0, undefined];
    if (plan(reconnect)) terms.changed();
  }

  /** Whether it is dialled once more. */
  function plan(rules: ReconnectTerms): boolean {
    const now = Date.now();
    lostAt ??= now;
    const delayMs = redialDelay(rules, { attempt, awayMs: now - lostAt, chance: Math.random() });
    if (delayMs === null) {
      terms.redialled("gave-up");
      over(LOST, "");
      return false;
    }
    attempt += 1;
    timer = setTimeout(() => void again(rules), delayMs);
    return true;
  }

  async function again(rules: ReconnectTerms): Promise<void> {
    count += 1;
    // By turns the one that the balancer takes, which may be back by now, and another: some balancers take the same one always.
    const dialled = await terms.redial(count, attempt % 2 === 0 ? target : null).catch(() => undefined);
    const isOpen = dialled?.kind === "open";
    if (isCut) return isOpen ? dialled.cut() : undefined;
    // The client was told that one, and cannot be told another.
    const fits = isOpen && dialled.headers.get("sec-websocket-protocol") === protocol;
    if (fits) {
      reconnects += 1;
      terms.redialled("open");
      join(dialled);
      return terms.changed();
    }
    if (isOpen) dialled.cut();
    const isNotWanted = isOpen || isRefused(dialled);
    terms.redialled(isNotWanted ? "refused" : "failed");
    if (isNotWanted) return over(LOST, "");
    plan(rules);
  }

  return {
    open(onMessage, onOver) {
      heard = onMessage;
      over = onOver;
      join(first);
    },
    send(data, bytes) {
      const message = { data, bytes };
      if (current !== undefined && !isGreeted) return pass(current.line, message);
      queue.push(message);
      queuedBytes += bytes;
      const room = reconnect?.queue;
      if (room !== undefined && (queue.length > room.messages || queuedBytes > room.bytes)) terms.overflow();
    },
    close(close) {
      if (current === undefined || isGreeted) last = close;
      else tell(current.line, close);
    },
    cut() {
      isCut = true;
      clearTimeout(timer);
      current?.dialled.cut();
    },
    forget(count_) {
      queue.length = 0;
      queuedBytes = 0;
      passed = count_;
    },
    get passed() {
      return passed;
    },
    get reconnects() {
      return reconnects;
    },
    get isRepeatable() {
      return isRepeatable;
    },
    get isAway() {
      return current === undefined;
    },
    get target() {
      return target;
    },
  };
}
