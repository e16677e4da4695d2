import { forgettableAt, isSame, packState, unpackState, type QuotaState } from "./quota-state.ts";

/** What one owner has in its SQLite storage: one row, and the alarm that forgets it. */
export interface QuotaStore {
  /** Reads the alarm that an earlier instance set; before anything is saved. */
  start(): Promise<void>;
  /** What an earlier instance stored; `lost`: something that cannot be read, which is logged. */
  load(): QuotaState | "lost" | undefined;
  /** Writes a state that differs in more than its time from the one written last. Throws when it can't be written. */
  save(state: QuotaState): void;
  /** The alarm has rung: sets the next, or says that everything may be forgotten. */
  rang(state: QuotaState | "lost" | undefined): boolean;
  /** Forgets everything. */
  erase(): Promise<void>;
}

const FIND = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'quota'";
const CREATE = "CREATE TABLE quota (id INTEGER PRIMARY KEY CHECK (id = 1), state TEXT NOT NULL) STRICT";
const READ = "SELECT state FROM quota";
const WRITE = "INSERT INTO quota VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state";

/** Opens the storage of a quota's owner. */
export function openQuotaStore(storage: DurableObjectStorage): QuotaStore {
  const { sql } = storage;
  let exists = sql.exec(FIND).toArray().length > 0;
  let written: QuotaState | undefined;
  let hasAlarm = false;

  function setAlarm(state: QuotaState): void {
    hasAlarm = true;
    // Not awaited: it commits together with the row. The alarm goes by the machine's clock.
    void storage.setAlarm(forgettableAt(state) - state.clock.offset);
  }

  return {
    async start() {
      hasAlarm = (await storage.getAlarm()) !== null;
    },
    load() {
      if (!exists) return undefined;
      const [row] = sql.exec<{ state: string }>(READ).toArray();
      if (row === undefined) return undefined;
      written = unpackState(row.state);
      if (written !== undefined) return written;
      console.error(JSON.stringify({ level: "error", event: "upstream-quota-record-lost" }));
      return "lost";
    },
    save(state) {
      if (written !== undefined && isSame(written, state)) return;
      storage.transactionSync(() => {
        if (!exists) sql.exec(CREATE);
        sql.exec(WRITE, packState(state));
      });
      exists = true;
      written = state;
      if (!hasAlarm) setAlarm(state);
    },
    rang(state) {
      hasAlarm = false;
      if (state === "lost") return false;
      if (state === undefined || state.clock.at >= forgettableAt(state)) return true;
      setAlarm(state);
      return false;
    },
    async erase() {
      exists = false;
      written = undefined;
      await storage.deleteAll();
    },
  };
}
