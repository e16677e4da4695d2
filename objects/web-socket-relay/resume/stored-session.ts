import type { PassedMessage, Ring } from "./ring.ts";
import { FLUSH_BYTES, FLUSH_MS } from "./resume-rules.ts";

/** What is stored of a session besides its messages. */
export interface SessionRecord {
  readonly epoch: string;
  readonly owner: string;
  /** When it was opened first, in ms since 1970; null: whoever wrote it did not say. */
  readonly openedAt: number | null;
  /** Messages of the client that have come. */
  readonly recv: number;
  readonly restarts: number;
  /** Restored, and not asked for since: those that came after this message have numbers for the time being. */
  readonly restoredTo: number | null;
  /** The number of the oldest message that is kept. */
  readonly first: number;
  readonly savedAt: number;
}

/** A session as it is read back. */
export interface StoredSession extends SessionRecord {
  /** From `first` on. */
  readonly messages: readonly PassedMessage[];
}

/** One batch to write, in one transaction. */
export interface Flush {
  readonly record: SessionRecord;
  /** Whether all messages that are stored are to be forgotten first: their numbers have changed. */
  readonly isAnew: boolean;
  /** The number of the first of `messages`. Those that are stored and come before `record.first` may be forgotten. */
  readonly from: number;
  readonly messages: readonly PassedMessage[];
}

/** Knows how far storage is behind. */
export interface Ledger {
  /** Something has changed; so many bytes of it are a message. */
  changed(bytes: number, now: number): void;
  /** The numbers of messages have changed. */
  renumbered(now: number): void;
  isDue(now: number): boolean;
  nextAt(): number | null;
  /** What to write, as if it were written with that; undefined: nothing has changed. */
  take(record: Omit<SessionRecord, "first" | "savedAt">, ring: Ring, now: number): Flush | undefined;
}

/** Makes the ledger of a session of which storage knows messages up to `last`. */
export function createLedger(last: number): Ledger {
  let writtenTo = last;
  let since: number | null = null;
  let waiting = 0;
  let isAnew = false;

  function changed(bytes: number, now: number): void {
    waiting += bytes;
    since ??= now;
  }

  return {
    changed,
    renumbered(now) {
      isAnew = true;
      changed(0, now);
    },
    isDue(now) {
      return since !== null && (waiting >= FLUSH_BYTES || now - since >= FLUSH_MS);
    },
    nextAt() {
      return since === null ? null : since + FLUSH_MS;
    },
    take(record, ring, now) {
      if (since === null) return undefined;
      const { first } = ring;
      const from = isAnew ? first : Math.max(writtenTo + 1, first);
      const flush = { record: { ...record, first, savedAt: now }, isAnew, from, messages: ring.after(from - 1) };
      writtenTo = ring.last;
      since = null;
      waiting = 0;
      isAnew = false;
      return flush;
    },
  };
}
