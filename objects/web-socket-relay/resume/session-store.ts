import { isCount } from "../../numbers.ts";
import { parsePacked } from "../../packed.ts";
import { packBatch, unpackBatch } from "./packed-batch.ts";
import type { PassedMessage } from "./ring.ts";
import type { Flush, SessionRecord, StoredSession } from "./stored-session.ts";

/** What a relay object has in its SQLite storage of a session with level 2: nothing before the first `write`. */
export interface SessionStore {
  /** What an earlier instance stored. Undefined: nothing, or nothing that can be read, which is logged. */
  load(): StoredSession | undefined;
  /** Writes a batch as two rows, and forgets what is not needed any more. Throws when it can't be written. */
  write(flush: Flush): void;
  /** Forgets everything in the object, its alarm included. */
  erase(): Promise<void>;
}

const FIND = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'resume_session'";
const CREATE = `
  CREATE TABLE resume_session (id INTEGER PRIMARY KEY CHECK (id = 1), record TEXT NOT NULL) STRICT;
  CREATE TABLE resume_batches (first INTEGER PRIMARY KEY, lengths TEXT NOT NULL, bytes BLOB NOT NULL) STRICT`;
const READ = "SELECT record FROM resume_session";
const WRITE = "INSERT INTO resume_session VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET record = excluded.record";
const READ_BATCHES = "SELECT first, lengths, bytes FROM resume_batches ORDER BY first";
const WRITE_BATCH = "INSERT INTO resume_batches VALUES (?, ?, ?)";
const DELETE_ALL = "DELETE FROM resume_batches";
// A batch ends where the next begins, so all before the one with the first message that is needed can go.
const DELETE_BEFORE =
  "DELETE FROM resume_batches WHERE first < (SELECT max(first) FROM resume_batches WHERE first <= ?)";

interface BatchRow {
  readonly first: number;
  readonly lengths: string;
  readonly bytes: ArrayBuffer;
}

/** Opens the storage of a relay object. */
export function openSessionStore(storage: DurableObjectStorage): SessionStore {
  const { sql } = storage;
  let exists = sql.exec(FIND).toArray().length > 0;
  return {
    load() {
      if (!exists) return undefined;
      const record = recordOf(sql.exec<{ record: string }>(READ).toArray()[0]?.record);
      const rows = sql.exec<{ [Field in keyof BatchRow]: BatchRow[Field] }>(READ_BATCHES).toArray();
      const messages = record && messagesFrom(record.first, rows);
      if (record !== undefined && messages !== undefined) return { ...record, messages };
      console.error(JSON.stringify({ level: "error", event: "web-socket-session-lost" }));
      return undefined;
    },
    write({ record, isAnew, from, messages }) {
      storage.transactionSync(() => {
        if (!exists) sql.exec(CREATE);
        sql.exec(WRITE, JSON.stringify(record));
        if (isAnew) sql.exec(DELETE_ALL);
        if (messages.length > 0) {
          const { lengths, bytes } = packBatch(messages);
          sql.exec(WRITE_BATCH, from, lengths, bytes);
        }
        sql.exec(DELETE_BEFORE, record.first);
      });
      exists = true;
    },
    async erase() {
      exists = false;
      await storage.deleteAll();
    },
  };
}

/** All that are kept from this number on; undefined when a batch cannot be read, or one is missing. */
function messagesFrom(first: number, rows: readonly BatchRow[]): readonly PassedMessage[] | undefined {
  const messages: PassedMessage[] = [];
  let next: number | undefined;
  for (const row of rows) {
    const batch = unpackBatch(row);
    if (batch === undefined) return undefined;
    // What came between was already acknowledged when the next was written.
    if (next !== undefined && row.first !== next && row.first > first) return undefined;
    messages.push(...batch.slice(Math.max(0, first - row.first)));
    next = row.first + batch.length;
  }
  return messages;
}

function recordOf(text: string | undefined): SessionRecord | undefined {
  const record: unknown = text === undefined ? undefined : parsePacked(text);
  if (typeof record !== "object" || record === null) return undefined;
  const fields: { [Field in keyof SessionRecord]?: unknown } = record;
  const { epoch, owner, openedAt = null, recv, restarts, restoredTo, first, savedAt } = fields;
  if (typeof epoch !== "string" || typeof owner !== "string" || !isCount(recv) || !isCount(restarts)) return undefined;
  if (!isCount(first) || !isCount(savedAt) || !(restoredTo === null || isCount(restoredTo))) return undefined;
  if (!(openedAt === null || isCount(openedAt))) return undefined;
  return { epoch, owner, openedAt, recv, restarts, restoredTo, first, savedAt };
}
