import type { PermitMessage, PermitMessageReply, PermitReplyItem } from "./permit-messages.ts";
import type { PermitState, PolicyPermits } from "./permit-state.ts";
import { advance, answer, freePermits, inUse, lostPermits, type PermitLimit, type Permits } from "./permits.ts";

/** The state after a message, the same value when nothing has to be written, and the reply to it. */
export interface PermitDecision {
  readonly state: PermitState;
  readonly reply: PermitMessageReply;
}

/** One policy's operations in flight, for an operator. */
export interface PermitReport {
  readonly policy: string;
  readonly configVersion: number;
  readonly maxConcurrent: number;
  /** Permits on lease: at least what is in flight. */
  readonly inUse: number;
  /** How long until all are free again if nobody asks any more. */
  readonly freeInMs: number;
}

/**
 * Answers each question of a message. The number of permits is the recorded one where that came with a higher
 * configuration version; the terms of a lease are always the asker's own, since he is the one who keeps to them.
 */
export function decidePermits(state: PermitState, message: PermitMessage, now: number): PermitDecision {
  let { policies } = state;
  const items: PermitReplyItem[] = [];
  for (const item of message.items) {
    const known = policies.find(({ policy }) => policy === item.policy);
    const isOlder = known !== undefined && known.configVersion > message.configVersion;
    const limit = { ...item, permits: isOlder ? known.limit : item.permits };
    const before = known?.permits ?? permitsOf(state, limit, now);
    const { permits, reply } = answer(before, limit, item.ask, now);
    items.push({ policy: item.policy, reply: reply ?? null });
    const configVersion = isOlder ? known.configVersion : message.configVersion;
    const next = { policy: item.policy, configVersion, limit: limit.permits, permits };
    if (says(known, next, before)) policies = replaced(policies, known, next);
  }
  const reply = { v: 1, items } as const;
  return policies === state.policies ? { state, reply } : { state: { ...state, policies }, reply };
}

/** How many isolates have permits under the limits that a message asks about, its sender included. */
export function borrowers({ policies }: PermitState, { items }: PermitMessage): number {
  const counts = items.map((item) => policies.find(({ policy }) => policy === item.policy)?.permits.leases.length ?? 0);
  return Math.max(0, ...counts);
}

/** What an operator is shown of a client. */
export function reportPermits(state: PermitState, now: number): readonly PermitReport[] {
  return state.policies.map(({ policy, configVersion, limit, permits }) => {
    const { leases } = advance(permits, now);
    const freeAt = leases.reduce((at, { reclaimAt }) => Math.max(at, reclaimAt), now);
    return { policy, configVersion, maxConcurrent: limit, inUse: inUse(leases), freeInMs: freeAt - now };
  });
}

function permitsOf({ lostAt }: PermitState, limit: PermitLimit, now: number): Permits {
  return lostAt === undefined ? freePermits(now) : lostPermits(limit, lostAt);
}

/** Whether there is anything to write: a refusal alone changes nothing. */
function says(known: PolicyPermits | undefined, next: PolicyPermits, before: Permits): boolean {
  const { leases } = next.permits;
  const isSame = leases.length === before.leases.length && leases.every((lease, at) => lease === before.leases[at]);
  if (known === undefined) return !isSame;
  return !isSame || known.configVersion !== next.configVersion || known.limit !== next.limit;
}

function replaced(
  policies: readonly PolicyPermits[],
  known: PolicyPermits | undefined,
  next: PolicyPermits,
): readonly PolicyPermits[] {
  return known === undefined ? [...policies, next] : policies.map((policy) => (policy === known ? next : policy));
}
