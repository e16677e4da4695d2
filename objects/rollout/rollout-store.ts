import { packRelease, unpackRelease } from "./release-packed.ts";
import type { ReleaseState } from "./release.ts";

/** What one owner has in its SQLite storage: one row. */
export interface RolloutStore {
  /** What an earlier instance stored; undefined: nothing, or what cannot be read, which is logged. */
  load(): ReleaseState | undefined;
  /** Throws when it can't be written. */
  save(state: ReleaseState): void;
}

const FIND = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'release'";
const CREATE = "CREATE TABLE release (id INTEGER PRIMARY KEY CHECK (id = 1), state TEXT NOT NULL) STRICT";
const WRITE = "INSERT INTO release VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state";

/** Opens the storage of a release's owner. */
export function openRolloutStore(storage: DurableObjectStorage): RolloutStore {
  const { sql } = storage;
  let exists = sql.exec(FIND).toArray().length > 0;
  return {
    load() {
      const [row] = exists ? sql.exec<{ state: string }>("SELECT state FROM release").toArray() : [];
      const state = row === undefined ? undefined : unpackRelease(row.state);
      if (row !== undefined && state === undefined) {
        console.error(JSON.stringify({ level: "error", event: "rollout-record-lost" }));
      }
      return state;
    },
    save(state) {
      storage.transactionSync(() => {
        if (!exists) sql.exec(CREATE);
        sql.exec(WRITE, packRelease(state));
      });
      exists = true;
    },
  };
}
