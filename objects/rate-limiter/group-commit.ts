import type { Row, Rows } from "./rows.ts";

/** Where the rows are that are decided about, and what stands for one that there is not yet. */
export interface Records<State, Memory> {
  readonly rows: Rows<State, Memory>;
  readonly newRow: () => Row<State, Memory>;
}

/** A decision that is stored, with the row that it is about. */
export interface Stored<State, Memory, Decision> {
  readonly row: Row<State, Memory>;
  readonly decision: Decision;
  /** When it was made. */
  readonly now: number;
}

/**
 * Decides about a client's row and writes what came of it. A decision whose `state` is the very one that was there writes
 * nothing. `decide` runs twice, so it must be pure.
 */
export type DecideOn = <State, Memory, Decision extends { readonly state: State }>(
  records: Records<State, Memory>,
  client: string,
  decide: (row: Row<State, Memory>, now: number) => Decision,
) => Promise<Stored<State, Memory, Decision>>;

/**
 * Has decisions that write, and come while a commit is under way, wait for it and then commit together, as databases do it
 * (group commit): with 20 at once, 100 us of CPU each instead of 255, most of which is the commit. Alone one waits for
 * nothing.
 */
export function groupCommit(storage: DurableObjectStorage): DecideOn {
  /** What those wait for that will commit together next. */
  let turn: Promise<void> | undefined;

  async function nextTurn(): Promise<void> {
    try {
      await storage.sync();
    } finally {
      turn = undefined;
    }
  }

  return async ({ rows, newRow }, client, decide) => {
    const askedAt = Date.now();
    const seen = rows.load(client, askedAt) ?? newRow();
    // Who writes nothing waits for nobody: those who wait mostly take tokens, so a refusal would be one after them too.
    if (decide(seen, askedAt).state !== seen.state) await (turn ??= nextTurn());
    const now = Date.now();
    const row = rows.load(client, now) ?? newRow();
    const decision = decide(row, now);
    if (decision.state !== row.state) rows.store(client, row, decision.state, now);
    return { row, decision, now };
  };
}
