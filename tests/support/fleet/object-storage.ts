import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** The runtime may be writing at the moment. */
const BUSY_MS = 5_000;

/** What the objects of one class keep on disk. */
export interface ObjectStorage {
  /** Objects that ever stored anything. */
  readonly objects: number;
  /** Rows in all of them, of every table of ours. */
  readonly rows: number;
  /** For each client that has rows, how many objects hold some. */
  readonly owners: ReadonlyMap<string, number>;
}

/** Reads the storage of a class below a state directory, whether or not the runtime has it open. */
export function readObjectStorage(state: string, className: string): ObjectStorage {
  const directory = join(state, "do", `sluice-${className}`);
  const files = existsSync(directory) ? readdirSync(directory).filter((file) => file.endsWith(".sqlite")) : [];
  const objects = files.filter((file) => file !== "metadata.sqlite");
  const owners = new Map<string, number>();
  let rows = 0;
  for (const file of objects) {
    const { clients, count } = readObject(join(directory, file));
    rows += count;
    for (const client of clients) owners.set(client, (owners.get(client) ?? 0) + 1);
  }
  return { objects: objects.length, rows, owners };
}

function readObject(file: string): { readonly clients: ReadonlySet<string>; readonly count: number } {
  const database = new DatabaseSync(file, { readOnly: true, timeout: BUSY_MS });
  try {
    const clients = new Set<string>();
    let count = 0;
    const tables = database.prepare(
      "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\'",
    );
    for (const { name } of tables.all()) {
      const held = database.prepare(`SELECT client FROM "${String(name)}"`).all();
      count += held.length;
      for (const { client } of held) clients.add(String(client));
    }
    return { clients, count };
  } finally {
    database.close();
  }
}
