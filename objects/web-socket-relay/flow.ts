/** What one side may send, as `MessageLimits` of the configuration says. Null: any rate; it travels as JSON. */
export interface FlowLimits {
  readonly maxMessage: number;
  readonly messagesPerSecond: number | null;
  readonly messageBurst: number;
  readonly bytesPerSecond: number | null;
  readonly byteBurst: number;
  /** Bytes that wait while `bytesPerSecond` is used up. */
  readonly maxBuffered: number;
}

/** What one side has sent, and what it may. Changed in place: every message passes here. */
export interface Flow {
  readonly limits: FlowLimits;
  messages: number;
  bytes: number;
  /** Bytes that wait. */
  buffered: number;
  messageTokens: number;
  /** Below 0 after a message that is larger than what was left: it passed on credit. */
  byteTokens: number;
  refilledAt: number;
}

/** What becomes of a message: it is sent, waits its turn, or ends the session. */
export type Verdict = "send" | "wait" | "too-large" | "too-many" | "too-much";

/** In the runtime's queue a message of one byte takes 2 KiB: a burst of 8 MiB of such were more than an isolate has. */
const LEAST_BYTES = 256;

/** What a message counts as against a budget of bytes. */
export function costOf(bytes: number): number {
  return Math.max(bytes, LEAST_BYTES);
}

/** A side that has sent nothing yet. */
export function newFlow(limits: FlowLimits, now: number): Flow {
  const { messageBurst, byteBurst } = limits;
  return {
    limits,
    messages: 0,
    bytes: 0,
    buffered: 0,
    messageTokens: messageBurst,
    byteTokens: byteBurst,
    refilledAt: now,
  };
}

/**
 * Decides about a message of so many bytes. There is no backpressure between the two sockets of an object, and no way to see what
 * waits in the runtime's own queue: 187 MiB to a peer that reads nothing were 187 MiB of memory. So bytes have a budget; what is over it
 * waits here, up to `maxBuffered`.
 */
export function admit(flow: Flow, bytes: number, now: number): Verdict {
  const { limits } = flow;
  if (bytes > limits.maxMessage) return "too-large";
  refill(flow, now);
  if (limits.messagesPerSecond !== null) {
    if (flow.messageTokens < 1) return "too-many";
    flow.messageTokens -= 1;
  }
  flow.messages += 1;
  flow.bytes += bytes;
  if (limits.bytesPerSecond === null) return "send";
  const cost = costOf(bytes);
  if (flow.buffered === 0 && flow.byteTokens > 0) {
    flow.byteTokens -= cost;
    return "send";
  }
  if (flow.buffered + cost > limits.maxBuffered) return "too-much";
  flow.buffered += cost;
  return "wait";
}

/** Lets a message of so many bytes go that has waited, when its turn has come. */
export function release(flow: Flow, bytes: number, now: number): boolean {
  refill(flow, now);
  if (flow.byteTokens <= 0) return false;
  const cost = costOf(bytes);
  flow.byteTokens -= cost;
  flow.buffered -= cost;
  return true;
}

/** How long until something that waits may go, in ms. */
export function waitMs({ limits, byteTokens }: Flow): number {
  return limits.bytesPerSecond === null ? 0 : Math.max(1, Math.ceil((-byteTokens * 1_000) / limits.bytesPerSecond) + 1);
}

/** A clock that steps back grants nothing. */
function refill(flow: Flow, now: number): void {
  const { limits } = flow;
  const seconds = Math.max(0, now - flow.refilledAt) / 1_000;
  flow.refilledAt = now;
  if (seconds === 0) return;
  flow.messageTokens = Math.min(limits.messageBurst, flow.messageTokens + seconds * (limits.messagesPerSecond ?? 0));
  flow.byteTokens = Math.min(limits.byteBurst, flow.byteTokens + seconds * (limits.bytesPerSecond ?? 0));
}
