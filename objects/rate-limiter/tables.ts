import { NEW_CLIENT, lostClient, packClient, unpackClient, type ClientState } from "./client-state.ts";
import type { PastDecision } from "./client-view.ts";
import { NO_MEMORY, type LeaseMemory } from "./leases/lease-ledger.ts";
import { forgettableAt } from "./ledger.ts";
import {
  lostPermitState,
  packPermits,
  permitsForgettableAt,
  unpackPermits,
  type PermitState,
} from "./permits/permit-state.ts";
import type { RefundRoom } from "./refund-room.ts";
import type { Row, Table } from "./rows.ts";
import type { CallLoad } from "./shards/shard-count.ts";

/** What goes with a client's row in memory only. */
export interface ClientMemory {
  /** The last decisions, the newest first: a refusal writes nothing. */
  decisions: readonly PastDecision[];
  /** Losing it costs credit and repeats the sizing of leases. */
  lease: LeaseMemory;
  /** Losing it costs refunds; undefined before the first change. */
  room: RefundRoom | undefined;
  /** How busy the client keeps its owner; undefined before its first lease. */
  calls: CallLoad | undefined;
}

/** Tokens: of each client one row. */
export const CLIENTS: Table<ClientState, ClientMemory> = {
  name: "clients",
  pack: packClient,
  unpack: unpackClient,
  lost: lostClient,
  forgettableAt,
  newMemory: () => ({ decisions: [], lease: NO_MEMORY, room: undefined, calls: undefined }),
};

/** Operations in flight: of each client one row. */
export const PERMITS: Table<PermitState, null> = {
  name: "permits",
  pack: packPermits,
  unpack: unpackPermits,
  lost: lostPermitState,
  forgettableAt: permitsForgettableAt,
  newMemory: () => null,
};

/** The row of a client that has none yet. */
export function newClientRow(): Row<ClientState, ClientMemory> {
  return { state: NEW_CLIENT, memory: CLIENTS.newMemory() };
}
