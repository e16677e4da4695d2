import { LOST, relayClose, type Close } from "../close-codes.ts";
import { sizeOf } from "../bridge.ts";
import { closeSocket } from "../close-socket.ts";
import { isRefused, type Dialled } from "../dial.ts";
import { admit, costOf, newFlow, release, waitMs } from "../flow.ts";
import { socketLine } from "../line.ts";
import type { Opening } from "../opening.ts";
import { AWAY, TOO_LARGE, TOO_MANY, TOO_MUCH } from "../own-closes.ts";
import type { SharedTerms } from "../mode-terms.ts";
import { tallyRelayed } from "../tally.ts";
import { countReconnect, tallyOf } from "../told-counts.ts";

type Open = Dialled & { readonly kind: "open" };

/** What a channel is made of. */
export interface ChannelTerms {
  readonly opening: Opening;
  readonly shared: SharedTerms;
  readonly dial: () => Promise<Dialled>;
  /** A message for everyone, of so many bytes. */
  readonly deliver: (message: string | ArrayBuffer, bytes: number, now: number) => void;
  /** It is over, and what everyone is to be told. Called once, if it was ever open. */
  readonly ended: (by: "upstream" | "gateway", code: number, close: Close) => void;
}

/** The one upstream connection of many clients. */
export interface Channel {
  /** What came of the first dial. */
  readonly opened: Promise<Dialled>;
  readonly isOver: boolean;
  /** Whether its connection is lost, and dialled again. */
  readonly isLost: boolean;
  readonly target: string | null;
  /** False: it has no room for what its clients say. */
  send(message: string | ArrayBuffer, bytes: number): boolean;
  /** Ends it when nobody is left. */
  leave(): void;
}

const NOBODY: Close = { code: 1001, reason: "no client left" };
const LOST_FOR_GOOD: Close = { code: 1014, reason: "upstream lost" };

/** Ends after which an upstream may come back: lost, going away, restarting, overloaded. */
const COMES_BACK: ReadonlySet<number> = new Set([LOST, 1001, 1012, 1013]);
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5_000;
const GIVE_UP_MS = 30_000;
/** Of what clients say while there is no upstream. */
const MAX_WAITING_BYTES = 262_144;

