import { knownWait, type Holding } from "../leases/borrower.ts";
import { heardFrom } from "../leases/demand.ts";
import { isAwaiting } from "../leases/lease-asking.ts";
import type { LeaseItem, LeaseMessage, LeaseReply } from "../leases/lease-messages.ts";
import { askRoot, renewal } from "./shard-asking.ts";
import { childOf, poolOf, remember, settle, type Branch } from "./shard-branch.ts";
import { canLend, lend, type Wait } from "./shard-lending.ts";
import { ALL_RULES, type AllRules } from "./shard-rules.ts";
import { countSpent, readSpent } from "../leases/spend-histogram.ts";

/** What a shard does with a message. */
export type Served =
  /** It is answered. `call` is to be sent to the root, and not waited for. */
  | { readonly kind: "answered"; readonly reply: LeaseReply; readonly call: LeaseMessage | undefined }
  /** The root is being asked, with `call` if there is one: serve the message again when that is over. */
  | { readonly kind: "waiting"; readonly call: LeaseMessage | undefined }
  /** The root has just failed, so nobody can say. */
  | { readonly kind: "failed" };

const WAITING: Served = { kind: "waiting", call: undefined };
const FAILED: Served = { kind: "failed" };

/**
 * Takes in what a message of an isolate reports; once for each message, before `serve`.
 *
 * @returns the reply to a message that was answered within the last 10 s, which then changes nothing.
 */
export function hear(
  branch: Branch,
  message: LeaseMessage,
  now: number,
  rules: AllRules = ALL_RULES,
): LeaseReply | undefined {
  branch.calls += 1;
  branch.heardAt = now;
  settle(branch, now);
  const known = branch.peers.get(message.isolate);
  const told = known?.told;
  if (known !== undefined && told?.seq === message.seq && now - known.at < rules.lease.rememberMs) return told.reply;
  remember(branch, { ...heardFrom(message, now), told });
  for (const [index, { usualCost = 1 }] of message.items.entries()) {
    const holding = branch.parent.holdings[index];
    if (holding !== undefined) holding.usualCost = usualCost;
  }
  takeReport(branch, message, now, rules);
  if (message.shardOf !== undefined) branch.shards ??= { count: message.shardOf.count, until: -Infinity };
  return undefined;
}

/**
 * Decides about the request that waits (all items or none) and lends its isolate what it is about to need, from what the
 * shard holds; refuses from what it knows of the root's level; else asks the root.
 *
 * @param hasAsked whether a call for this very message was answered: what it did not bring is refused.
 */
export function serve(
  branch: Branch,
  message: LeaseMessage,
  now: number,
  hasAsked = false,
  rules: AllRules = ALL_RULES,
): Served {
  settle(branch, now);
  const { parent } = branch;
  const waits = message.items.map((item, index) => lackFor(branch, item, index, now, rules));
  // What is to be held is lent, and needs a lease of the shard's own that lives for a while yet.
  const isHoldable = message.hold !== true || canLend(branch, message, now, rules);
  const isLacking = !isHoldable || waits.includes("unknown");
  const isRefused = message.items.some((item, index) => isRefusal(waits[index]) && !item.shadow);
  if (isLacking && !isRefused && now < branch.failedUntil) return FAILED;
  if (isLacking && !isRefused && !hasAsked) {
    if (isAwaiting(parent, now)) return WAITING;
    const costs = message.items.map(({ cost }) => cost);
    return { kind: "waiting", call: askRoot(branch, costs, now) };
  }
  const allowed = isHoldable && message.items.every((item, index) => item.shadow || waits[index] === 0);
  if (allowed) spend(branch, message, waits, now);
  const reply = lend(branch, message, { waits, allowed }, now, rules);
  const known = branch.peers.get(message.isolate);
  if (known !== undefined) remember(branch, { ...known, told: { seq: message.seq, reply } });
  return { kind: "answered", reply, call: renewal(branch, now) };
}

function lackFor(branch: Branch, item: LeaseItem, index: number, now: number, rules: AllRules): Wait {
  const holding = branch.parent.holdings[index];
  if (holding === undefined) return null;
  const pool = poolOf(branch, index, now, rules.shard);
  if (item.cost <= pool) return 0;
  if (item.cost > largestCost(holding)) return null;
  const waitMs = knownWait(branch.parent, holding, item.cost - pool, now);
  return waitMs > 0 ? Math.ceil(waitMs) : "unknown";
}

function isRefusal(wait: Wait | undefined): boolean {
  return wait === null || (typeof wait === "number" && wait > 0);
}

/** A window holds no more than its limit, whatever a burst would. */
function largestCost({ limit, refills }: Holding): number {
  return refills ? limit.burst : limit.tokensPerWindow;
}

function takeReport(branch: Branch, message: LeaseMessage, now: number, rules: AllRules): void {
  const { children, parent } = branch;
  const child = childOf(branch, message);
  for (const [index, item] of message.items.entries()) {
    const holding = parent.holdings[index];
    if (holding === undefined) continue;
    holding.denied += item.denied;
    if (!message.keep && message.leaseId !== null && child === undefined && rules.shard.creditsReturn(false)) {
      holding.tokens += item.held;
    }
    if (child === undefined) continue;
    const lent = child.tokens[index] ?? 0;
    const held = Math.min(item.held, lent);
    reportSpent(holding, item, { message, most: lent - held, shiftMs: rules.lease.creditShiftMs }, now);
    child.tokens[index] = message.keep ? held : 0;
    if (!message.keep) holding.tokens += held;
  }
  if (child !== undefined && !message.keep) children.delete(child.id);
}

/** A child's spending becomes the shard's own, never earlier than it was. */
function reportSpent(
  { spent }: Holding,
  item: LeaseItem,
  { message, most, shiftMs }: { readonly message: LeaseMessage; readonly most: number; readonly shiftMs: number },
  now: number,
): void {
  let left = most;
  for (const { at, tokens } of readSpent(item.spent, message, shiftMs, now)) {
    const counted = Math.min(tokens, left);
    left -= counted;
    // What was spent before the last report to the root counts as spent right after it.
    if (counted > 0) countSpent(spent, counted, Math.max(at, spent.since));
  }
}

function spend({ parent }: Branch, message: LeaseMessage, waits: readonly Wait[], now: number): void {
  for (const [index, { cost }] of message.items.entries()) {
    const holding = parent.holdings[index];
    // Not taken from a shadow that would have refused.
    if (holding === undefined || cost === 0 || waits[index] !== 0) continue;
    // What is held for other owners to agree to is lent below, and spent by the isolate.
    holding.tokens -= cost;
    if (message.hold !== true) countSpent(holding.spent, cost, now);
  }
}
