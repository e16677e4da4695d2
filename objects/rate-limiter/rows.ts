import { createLru } from "../lru.ts";
import type { Swept } from "./housekeeping.ts";

/** What one table keeps of each client, and how that becomes text. */
export interface Table<State, Memory> {
  /** A constant of the code: it becomes part of statements. */
  readonly name: string;
  readonly pack: (state: State) => string;
  /** Undefined: the text is not a state that this code could have reached. */
  readonly unpack: (text: string) => State | undefined;
  /** The state that takes the place of a record that cannot be read. */
  readonly lost: (now: number) => State;
  /** When a row has nothing left to remember, in ms since the epoch. */
  readonly forgettableAt: (state: State) => number;
  /** What goes with a row in memory only, and may be lost at any time. */
  readonly newMemory: () => Memory;
}

/** One client's row, decoded. */
export interface Row<State, Memory> {
  state: State;
  readonly memory: Memory;
}

/** The rows of one table in one object. */
export interface Rows<State, Memory> extends Swept {
  /** The client's row; undefined when nothing is recorded. One that cannot be read is logged and replaced. */
  load(client: string, now: number): Row<State, Memory> | undefined;
  /** Writes a row, makes the table with the first, and only then changes `row`. Throws what storage throws. */
  store(client: string, row: Row<State, Memory>, state: State, now: number): void;
  /** Drops a row; says whether there was one. */
  delete(client: string): boolean;
  /** The first rows by client, at most `count`, as they are stored. */
  first(count: number): readonly (readonly [client: string, state: State])[];
  /** Whether the table was made. */
  exists(): boolean;
}

/**
 * Decoded rows kept in memory, to spare a read and a parse for hot clients. Small, because a runtime may hold all 256
 * objects of a pool in one isolate of 128 MB.
 */
const MAX_ROWS_IN_MEMORY = 256;
/** Rows looked at in one go by the sweep; requests get their turn between two goes. */
const SWEEP_BATCH = 500;

const FIND_TABLE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?";

/**
 * Opens a table of an object. Nothing is made before the first write: an object that was only asked about a client
 * leaves no storage behind.
 *
 * @param onStored told of each write with the time when the row may go, so that the object sets its alarm.
 */
export function openRows<State, Memory>(
  storage: DurableObjectStorage,
  table: Table<State, Memory>,
  onStored: (forgettableAt: number, now: number) => void,
): Rows<State, Memory> {
  const { sql } = storage;
  const statements = statementsOf(table.name);
  const held = createLru<string, Row<State, Memory>>(MAX_ROWS_IN_MEMORY);
  let exists = sql.exec(FIND_TABLE, table.name).toArray().length > 0;

  function decode(client: string, text: string, now: number): State {
    const state = table.unpack(text);
    if (state !== undefined) return state;
    console.error(JSON.stringify({ level: "error", event: "rate-limiter-record-lost", table: table.name, client }));
    const lost = table.lost(now);
    sql.exec(statements.write, client, table.pack(lost));
    return lost;
  }

  function drop(client: string): boolean {
    held.delete(client);
    return exists && sql.exec(statements.delete, client).rowsWritten > 0;
  }

  return {
    load(client, now) {
      const known = held.get(client);
      if (known !== undefined || !exists) return known;
      const [stored] = sql.exec<{ state: string }>(statements.read, client).toArray();
      if (stored === undefined) return undefined;
      const row = { state: decode(client, stored.state, now), memory: table.newMemory() };
      held.set(client, row);
      return row;
    },
    store(client, row, state, now) {
      if (!exists) sql.exec(statements.create);
      exists = true;
      sql.exec(statements.write, client, table.pack(state));
      // Only now: had the write thrown, memory would know of a decision that storage does not.
      row.state = state;
      held.set(client, row);
      onStored(table.forgettableAt(state), now);
    },
    delete: drop,
    first(count) {
      if (!exists) return [];
      const now = Date.now();
      const rows = sql.exec<{ client: string; state: string }>(statements.first, count).toArray();
      return rows.map(({ client, state }) => [client, decode(client, state, now)]);
    },
    async sweep() {
      let latest = 0;
      let after = "";
      if (!exists) return latest;
      for (;;) {
        const now = Date.now();
        const batch = sql.exec<{ client: string; state: string }>(statements.readAfter, after).toArray();
        for (const { client, state } of batch) {
          const at = table.forgettableAt(decode(client, state, now));
          after = client;
          if (at > now) latest = Math.max(latest, at);
          if (at <= now) drop(client);
        }
        if (batch.length < SWEEP_BATCH) return latest;
        await scheduler.wait(0);
      }
    },
    exists() {
      return exists;
    },
    isEmpty() {
      return !exists || sql.exec(statements.findAny).toArray().length === 0;
    },
    wasDropped() {
      exists = false;
    },
  };
}

/** Made once a table: the runtime keeps a prepared statement for each text it has seen. */
function statementsOf(name: string) {
  return {
    create: `CREATE TABLE ${name} (client TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT, WITHOUT ROWID`,
    read: `SELECT state FROM ${name} WHERE client = ?`,
    readAfter: `SELECT client, state FROM ${name} WHERE client > ? ORDER BY client LIMIT ${SWEEP_BATCH}`,
    write: `INSERT INTO ${name} VALUES (?, ?) ON CONFLICT (client) DO UPDATE SET state = excluded.state`,
    delete: `DELETE FROM ${name} WHERE client = ?`,
    first: `SELECT client, state FROM ${name} ORDER BY client LIMIT ?`,
    findAny: `SELECT 1 FROM ${name} LIMIT 1`,
  } as const;
}
