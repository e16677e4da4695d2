import { packBatch, unpackBatch } from "../resume/packed-batch.ts";
import type { PassedMessage } from "../resume/ring.ts";
import { openSessionStore } from "../resume/session-store.ts";
import type { Flush, StoredSession } from "../resume/stored-session.ts";

/** What an object has in its storage of a session that is to survive it. */
export interface HeldStore {
  /** What an earlier instance stored. */
  load(): { readonly session: StoredSession; readonly firsts: readonly PassedMessage[] } | undefined;
  /** Writes a batch, with those of the client's first messages that are new. */
  write(flush: Flush, firsts: readonly PassedMessage[]): void;
  erase(): Promise<void>;
}

/** Nobody waits longer for a client: a live session is written once a hold, of 15 minutes at most. */
const FORGET_MS = 1_800_000;

const CREATE =
  "CREATE TABLE IF NOT EXISTS held_first (n INTEGER PRIMARY KEY, lengths TEXT NOT NULL, bytes BLOB NOT NULL) STRICT; DELETE FROM held_first";
const FIND = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'held_first'";
const READ = "SELECT lengths, bytes FROM held_first ORDER BY n";

/** Opens the storage of an object. Nothing is there before the first `write`. */
export function openHeldStore(storage: DurableObjectStorage): HeldStore {
  const { sql } = storage;
  const session = openSessionStore(storage);
  let known: number | undefined;
  return {
    load() {
      const stored = session.load();
      if (stored === undefined) return undefined;
      const rows = sql.exec<{ lengths: string; bytes: ArrayBuffer }>(READ).toArray();
      const firsts = rows.flatMap((row) => unpackBatch(row) ?? []);
      known = firsts.length;
      return { session: stored, firsts };
    },
    write(flush, firsts) {
      if (known === undefined) {
        sql.exec(CREATE);
        known = 0;
        void storage.setAlarm(Date.now() + FORGET_MS);
      }
      for (; known < firsts.length; known += 1) {
        const { lengths, bytes } = packBatch(firsts.slice(known, known + 1));
        sql.exec("INSERT INTO held_first VALUES (?, ?, ?)", known, lengths, bytes);
      }
      session.write(flush);
    },
    erase() {
      known = undefined;
      return session.erase();
    },
  };
}

/** For the object's alarm: forgets a session that nobody has come back for. False: there is none. */
export async function forgetHeld(storage: DurableObjectStorage, now: number): Promise<boolean> {
  if (storage.sql.exec(FIND).toArray().length === 0) return false;
  const stored = openSessionStore(storage);
  const session = stored.load();
  if (session !== undefined && now - session.savedAt < FORGET_MS) await storage.setAlarm(now + FORGET_MS);
  else await stored.erase();
  return true;
}
