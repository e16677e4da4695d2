import { remaining } from "./algorithms/allowance.ts";
import { settle as settleOne } from "./algorithms/allowance-leases.ts";
import type { ClientState, PolicyState } from "./client-state.ts";
import { recordPolicies, type Outcome } from "./ledger.ts";
import { endLeases, withReserved } from "./leases/live-leases.ts";
import type { SettleMessage, SettleReply, SettleReplyItem } from "./settle-messages.ts";

/**
 * Charges what a request cost for which a take reserved, once for each reservation. One that is not known any more has
 * cost what was reserved: it was settled, its end has passed, or its limit counts in another way by now.
 */
export function settle(state: ClientState, message: SettleMessage, now: number): Outcome<SettleReply> {
  const ended = endLeases(state, now);
  const reserved = ended.leases?.reserved ?? [];
  const changed: PolicyState[] = [];
  const items: SettleReplyItem[] = [];
  for (const reservation of reserved) {
    if (reservation.id !== message.reservation) continue;
    const known = ended.policies.find(({ policy }) => policy === reservation.policy);
    if (known === undefined) continue;
    const said = message.items.find(({ policy }) => policy === reservation.policy);
    const actual = said?.actual ?? reservation.tokens;
    const { allowance, forgiven } = settleOne(known, reservation, { actual, debtMax: said?.debtMax }, now);
    changed.push({ ...allowance, policy: known.policy, configVersion: known.configVersion });
    items.push({ policy: known.policy, charged: actual - forgiven, forgiven, remaining: remaining(allowance) });
  }
  if (changed.length === 0) return { state, reply: { v: 1, settled: false, items } };
  const next = recordPolicies(ended, changed, now);
  const { leases } = next;
  if (leases === undefined) return { state: next, reply: { v: 1, settled: true, items } };
  const others = leases.reserved?.filter(({ id }) => id !== message.reservation);
  return { state: { ...next, leases: withReserved(leases, others) }, reply: { v: 1, settled: true, items } };
}
