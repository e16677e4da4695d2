import { createLru, type Lru } from "../../objects/lru.ts";
import type { LimiterPolicy } from "../../schemas/index.ts";

const tables: Pick<Lru<string, object>, "resize">[] = [];
/** Until a configuration is compiled, which is before the first request. */
let capacity = 1_000;

/** Makes a table of what this isolate remembers of clients: of those used last, as many as `limiter.tableEntries` says. */
export function clientTable<Value extends {}>(): Lru<string, Value> {
  const table = createLru<string, Value>(capacity);
  tables.push(table);
  return table;
}

/** Gives every such table room for as many clients as the configuration says that was compiled last. */
export function sizeClientTables({ tableEntries }: LimiterPolicy): void {
  if (tableEntries === capacity) return;
  capacity = tableEntries;
  for (const table of tables) table.resize(capacity);
}
