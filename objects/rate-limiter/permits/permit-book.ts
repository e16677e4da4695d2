import type { DecideOn } from "../group-commit.ts";
import { borrowers, decidePermits, reportPermits, type PermitReport } from "./permit-ledger.ts";
import type { PermitMessage, PermitMessageReply } from "./permit-messages.ts";
import { NO_PERMITS, type PermitState } from "./permit-state.ts";
import type { Row, Rows } from "../rows.ts";

/** The operations in flight of an object's clients. */
export interface PermitBook {
  /** Answers a message, which has been checked. */
  decide(message: PermitMessage): Promise<PermitMessageReply>;
  /** What is in flight, by policy; undefined: nothing is recorded. */
  view(client: string, now: number): readonly PermitReport[] | undefined;
  /** Frees all permits of a client, whatever is in flight; says whether anything was recorded. */
  free(client: string): boolean;
}

/** @param rows opened with `PERMITS`. */
export function openPermitBook(rows: Rows<PermitState, null>, decideOn: DecideOn): PermitBook {
  const records = { rows, newRow };
  return {
    async decide(message) {
      const { decision } = await decideOn(records, message.client, ({ state }, at) =>
        decidePermits(state, message, at),
      );
      const isolates = borrowers(decision.state, message);
      return isolates > 0 ? { ...decision.reply, isolates } : decision.reply;
    },
    view(client, now) {
      const row = rows.load(client, now);
      return row === undefined ? undefined : reportPermits(row.state, now);
    },
    free: (client) => rows.delete(client),
  };
}

function newRow(): Row<PermitState, null> {
  return { state: NO_PERMITS, memory: null };
}
