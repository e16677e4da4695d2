import { isCount, isInteger } from "../numbers.ts";
import { parsePacked, unpackList } from "../packed.ts";
import { packAllowance, unpackAllowance } from "./algorithms/allowance-row.ts";
import type { Allowance } from "./algorithms/allowance.ts";
import type { ReplayWindow } from "./replay-window.ts";

/** Everything the owner remembers of one client: one row. */
export interface ClientState {
  readonly policies: readonly PolicyState[];
  /** Which refunds were credited, by sender. */
  readonly refunds: readonly ReplayWindow[];
  /** When an unreadable record was replaced, in ms since the epoch: a policy not listed was empty then, not full. */
  readonly lostAt: number | undefined;
  /** Tokens that isolates may spend without asking; absent until the first lease. */
  readonly leases?: Leases;
}

/** The leases of one client. */
export interface Leases {
  /** The highest id ever used, so that none is used twice. */
  readonly lastId: number;
  /** At most `MAX_LEASES`. The tokens of a bucket's are in its `outstanding`; windows and quotas count theirs. */
  readonly live: readonly LiveLease[];
  /** Costs that are not settled, at most `MAX_RESERVATIONS`; absent: none. They count as those on lease do. */
  readonly reserved?: readonly LiveLease[];
}

/**
 * Tokens of one policy that one isolate may hold, or that one request may turn out to have cost. The parts of one grant
 * over several policies share an id.
 */
export interface LiveLease {
  readonly id: number;
  readonly policy: string;
  readonly tokens: number;
  /** In ms since the epoch, by the owner's clock, guard included. */
  readonly expiresAt: number;
  /** See `Lent`. */
  readonly countedAt?: number;
}

/** One limit of one client. `configVersion`: the version that set the limit. */
export type PolicyState = { readonly policy: string; readonly configVersion: number } & Allowance;

/** A client never seen. */
export const NEW_CLIENT: ClientState = { policies: [], refunds: [], lostAt: undefined };

/** The state that takes the place of a record that cannot be read. */
export function lostClient(now: number): ClientState {
  return { policies: [], refunds: [], lostAt: now };
}

/**
 * A client's state as one short text. Members that are empty are left out, lists stand for objects where one comes
 * with every policy.
 */
export function packClient(state: ClientState): string {
  const packed: Record<string, unknown> = { p: state.policies.map(packPolicy) };
  if (state.refunds.length > 0) packed["r"] = state.refunds.map(({ sender, top, seen, at }) => [sender, top, seen, at]);
  if (state.lostAt !== undefined) packed["lost"] = state.lostAt;
  if (state.leases !== undefined) {
    const { lastId, live, reserved } = state.leases;
    packed["l"] = [lastId, ...live.map(packLease)];
    if (reserved !== undefined) packed["h"] = reserved.map(packLease);
  }
  return JSON.stringify(packed);
}

/**
 * What `packClient` packed, or undefined when the text is not a state that this code could have reached. Members and
 * list entries that it does not know are ignored.
 */
export function unpackClient(text: string): ClientState | undefined {
  const packed = parsePacked(text);
  if (typeof packed !== "object" || packed === null || !("p" in packed)) return undefined;
  const policies = unpackList(packed.p, unpackPolicy);
  const refunds = "r" in packed ? unpackList(packed.r, unpackRefund) : [];
  const lostAt = "lost" in packed ? packed.lost : undefined;
  if (policies === undefined || refunds === undefined) return undefined;
  if (lostAt !== undefined && !isInteger(lostAt)) return undefined;
  if (!("l" in packed)) return { policies, refunds, lostAt };
  const leases = unpackLeases(packed.l, "h" in packed ? packed.h : undefined);
  if (leases === undefined || !areCounted([...leases.live, ...(leases.reserved ?? [])], policies)) return undefined;
  return { policies, refunds, lostAt, leases };
}

function packPolicy(policy: PolicyState): unknown[] {
  return [policy.policy, policy.configVersion, ...packAllowance(policy)];
}

function unpackPolicy([policy, configVersion, ...rest]: readonly unknown[]): PolicyState | undefined {
  if (typeof policy !== "string" || !isCount(configVersion)) return undefined;
  const allowance = unpackAllowance(rest);
  return allowance === undefined ? undefined : { policy, configVersion, ...allowance };
}

function unpackRefund([sender, top, seen, at]: readonly unknown[]): ReplayWindow | undefined {
  if (typeof sender !== "string" || !isCount(top) || !isCount(seen) || !isInteger(at)) return undefined;
  return { sender, top, seen, at };
}

function packLease({ id, policy, tokens, expiresAt, countedAt }: LiveLease): unknown[] {
  const packed = [id, policy, tokens, expiresAt];
  return countedAt === undefined ? packed : [...packed, countedAt];
}

function unpackLeases(list: unknown, held: unknown): Leases | undefined {
  if (!Array.isArray(list)) return undefined;
  const entries: readonly unknown[] = list;
  const lastId = entries[0];
  const live = unpackList(entries.slice(1), unpackLease);
  if (!isInteger(lastId) || live === undefined) return undefined;
  if (held === undefined) return { lastId, live };
  const reserved = unpackList(held, unpackLease);
  return reserved === undefined ? undefined : { lastId, live, reserved };
}

function unpackLease([id, policy, tokens, expiresAt, countedAt]: readonly unknown[]): LiveLease | undefined {
  if (!isInteger(id) || typeof policy !== "string" || !isCount(tokens) || !isInteger(expiresAt)) return undefined;
  if (countedAt === undefined) return { id, policy, tokens, expiresAt };
  return isInteger(countedAt) ? { id, policy, tokens, expiresAt, countedAt } : undefined;
}

/** A bucket that does not count a live lease would refill behind it. */
function areCounted(live: readonly LiveLease[], policies: readonly PolicyState[]): boolean {
  return policies.every((known) => {
    if (known.algorithm !== "token-bucket") return true;
    let tokens = 0;
    for (const lease of live) if (lease.policy === known.policy) tokens += lease.tokens;
    return tokens <= known.bucket.outstanding;
  });
}
