import type { Close, Side } from "./close-codes.ts";
import { newFlow, type Flow, type FlowLimits } from "./flow.ts";
import type { Line } from "./line.ts";
import { AWAY } from "./own-closes.ts";
import type { PassedMessage } from "./resume/ring.ts";

/** One of the two sides that a bridge joins. */
export interface Leg {
  readonly side: Side;
  readonly line: Line;
  readonly flow: Flow;
  /** What it has said and the other side has not been told. */
  readonly queue: (PassedMessage & { readonly at: number })[];
  /** A Close frame came from it, or it is lost. */
  isOver: boolean;
  /** It has been told that it is closed. */
  isTold: boolean;
  /** What the other side is told when the queue is empty. */
  last: Close | undefined;
  /** What it is answered, should the other side not answer in time. */
  answer: Close;
  timer: ReturnType<typeof setTimeout> | null;
  lastAt: number | null;
  /** Bytes that came after it was told that the session is closed. */
  ignored: number;
}

/** A side that has said nothing yet. */
export function newLeg(side: Side, line: Line, limits: FlowLimits, now: number): Leg {
  return {
    side,
    line,
    flow: newFlow(limits, now),
    queue: [],
    isOver: false,
    isTold: false,
    last: undefined,
    answer: AWAY,
    timer: null,
    lastAt: null,
    ignored: 0,
  };
}
