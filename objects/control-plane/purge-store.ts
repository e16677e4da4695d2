import { NO_PURGES, parsePurgePrefix, type Epoch, type PurgeEpochs } from "./purge.ts";

/** What is stored of purges: what they are, and how often that has changed. */
export interface StoredPurges {
  readonly version: number;
  readonly epochs: PurgeEpochs;
}

/** The purges in an object's SQLite storage, a row each. Nothing, not even a table, before the first. */
export interface PurgeStore {
  load(): StoredPurges;
  /** Writes what differs, in one transaction. */
  save(before: StoredPurges, after: StoredPurges): void;
}

const FIND = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'purges'";
const CREATE =
  "CREATE TABLE purges (kind TEXT NOT NULL, value TEXT NOT NULL, hard INTEGER NOT NULL, soft INTEGER NOT NULL, PRIMARY KEY (kind, value)) STRICT, WITHOUT ROWID";
const LIST = "SELECT kind, value, hard, soft FROM purges";
const WRITE =
  "INSERT INTO purges VALUES (?, ?, ?, ?) ON CONFLICT (kind, value) DO UPDATE SET hard = excluded.hard, soft = excluded.soft";
const DROP = "DELETE FROM purges WHERE kind = ? AND value = ?";

interface Row {
  readonly kind: string;
  readonly value: string;
  readonly hard: number;
  readonly soft: number;
}

/** Opens the storage. */
export function openPurgeStore(storage: DurableObjectStorage): PurgeStore {
  const { sql } = storage;
  let exists = sql.exec(FIND).toArray().length > 0;
  return {
    load: () => (exists ? read(sql.exec<Row & Record<string, SqlStorageValue>>(LIST).toArray()) : EMPTY),
    save(before, after) {
      const old = new Map(rowsOf(before).map((row) => [nameOf(row), row]));
      const rows = rowsOf(after);
      storage.transactionSync(() => {
        if (!exists) sql.exec(CREATE);
        for (const row of rows) {
          const known = old.get(nameOf(row));
          old.delete(nameOf(row));
          if (known?.hard === row.hard && known.soft === row.soft) continue;
          sql.exec(WRITE, row.kind, row.value, row.hard, row.soft);
        }
        for (const { kind, value } of old.values()) sql.exec(DROP, kind, value);
      });
      exists = true;
    },
  };
}

const EMPTY: StoredPurges = { version: 0, epochs: NO_PURGES };

function rowsOf({ version, epochs }: StoredPurges): readonly Row[] {
  const rows = (kind: string, map: ReadonlyMap<string, Epoch>) =>
    [...map].map(([value, { hardAt, softAt }]) => ({ kind, value, hard: hardAt, soft: softAt }));
  const { all, keys, routes, tags, prefixes } = epochs;
  return [
    { kind: "version", value: "", hard: version, soft: 0 },
    { kind: "all", value: "", hard: all.hardAt, soft: all.softAt },
    ...rows("key", keys),
    ...rows("route", routes),
    ...rows("tag", tags),
    ...rows("prefix", prefixes),
  ];
}

function nameOf({ kind, value }: Row): string {
  return `${kind} ${value}`;
}

function read(rows: readonly Row[]): StoredPurges {
  const epochOf = ({ hard, soft }: Row): Epoch => ({ hardAt: hard, softAt: soft });
  const of = (kind: string) => rows.filter((row) => row.kind === kind);
  const named = (kind: string) => new Map(of(kind).map((row) => [row.value, epochOf(row)]));
  const [all] = of("all");
  const prefixes = of("prefix").flatMap((row) => {
    const prefix = parsePurgePrefix(row.value);
    return prefix === undefined ? [] : [[row.value, { ...epochOf(row), of: prefix }] as const];
  });
  return {
    version: of("version")[0]?.hard ?? 0,
    epochs: {
      all: all === undefined ? NO_PURGES.all : epochOf(all),
      keys: named("key"),
      routes: named("route"),
      tags: named("tag"),
      prefixes: new Map(prefixes),
    },
  };
}
