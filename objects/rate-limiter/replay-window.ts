/** Which of one sender's numbered messages have been counted: `top` and the 31 below it, a bit each. */
export interface ReplayWindow {
  readonly sender: string;
  /** The highest number counted. */
  readonly top: number;
  /** Bit i: `top - i` has been counted. */
  readonly seen: number;
  /** When the last one was counted, in ms since the epoch. */
  readonly at: number;
}

/**
 * The runtime starts no retry of a call to an object later than 10 s after the first attempt; 30 s leaves room for
 * one that was slow on its way.
 */
const REMEMBERED_MS = 30_000;
/** A record stays small whatever the fleet does; one more sender is refused, which only loses tokens. */
const MAX_SENDERS = 64;
const WIDTH = 32;

/**
 * Counts message `seq` of `sender` once: the windows with it counted, or undefined when it must not count (seen
 * before, 32 or more behind the sender's newest, or 64 other senders were heard in the last 30 s).
 *
 * One word a sender rather than a list of ids, because refunds arrive as fast as requests do. The sliding window is
 * that of RFC 4303, section 3.4.3.
 */
export function countOnce(
  windows: readonly ReplayWindow[],
  sender: string,
  seq: number,
  now: number,
): readonly ReplayWindow[] | undefined {
  const others: ReplayWindow[] = [];
  let known: ReplayWindow | undefined;
  for (const window of windows) {
    if (now - window.at > REMEMBERED_MS) continue;
    if (window.sender === sender) known = window;
    if (window.sender !== sender) others.push(window);
  }
  if (known === undefined) {
    return others.length < MAX_SENDERS ? [...others, { sender, top: seq, seen: 1, at: now }] : undefined;
  }
  const moved = slide(known, seq);
  return moved === undefined ? undefined : [...others, { sender, ...moved, at: now }];
}

function slide({ top, seen }: ReplayWindow, seq: number): { top: number; seen: number } | undefined {
  const ahead = seq - top;
  if (ahead >= WIDTH) return { top: seq, seen: 1 };
  if (ahead > 0) return { top: seq, seen: ((seen << ahead) | 1) >>> 0 };
  if (-ahead >= WIDTH) return undefined;
  const bit = (1 << -ahead) >>> 0;
  if ((seen & bit) !== 0) return undefined;
  return { top, seen: (seen | bit) >>> 0 };
}
