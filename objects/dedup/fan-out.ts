/**
 * Who has read how far in one body that many read: bytes by number alone, the chunks themselves are the caller's. One list of chunks with a
 * place in it for each reader; `tee()` would keep everything for the slowest of them.
 */
export interface FanOut {
  /** Bytes that have come. */
  readonly total: number;
  /** Bytes that are kept no more. */
  readonly freed: number;
  /** What each reader has read. */
  readonly readers: ReadonlyMap<number, number>;
  /** Whether somebody may still join, so that everything is kept. */
  readonly isAdmitting: boolean;
  /** Whether nobody is broken off for being behind: it has all come, and costs no more the longer it is kept. */
  readonly isPatient: boolean;
}

/** What became of the readers of a body. */
export interface FanOutStep {
  readonly fanOut: FanOut;
  /** Those too far behind: they hold what everybody else is done with, and are broken off. */
  readonly cut: readonly number[];
}

/** A reader further behind the fastest than this is broken off once the body isn't kept whole. */
export const MAX_LAG_BYTES = 4 << 20;

/** A body of which nothing has come. */
export const NEW_FAN_OUT: FanOut = { total: 0, freed: 0, readers: new Map(), isAdmitting: true, isPatient: false };

/** Lets somebody read from the first byte on; undefined where that isn't kept any more. */
export function joinFanOut(fanOut: FanOut, reader: number): FanOut | undefined {
  if (!fanOut.isAdmitting || fanOut.freed > 0) return undefined;
  return { ...fanOut, readers: new Map(fanOut.readers).set(reader, 0) };
}

/** More has come. */
export function addToFanOut(fanOut: FanOut, bytes: number): FanOutStep {
  return settle({ ...fanOut, total: fanOut.total + bytes });
}

/** Somebody has read more; never more than there is. */
export function readFromFanOut(fanOut: FanOut, reader: number, bytes: number): FanOutStep {
  const read = fanOut.readers.get(reader);
  if (read === undefined) return { fanOut, cut: [] };
  const readers = new Map(fanOut.readers).set(reader, Math.min(fanOut.total, read + bytes));
  return settle({ ...fanOut, readers });
}

/** Somebody has gone. */
export function leaveFanOut(fanOut: FanOut, reader: number): FanOutStep {
  const readers = new Map(fanOut.readers);
  readers.delete(reader);
  return settle({ ...fanOut, readers });
}

/** Nobody may join any more: what all have read is freed from now on. @param isPatient waits for the slowest, too. */
export function closeFanOut(fanOut: FanOut, isPatient = false): FanOutStep {
  return settle({ ...fanOut, isAdmitting: false, isPatient });
}

function settle(fanOut: FanOut): FanOutStep {
  if (fanOut.isAdmitting) return { fanOut, cut: [] };
  const cut: number[] = [];
  const readers = new Map(fanOut.readers);
  // Not behind what has come: one who reads alone is behind nobody.
  const furthest = Math.max(0, ...readers.values());
  for (const [reader, read] of fanOut.readers) {
    if (fanOut.isPatient || furthest - read <= MAX_LAG_BYTES) continue;
    cut.push(reader);
    readers.delete(reader);
  }
  const slowest = Math.min(fanOut.total, ...readers.values());
  return { fanOut: { ...fanOut, readers, freed: Math.max(fanOut.freed, slowest) }, cut };
}
