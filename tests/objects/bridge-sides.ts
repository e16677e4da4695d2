import { bridge, type Bridge, type BridgeTerms } from "../../objects/web-socket-relay/bridge.ts";
import type { Close } from "../../objects/web-socket-relay/close-codes.ts";
import type { FlowLimits } from "../../objects/web-socket-relay/flow.ts";
import type { Line } from "../../objects/web-socket-relay/line.ts";

export const CLOSE_MS = 5_000;

/** Everything passes. */
export const ANY: FlowLimits = {
  maxMessage: 100_000_000,
  messagesPerSecond: null,
  messageBurst: 0,
  bytesPerSecond: null,
  byteBurst: 0,
  maxBuffered: 0,
};

/** A line whose other end is the test's. */
export interface Side extends Line {
  /** Messages and closes; one that comes after all that was said before is `orderly`. */
  readonly told: unknown[];
  say(data: string | ArrayBuffer): void;
  end(code: number, reason?: string): void;
}

function side(): Side {
  let say: (data: string | ArrayBuffer) => void = () => undefined;
  let end: (code: number, reason: string) => void = () => undefined;
  const told: unknown[] = [];
  return {
    told,
    open(heard, over) {
      [say, end] = [heard, over];
    },
    send: (data) => void told.push(data),
    close: (close, isOrderly = false) => void told.push(isOrderly ? orderly(close) : close),
    say: (data) => say(data),
    end: (code, reason = "") => end(code, reason),
  };
}

/** A close that comes after all that was said before. */
export function orderly(close: Close): object {
  return { ...close, isOrderly: true };
}

/** Two sides that are joined, and what the bridge did. */
export interface Joined {
  readonly client: Side;
  readonly upstream: Side;
  readonly joined: Bridge;
  /** What was dropped, and how it ended. */
  readonly ends: unknown[];
  /** What passed or began to wait, and from where. */
  readonly seen: unknown[];
  readonly relayed: number[];
}

export function join(
  changes: Partial<Pick<BridgeTerms, "fromClient" | "fromUpstream" | "closeMs" | "drop">> = {},
): Joined {
  const [client, upstream] = [side(), side()];
  const [ends, seen, relayed]: [unknown[], unknown[], number[]] = [[], [], []];
  const joined = bridge({
    client,
    upstream,
    fromClient: ANY,
    fromUpstream: ANY,
    closeMs: CLOSE_MS,
    drop: (which) => ends.push(`drop ${which}`),
    seen: (from, message, now) => seen.push([from, message, now]),
    relayed: (ms) => relayed.push(ms),
    ended: (end) => ends.push(end),
    ...changes,
  });
  return { client, upstream, joined, ends, seen, relayed };
}
