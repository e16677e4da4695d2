import { grantByOrder, refill, type Granted } from "./by-order.ts";
import type { ClientState } from "./client-state.ts";
import { report } from "./client-report.ts";
import { addDecision, type ClientView } from "./client-view.ts";
import { activeIsolates } from "./leases/demand.ts";
import type { DecideOn } from "./group-commit.ts";
import { lease } from "./leases/lease-ledger.ts";
import type { LeaseMessage, LeaseReply } from "./leases/lease-messages.ts";
import { refund, take } from "./ledger.ts";
import type { RefundMessage, RefundReply, TakeMessage, TakeReply } from "./messages.ts";
import { noteRefund, noteRoom } from "./refund-room.ts";
import { settle } from "./reservations.ts";
import type { Rows } from "./rows.ts";
import type { SettleMessage, SettleReply } from "./settle-messages.ts";
import type { Shards } from "./shards/shard-host.ts";
import { newClientRow, type ClientMemory } from "./tables.ts";

/** The tokens of an object's clients. Messages have been checked. */
export interface ClientCounters {
  take(message: TakeMessage): Promise<TakeReply>;
  lease(message: LeaseMessage): Promise<LeaseReply>;
  refund(message: RefundMessage): Promise<RefundReply>;
  settle(message: SettleMessage): Promise<SettleReply>;
  /** What is used under each limit, and the last answers; undefined: nothing is recorded. */
  view(client: string, now: number): Counters | undefined;
  /** Gives a client all its tokens; says whether there was anything to give. */
  reset(client: string, now: number): boolean;
  /** Adds tokens under one limit; null: nothing is used under it. */
  grant(client: string, order: { readonly policy: string; readonly tokens: number }, now: number): Granted | null;
}

type Counters = Pick<ClientView, "policies" | "lastDecisions">;

/**
 * @param rows opened with `CLIENTS`.
 * @param shards is told of every lease call, and says what its caller should know.
 */
export function openCounters(
  rows: Rows<ClientState, ClientMemory>,
  decideOn: DecideOn,
  shards: Pick<Shards, "countCalls">,
): ClientCounters {
  const records = { rows, newRow: newClientRow };
  return {
    async take(message) {
      const taken = await decideOn(records, message.client, ({ state }, at) => {
        return { ...take(state, message, at), before: state };
      });
      const { row, decision, now } = taken;
      const { reply, before } = decision;
      // Only a take can be refunded, so only after one somebody asks for the room that there was.
      row.memory.room = noteRoom(row.memory.room, before, now);
      row.memory.decisions = addDecision(row.memory.decisions, { asked: "take", message, reply, at: now });
      const isolates = activeIsolates(row.memory.lease.peers, now);
      return isolates > 0 ? { ...reply, isolates } : reply;
    },
    async lease(message) {
      const leased = await decideOn(records, message.client, ({ state, memory }, at) => {
        return { ...lease(state, memory.lease, message, at), before: state };
      });
      const { row, decision, now } = leased;
      const { memory, reply, before } = decision;
      noteAgain(row.memory, before, now);
      // Only now: had the write thrown, the same message sent again would be told of a lease that storage lacks.
      row.memory.lease = memory;
      row.memory.decisions = addDecision(row.memory.decisions, { asked: "lease", message, reply, at: now });
      const notice = shards.countCalls(row.memory, message, now);
      return notice === undefined ? reply : { ...reply, shards: notice };
    },
    async refund(message) {
      const { items, takenAt } = message;
      const refunded = await decideOn(records, message.client, ({ state, memory }, at) => {
        const room = noteRoom(memory.room, state, at);
        return { ...refund(state, message, at, room), room };
      });
      const { row, decision } = refunded;
      const { reply, room } = decision;
      row.memory.room = reply.refunded && takenAt !== undefined ? noteRefund(room, items, takenAt) : room;
      return reply;
    },
    async settle(message) {
      const settled = await decideOn(records, message.client, ({ state }, at) => {
        return { ...settle(state, message, at), before: state };
      });
      const { row, decision, now } = settled;
      noteAgain(row.memory, decision.before, now);
      return decision.reply;
    },
    view(client, now) {
      const row = rows.load(client, now);
      if (row === undefined) return undefined;
      return { policies: report(row.state, client, null, now).policies, lastDecisions: row.memory.decisions };
    },
    reset(client, now) {
      const row = rows.load(client, now);
      const state = row === undefined ? undefined : refill(row.state, now);
      if (row === undefined || state === undefined) return rows.delete(client);
      noteAgain(row.memory, row.state, now);
      rows.store(client, row, state, now);
      return true;
    },
    grant(client, order, now) {
      const row = rows.load(client, now);
      const outcome = row === undefined ? undefined : grantByOrder(row.state, order, now);
      if (row === undefined || outcome === undefined) return null;
      noteAgain(row.memory, row.state, now);
      rows.store(client, row, outcome.state, now);
      return outcome.reply;
    },
  };
}

function noteAgain(memory: ClientMemory, before: ClientState, now: number): void {
  if (memory.room !== undefined) memory.room = noteRoom(memory.room, before, now);
}
