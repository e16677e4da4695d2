import { LOST, relayClose, type Close, type Side } from "./close-codes.ts";
import { admit, release, waitMs, type Flow, type FlowLimits } from "./flow.ts";
import { newLeg, type Leg } from "./leg.ts";
import type { Line } from "./line.ts";
import { AWAY, TOO_LARGE, TOO_MANY, TOO_MUCH } from "./own-closes.ts";
import type { PassedMessage } from "./resume/ring.ts";

/** What a bridge joins, and by which limits. */
export interface BridgeTerms {
  /** Neither is open yet. */
  readonly client: Line;
  readonly upstream: Line;
  readonly fromClient: FlowLimits;
  readonly fromUpstream: FlowLimits;
  /** How long a side may take to answer a close. */
  readonly closeMs: number;
  /** Drops a side's connection, which has not answered. */
  drop(side: Side): void;
  /** A message passes, or begins to wait. */
  seen(from: Side, message: PassedMessage, now: number): void;
  /** A message goes on, after so long. */
  relayed(ms: number): void;
  /** Both sides are closed, or dropped. Called once. */
  ended(end: BridgeEnd): void;
}

/** Who ended a session, and what was said first. */
export interface BridgeEnd {
  readonly by: Side | "gateway";
  readonly code: number;
  /** Which limit ended it, if one did. */
  readonly why?: "rateLimited" | "budgetClosed";
}

/** Two lines that say to each other what they say. */
export interface Bridge {
  readonly fromClient: Flow;
  readonly fromUpstream: Flow;
  /** When either said something last, or it began, in ms since the epoch. */
  lastAt(): number;
  /** When one side said something last; null: it has not yet. */
  lastFrom(side: Side): number | null;
  isClosing(): boolean;
  /** What was said first when it began to end; null: it has not. */
  closeCode(): number | null;
  /** Ends the session from the middle, with what each side is to be told. Again, or when it has ended, changes nothing. */
  close(client: Close, upstream?: Close): void;
  /** Says something to the client, in its place among what the upstream says. */
  sendToClient(message: string | ArrayBuffer): "done" | "gone" | "full";
  /** Forgets what the client has said and waits for its turn. */
  forgetWaiting(): void;
}

const FAILED: Close = { code: 1011, reason: "the gateway failed" };

/** What a message costs beside its bytes. */
const MESSAGE_BYTES = 256;
/** What a side may have on its way that cannot know yet: the buffers of two kernels. */
export const IN_FLIGHT = 8 * 2 ** 20;

/** A client that answers no close delays what its upstream is told for so long. */
const CLIENT_FIRST_MS = 500;

const encoder = new TextEncoder();
/** Up to here a loop is faster than the encoder. */
const SHORT = 256;

/**
 * Joins two lines message by message. Text stays text, order is kept each way, and after a Close frame the other direction goes on
 * until that side closes too. Handlers never wait: messages of one socket would overtake each other.
 */