/** Dials the upstream, and passes on what it says, by its byte budget: beyond it messages wait. */
export function openChannel({ opening, shared, dial, deliver, ended }: ChannelTerms): Channel {
  const flow = newFlow(opening.fromUpstream, Date.now());
  // The bytes of all clients together: one upstream reads them.
  const limits = { ...opening.fromClient, messagesPerSecond: null, maxBuffered: 0 };
  const outward = newFlow(limits, Date.now());
  const queue: { readonly message: string | ArrayBuffer; readonly bytes: number; readonly at: number }[] = [];
  const { route } = opening;
  const tally = tallyOf(route);
  const waiting: (string | ArrayBuffer)[] = [];
  let waitingBytes = 0;
  let timer: ReturnType<typeof setTimeout> | null = null;
  let leg: Open | undefined;
  let isLost = false;
  let joinedAt = 0;
  let delayMs = FIRST_DELAY_MS;
  /** Since when there is none that does anything. */
  let failingSince: number | undefined;
  let isOver = false;
  let isLeft = false;
  /** What clients were told that is spoken. */
  let protocol: string | null = null;

  async function open(): Promise<Dialled> {
    try {
      const dialled = await dial();
      if (dialled.kind === "open") {
        protocol = protocolOf(dialled);
        join(dialled);
      } else isOver = true;
      return dialled;
    } catch (error) {
      isOver = true;
      throw error;
    }
  }

  function join(dialled: Open): void {
    leg = dialled;
    isLost = false;
    joinedAt = Date.now();
    socketLine(dialled.socket).open(heard, (code, reason) => closed(dialled, code, reason));
    if (isLeft) return leave();
    for (const message of waiting.splice(0)) dialled.socket.send(message);
    waitingBytes = 0;
  }

  function heard(message: string | ArrayBuffer): void {
    if (isOver) return;
    failingSince = undefined;
    const now = Date.now();
    const bytes = sizeOf(message);
    const verdict = admit(flow, bytes, now);
    switch (verdict) {
      case "send":
        tallyRelayed(tally, 0);
        return deliver(message, bytes, now);
      case "wait":
        return wait(message, bytes, now);
      case "too-large":
        return shut(TOO_LARGE, AWAY);
      case "too-many":
        return shut(TOO_MANY, AWAY);
      case "too-much":
        if (shared.overflow === "close") return shut(TOO_MUCH, TOO_MUCH);
        flow.buffered += costOf(bytes);
        wait(message, bytes, now);
        while (flow.buffered > flow.limits.maxBuffered) flow.buffered -= costOf(queue.shift()?.bytes ?? 0);
    }
  }

  function wait(message: string | ArrayBuffer, bytes: number, at: number): void {
    queue.push({ message, bytes, at });
    timer ??= setTimeout(drain, waitMs(flow));
  }

  function drain(): void {
    timer = null;
    const now = Date.now();
    for (let next = queue[0]; next !== undefined; next = queue[0]) {
      if (!release(flow, next.bytes, now)) {
        timer = setTimeout(drain, waitMs(flow));
        return;
      }
      queue.shift();
      tallyRelayed(tally, now - next.at);
      deliver(next.message, next.bytes, now);
    }
  }

  function closed(of: Open, code: number, reason: string): void {
    if (leg !== of) return;
    leg = undefined;
    const { own, other } = relayClose("upstream", code, reason);
    closeSocket(of.socket, own ?? (code === LOST ? {} : other));
    if (isOver) return;
    if (!shared.reconnect || !COMES_BACK.has(code)) return finish("upstream", code, other);
    isLost = true;
    const now = Date.now();
    // One that takes connections and lets them go at once is not back.
    if (now - joinedAt >= LONGEST_DELAY_MS) [delayMs, failingSince] = [FIRST_DELAY_MS, undefined];
    failingSince ??= now;
    again();
  }

  function again(): void {
    if (Date.now() - (failingSince ?? Infinity) > GIVE_UP_MS) {
      countReconnect(route, "gave-up");
      return finish("upstream", LOST, LOST_FOR_GOOD);
    }
    // All who share a failed upstream would be back at the same moment.
    setTimeout(() => void redial(), delayMs * (0.5 + Math.random() / 2));
    delayMs = Math.min(LONGEST_DELAY_MS, 2 * delayMs);
  }

  async function redial(): Promise<void> {
    if (isOver || !isLost) return;
    const dialled = await dial().catch(() => undefined);
    if (dialled?.kind === "open") {
      if (!isOver && protocolOf(dialled) === protocol) {
        countReconnect(route, "open");
        return join(dialled);
      }
      dialled.cut();
    }
    if (isOver) return;
    const isNotWanted = isRefused(dialled);
    countReconnect(route, isNotWanted ? "refused" : "failed");
    if (isNotWanted) return finish("upstream", LOST, LOST_FOR_GOOD);
    again();
  }

  function shut(own: Close, others: Close): void {
    if (isOver) return;
    if (leg !== undefined) part(leg, own);
    finish("gateway", own.code ?? LOST, others);
  }

  /** Closes the connection; it is dropped when its peer does not answer. */
  function part(of: Open, close: Close): void {
    closeSocket(of.socket, close);
    const late = setTimeout(of.cut, opening.closeMs);
    of.socket.addEventListener("close", () => clearTimeout(late));
  }

  function finish(by: "upstream" | "gateway", code: number, close: Close): void {
    // What came before the end is delivered before it.
    for (const { message, bytes } of queue.splice(0)) deliver(message, bytes, Date.now());
    isOver = true;
    clearTimeout(timer);
    ended(by, code, close);
  }

  function leave(): void {
    isLeft = true;
    if (isOver || (leg === undefined && !isLost)) return;
    isOver = true;
    clearTimeout(timer);
    if (leg !== undefined) part(leg, NOBODY);
  }

  return {
    opened: open(),
    get isOver() {
      return isOver || isLeft;
    },
    get isLost() {
      return isLost;
    },
    get target() {
      return leg?.target ?? null;
    },
    send(message, bytes) {
      if (isOver) return true;
      if (leg === undefined) {
        waitingBytes += costOf(bytes);
        if (waitingBytes > MAX_WAITING_BYTES) return false;
        waiting.push(message);
        return true;
      }
      if (admit(outward, bytes, Date.now()) === "too-much") return false;
      leg.socket.send(message);
      return true;
    },
    leave,
  };
}

function protocolOf({ headers }: Open): string | null {
  return headers.get("sec-websocket-protocol");
}
