import { packBreaker, unpackBreaker } from "./breaker-state.ts";
import type { Kept, TargetEvent } from "./target-events.ts";
import { packTarget, unpackTarget } from "./target-packed.ts";

/** What one owner has in its SQLite storage: its state as two rows, and the history of its target. */
export interface TargetStore {
  /** What an earlier instance stored. A record that cannot be read is logged and dropped: isolates tell it again. */
  load(): Partial<Kept>;
  /**
   * Writes what has changed since it was last written, in one transaction; of a closed and quiet target that nothing was
   * written of before, nothing, not even a table.
   */
  save(kept: Kept, events: readonly TargetEvent[]): void;
  /** The newest first. */
  events(count: number): readonly TargetEvent[];
  /** Whether anything is stored. */
  exists(): boolean;
  /** Forgets everything. */
  erase(): Promise<void>;
}

/** Events that are kept. */
const MAX_EVENTS = 1_000;

const FIND = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'records'";
const CREATE_RECORDS = "CREATE TABLE records (name TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT, WITHOUT ROWID";
const CREATE_EVENTS =
  'CREATE TABLE events (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, "from" TEXT NOT NULL, "to" TEXT NOT NULL, cause TEXT NOT NULL, by TEXT) STRICT';
const READ = "SELECT state FROM records WHERE name = ?";
const DROP = "DELETE FROM records WHERE name = ?";
const WRITE = "INSERT INTO records VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET state = excluded.state";
const ADD_EVENT = "INSERT INTO events VALUES (NULL, ?, ?, ?, ?, ?, ?)";
const TRIM_EVENTS = `DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ${MAX_EVENTS}`;
const LIST_EVENTS = 'SELECT at, kind, "from", "to", cause, by FROM events ORDER BY id DESC LIMIT ?';

/** Opens the storage of a target's owner. */
export function openTargetStore(storage: DurableObjectStorage): TargetStore {
  const { sql } = storage;
  let exists = sql.exec(FIND).toArray().length > 0;
  let written: Partial<Kept> = {};

  function read<State>(name: string, unpack: (text: string) => State | undefined): State | undefined {
    if (!exists) return undefined;
    const [stored] = sql.exec<{ state: string }>(READ, name).toArray();
    if (stored === undefined) return undefined;
    const state = unpack(stored.state);
    if (state !== undefined) return state;
    console.error(JSON.stringify({ level: "error", event: "circuit-breaker-record-lost", record: name }));
    sql.exec(DROP, name);
    return undefined;
  }

  function write({ breaker, record }: Kept, events: readonly TargetEvent[]): void {
    if (!exists) {
      sql.exec(CREATE_RECORDS);
      sql.exec(CREATE_EVENTS);
    }
    if (breaker !== written.breaker) sql.exec(WRITE, "breaker", packBreaker(breaker));
    if (record !== undefined && record !== written.record) sql.exec(WRITE, "target", packTarget(record));
    for (const { at, kind, from, to, cause, by } of events) sql.exec(ADD_EVENT, at, kind, from, to, cause, by);
    if (events.length > 0) sql.exec(TRIM_EVENTS);
  }

  return {
    load() {
      const breaker = read("breaker", unpackBreaker);
      const record = read("target", unpackTarget);
      written = { ...(breaker && { breaker }), record };
      return written;
    },
    save(kept, events) {
      if (!exists && !isWorth(kept)) return;
      if (kept.breaker === written.breaker && kept.record === written.record) return;
      storage.transactionSync(() => write(kept, events));
      exists = true;
      written = kept;
    },
    events(count) {
      return exists ? sql.exec<EventRow>(LIST_EVENTS, count).toArray() : [];
    },
    exists() {
      return exists;
    },
    async erase() {
      exists = false;
      written = {};
      await storage.deleteAll();
    },
  };
}

/** As `ADD_EVENT` wrote it. */
type EventRow = { [Field in keyof TargetEvent]: TargetEvent[Field] };

/** Whether there is more to remember than of a target never heard of. */
function isWorth({ breaker, record }: Kept): boolean {
  return breaker.epoch > 1 || (record !== undefined && (record.health !== null || record.isDraining));
}