export function bridge(terms: BridgeTerms): Bridge {
  const { closeMs } = terms;
  let lastAt = Date.now();
  let end: BridgeEnd | undefined;
  let isFinished = false;
  let deadline: ReturnType<typeof setTimeout> | null = null;
  /** What the upstream is told when the client has answered, or has had its time. */
  let afterClient: Close | undefined;
  const client = newLeg("client", terms.client, terms.fromClient, lastAt);
  const upstream = newLeg("upstream", terms.upstream, terms.fromUpstream, lastAt);

  function listen(from: Leg, to: Leg): void {
    from.line.open(
      (data) => heard(from, to, data),
      (code, reason) => over(from, to, code, reason),
    );
  }

  function heard(from: Leg, to: Leg, data: string | ArrayBuffer): void {
    const bytes = sizeOf(data);
    if (end?.by === "gateway") return ignore(from, data, bytes);
    lastAt = Date.now();
    from.lastAt = lastAt;
    const verdict = admit(from.flow, bytes, lastAt);
    switch (verdict) {
      case "send":
      case "wait": {
        const message = { data, bytes };
        terms.seen(from.side, message, lastAt);
        return pass(from, to, message, verdict);
      }
      case "too-large":
        return refuse(from, TOO_LARGE, AWAY);
      case "too-many":
        return refuse(from, TOO_MANY, AWAY, "rateLimited");
      case "too-much":
        return refuse(from, TOO_MUCH, TOO_MUCH, "budgetClosed");
    }
  }

  /**
   * Who goes on speaking to a closed session is not read for long: 187 MiB so were 194 MiB of memory. He may not have been told: the
   * runtime writes nothing while there is something to read at once. What is binary can be let go here and now, and is read for as long
   * as a close may take; a text stays until the collector comes.
   */
  function ignore(from: Leg, data: string | ArrayBuffer, bytes: number): void {
    if (typeof data !== "string") data.transfer(0);
    from.ignored += MESSAGE_BYTES + (typeof data === "string" ? bytes : 0);
    if (from.ignored <= IN_FLIGHT) return;
    // A client goes with everything else that there is.
    if (from.side === "client") force();
    else terms.drop("upstream");
  }

  function pass(from: Leg, to: Leg, message: PassedMessage, verdict: "send" | "wait"): void {
    if (verdict === "send") {
      terms.relayed(0);
      return say(to, message);
    }
    from.queue.push({ ...message, at: Date.now() });
    from.timer ??= setTimeout(drain, waitMs(from.flow), from, to);
  }

  function say(to: Leg, { data, bytes }: PassedMessage): void {
    if (to.isTold) return;
    try {
      to.line.send(data, bytes);
    } catch (error) {
      // No path may leave one side open that the other has lost.
      console.error(JSON.stringify({ level: "error", message: "web-socket-send", error: String(error) }));
      shut(FAILED, FAILED);
    }
  }

  function drain(from: Leg, to: Leg): void {
    const { flow, queue } = from;
    from.timer = null;
    const now = Date.now();
    for (let next = queue[0]; next !== undefined; next = queue[0]) {
      if (!release(flow, next.bytes, now)) {
        from.timer = setTimeout(drain, waitMs(flow), from, to);
        return;
      }
      queue.shift();
      terms.relayed(now - next.at);
      say(to, next);
    }
    if (from.last !== undefined) tell(to, from.last, true);
    finishIfOver();
  }

  function refuse(from: Leg, violator: Close, peer: Close, why?: BridgeEnd["why"]): void {
    shut(from.side === "client" ? violator : peer, from.side === "client" ? peer : violator, why);
  }

  function shut(toClient: Close, toUpstream: Close, why?: BridgeEnd["why"]): void {
    if (end === undefined) begin({ by: "gateway", code: toClient.code ?? 1005, ...(why && { why }) });
    for (const leg of [client, upstream]) stopWaiting(leg);
    tell(client, toClient);
    tell(upstream, toUpstream);
  }

  function over(from: Leg, to: Leg, code: number, reason: string): void {
    if (from.isOver) return;
    from.isOver = true;
    if (afterClient !== undefined) tell(upstream, afterClient);
    begin({ by: from.side, code });
    const { own, other } = relayClose(from.side, code, reason);
    if (own !== undefined) tell(from, own);
    from.answer = other;
    // The other side was told first, and this is its answer; or it is the first to close, and has yet to be answered.
    if (from.queue.length > 0 && !to.isTold) from.last = other;
    else tell(to, other, true);
    finishIfOver();
  }

  function begin(first: BridgeEnd): void {
    if (end !== undefined) return;
    end = first;
    deadline = setTimeout(force, closeMs);
  }

  /** The client first: of many that are closed at once, all have their connection closed before any upstream's answer takes the time. */
  function closeInTurn(toClient: Close, toUpstream: Close): void {
    end = { by: "gateway", code: toClient.code ?? 1005 };
    for (const leg of [client, upstream]) stopWaiting(leg);
    tell(client, toClient);
    afterClient = toUpstream;
    const firstMs = Math.min(CLIENT_FIRST_MS, closeMs);
    deadline = setTimeout(() => {
      tell(upstream, toUpstream);
      deadline = setTimeout(force, closeMs - firstMs);
    }, firstMs);
  }

  /** Somebody has not answered: it is told what there is to be told, and dropped. */
  function force(): void {
    if (isFinished) return;
    for (const leg of [client, upstream]) {
      stopWaiting(leg);
      tell(leg, leg.answer);
      if (!leg.isOver) terms.drop(leg.side);
    }
    finish();
  }

  function tell(leg: Leg, close: Close, isOrderly = false): void {
    if (leg.isTold) return;
    leg.isTold = true;
    leg.line.close(close, isOrderly);
  }

  function stopWaiting(leg: Leg): void {
    clearTimeout(leg.timer);
    leg.timer = null;
    leg.queue.length = 0;
  }

  function finishIfOver(): void {
    if (client.isOver && upstream.isOver && client.queue.length + upstream.queue.length === 0) finish();
  }

  function finish(): void {
    if (isFinished) return;
    isFinished = true;
    clearTimeout(deadline);
    for (const leg of [client, upstream]) stopWaiting(leg);
    terms.ended(end ?? { by: "gateway", code: LOST });
  }

  listen(client, upstream);
  listen(upstream, client);
  return {
    fromClient: client.flow,
    fromUpstream: upstream.flow,
    lastAt: () => lastAt,
    lastFrom: (side) => (side === "client" ? client : upstream).lastAt,
    isClosing: () => end !== undefined,
    closeCode: () => end?.code ?? null,
    close(toClient, toUpstream = toClient) {
      if (end === undefined) closeInTurn(toClient, toUpstream);
    },
    sendToClient(message) {
      if (client.isTold || client.isOver) return "gone";
      const now = Date.now();
      const bytes = sizeOf(message);
      const verdict = admit(upstream.flow, bytes, now);
      if (verdict !== "send" && verdict !== "wait") return "full";
      const said = { data: message, bytes };
      terms.seen("upstream", said, now);
      pass(upstream, client, said, verdict);
      return "done";
    },
    forgetWaiting() {
      stopWaiting(client);
      client.flow.buffered = 0;
    },
  };
}

/** Bytes on the wire; a text is UTF-8 there. */
export function sizeOf(data: string | ArrayBuffer): number {
  if (typeof data !== "string") return data.byteLength;
  if (data.length > SHORT) return encoder.encode(data).byteLength;
  let bytes = data.length;
  for (let index = 0; index < data.length; index++) {
    const unit = data.charCodeAt(index);
    // A surrogate is half of four bytes.
    if (unit > 0x7f) bytes += unit > 0x7ff && (unit < 0xd800 || unit > 0xdfff) ? 2 : 1;
  }
  return bytes;
}
