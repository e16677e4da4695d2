import { describe, expect, it } from "vitest";
import { NEW_CLIENT, type ClientState } from "../../../objects/rate-limiter/client-state.ts";
import { NO_MEMORY, lease, type LeaseMemory } from "../../../objects/rate-limiter/leases/lease-ledger.ts";
import type { LeaseItem, LeaseMessage, LeaseReply } from "../../../objects/rate-limiter/leases/lease-messages.ts";
import { LEASE_RULES } from "../../../objects/rate-limiter/leases/lease-rules.ts";
import { answerFromRoot, failedAtRoot, retire, retireAt } from "../../../objects/rate-limiter/shards/shard-asking.ts";
import { newBranch } from "../../../objects/rate-limiter/shards/shard-branch.ts";
import { hear, serve, type Served } from "../../../objects/rate-limiter/shards/shard.ts";
import { START } from "./arbitraries.ts";
import { leaseMessage } from "./lease-arbitraries.ts";

const hundred = { tokensPerWindow: 100, windowMs: 1_000, burst: 100 };
const FIRST_ID = 2 ** 52;

/** One shard of one client, and its owner: both as they ship, with calls that take no time unless told. */
class Family {
  state: ClientState = NEW_CLIENT;
  memory: LeaseMemory = NO_MEMORY;
  readonly branch = newBranch(this.message({}, {}), "shard", FIRST_ID);
  readonly calls: LeaseMessage[] = [];

  message(message: Partial<LeaseMessage>, item: Partial<LeaseItem>): LeaseMessage {
    return leaseMessage(hundred, { shardOf: { root: "root", count: 2 }, ...message }, item);
  }

  root(message: LeaseMessage, now: number): LeaseReply {
    const outcome = lease(this.state, this.memory, message, now);
    this.state = outcome.state;
    this.memory = outcome.memory;
    return outcome.reply;
  }

  /** What becomes of a message, with every call to the owner answered at once. */
  ask(message: Partial<LeaseMessage>, item: Partial<LeaseItem>, now: number): LeaseReply {
    const heard = this.message(message, item);
    const repeated = hear(this.branch, heard, now);
    if (repeated !== undefined) return repeated;
    let hasAsked = false;
    for (;;) {
      const served = serve(this.branch, heard, now, hasAsked);
      this.answer(served, now);
      if (served.kind === "answered") return served.reply;
      hasAsked = true;
    }
  }

  answer(served: Served, now: number): void {
    if (served.kind === "failed" || served.call === undefined) return;
    this.calls.push(served.call);
    answerFromRoot(this.branch, served.call.seq, this.root(served.call, now), now, LEASE_RULES);
  }

  get pool(): number {
    return this.branch.parent.holdings[0]?.tokens ?? 0;
  }

  get lent(): number {
    return (this.state.leases?.live ?? []).reduce((sum, { tokens }) => sum + tokens, 0);
  }
}

/** A shard that has lent isolate `a` a lease at START. */
function lending() {
  const family = new Family();
  const reply = family.ask({ seq: 1 }, { cost: 1, rate: 8 }, START);
  return { family, reply };
}

describe("a shard", () => {
  it("gets what its isolates will hold and some more, and lends for half as long as it has", () => {
    const { family, reply } = lending();
    expect(family.calls).toMatchObject([{ hold: true, shard: { count: 2, calls: 1 }, items: [{ cost: 1, rate: 8 }] }]);
    expect(reply).toMatchObject({
      allowed: true,
      leaseId: FIRST_ID + 1,
      ttlMs: 2_500,
      items: [{ granted: 7, remaining: 92 }],
    });
    expect([family.pool, family.lent]).toEqual([7, 15]);
  });

  it("lends nothing that could outlive its own lease", () => {
    const { family } = lending();
    family.branch.parent.renewAt = Infinity;
    const late = family.ask({ seq: 1, isolate: "b" }, { cost: 0, rate: 8 }, START + 4_000);
    expect(late).toMatchObject({ ttlMs: 900, leaseId: FIRST_ID + 2 });
    expect(family.ask({ seq: 1, isolate: "c" }, { rate: 8 }, START + 4_850)).toMatchObject({ leaseId: null });
  });

  it("tells the owner of everything that is here or lent as held", () => {
    const { family, reply } = lending();
    family.ask({ seq: 2, leaseId: reply.leaseId, keep: true }, { held: 5, spent: [2], rate: 8 }, START + 2_550);
    expect(family.calls.at(-1)).toMatchObject({ keep: true, items: [{ held: 12 }] });
  });

  it("tells the owner of its isolates' spending, later than it was and never earlier", () => {
    const { family, reply } = lending();
    const report = { leaseId: reply.leaseId, keep: true, spanMs: 1_000, binMs: 100 };
    family.ask({ seq: 2, ...report }, { held: 5, spent: [2, 0, 0, 0, 0, 0, 0, 0, 0, 0], rate: 8 }, START + 2_550);
    const { spanMs = 0, binMs = 0, items } = family.calls.at(-1) ?? {};
    const bin = items?.[0]?.spent.indexOf(2) ?? -1;
    const agoMs = bin === 9 ? 0 : spanMs - (bin + 1) * binMs;
    // Spent within the first 100 ms of the second before the message.
    expect(agoMs).toBeGreaterThan(0);
    expect(agoMs).toBeLessThanOrEqual(900 - LEASE_RULES.creditShiftMs);
  });

  it("credits a return once, of the isolate that it lent to, while that lease lives", () => {
    const { family, reply } = lending();
    const back = { seq: 2, leaseId: reply.leaseId, want: 0 };
    family.ask({ ...back, isolate: "thief" }, { held: 7 }, START + 100);
    expect(family.pool).toBe(7);
    family.ask(back, { held: 7 }, START + 100);
    family.ask({ ...back, seq: 3 }, { held: 7 }, START + 100);
    expect(family.pool).toBe(14);
    const other = lending();
    other.family.ask({ ...back, leaseId: other.reply.leaseId }, { held: 7 }, START + 2_600);
    expect(other.family.pool).toBe(7);
  });

  it("lends what a request costs that other owners decide about too, and spends none of it", () => {
    const family = new Family();
    const reply = family.ask({ seq: 1, hold: true, want: 0 }, { cost: 5 }, START);
    expect(reply).toMatchObject({ allowed: true, leaseId: FIRST_ID + 1, items: [{ allowed: true, granted: 5 }] });
    expect([family.pool, family.lent, family.branch.parent.holdings[0]?.spent.bins.every((one) => one === 0)]).toEqual([
      0,
      5,
      true,
    ]);
  });

  it("gives the same reply to the same message", () => {
    const { family, reply } = lending();
    expect(family.ask({ seq: 1 }, { cost: 1, rate: 8 }, START + 50)).toEqual(reply);
    expect(family.pool).toBe(7);
  });

  it("drops what the owner's lease no longer counts", () => {
    const { family, reply } = lending();
    family.state = { ...family.state, leases: { lastId: START, live: [] } };
    family.ask({ seq: 1, isolate: "b" }, { cost: 13 }, START + 100);
    expect(family.ask({ seq: 2, leaseId: reply.leaseId, want: 0 }, { held: 12 }, START + 200).items[0]?.kept).toBe(0);
    expect(family.pool).toBeLessThanOrEqual(family.lent);
  });

  it("refuses what the owner is known not to have, without asking it again", () => {
    const family = new Family();
    family.root(family.message({ isolate: "z", seq: 9 }, { cost: 100 }), START);
    const refused = family.ask({ seq: 1 }, { cost: 10 }, START);
    expect(refused).toMatchObject({ allowed: false, items: [{ allowed: false, retryAfterMs: 100, remaining: 0 }] });
    const replies = [2, 3, 4].map((seq) => family.ask({ seq }, { cost: 10 }, START + 10 * seq));
    expect(replies.map(({ items }) => items[0]?.retryAfterMs)).toEqual([80, 70, 60]);
    expect(family.ask({ seq: 5 }, { cost: 101 }, START + 60).items[0]?.retryAfterMs).toBeNull();
    expect(family.calls).toHaveLength(1);
  });

  it("has requests wait while the owner is asked for another, and asks for one of them after that", () => {
    const family = new Family();
    const [a, b] = ["a", "b"].map((isolate) => family.message({ isolate }, { cost: 1 }));
    if (a === undefined || b === undefined) throw new Error("two messages");
    hear(family.branch, a, START);
    hear(family.branch, b, START);
    const first = serve(family.branch, a, START);
    expect(first).toMatchObject({ kind: "waiting", call: { hold: true } });
    expect(serve(family.branch, b, START)).toEqual({ kind: "waiting", call: undefined });
    family.answer(first, START + 20);
    expect(serve(family.branch, a, START + 20, true)).toMatchObject({ kind: "answered", reply: { allowed: true } });
    expect(serve(family.branch, b, START + 20)).toMatchObject({ kind: "waiting", call: { hold: true } });
  });

  it("says that it cannot know for a while after the owner failed", () => {
    const family = new Family();
    const message = family.message({}, { cost: 1 });
    hear(family.branch, message, START);
    serve(family.branch, message, START);
    failedAtRoot(family.branch, 1, START + 10);
    expect(serve(family.branch, message, START + 10, true)).toEqual({ kind: "failed" });
    expect(serve(family.branch, message, START + 110)).toMatchObject({ kind: "waiting", call: { seq: 2 } });
  });

  it("returns its lease when nobody asks and nothing is lent any more", () => {
    const { family, reply } = lending();
    expect(retireAt(family.branch)).toBe(START + 2_600);
    expect(retire(family.branch, START + 2_599)).toBeUndefined();
    family.ask({ seq: 2, leaseId: reply.leaseId, want: 0 }, { held: 7 }, START + 100);
    const message = retire(family.branch, START + 600);
    expect(message).toMatchObject({ keep: false, want: 0, items: [{ held: 14 }] });
    if (message !== undefined) family.root(message, START + 610);
    expect([family.pool, family.lent]).toEqual([0, 0]);
    expect(retireAt(family.branch)).toBeUndefined();
  });

  it("tells its isolates of shards as long as the owner's word is good", () => {
    const { family } = lending();
    const reply = { ...family.root(family.message({ seq: 99 }, {}), START), shards: { count: 4, ttlMs: 60_000 } };
    answerFromRoot(family.branch, 99, reply, START + 10, LEASE_RULES);
    const told = (now: number) => family.ask({ seq: now, isolate: "b" }, {}, now).shards;
    expect([told(START + 1_010), told(START + 60_010)]).toEqual([{ count: 4, ttlMs: 59_000 }, undefined]);
  });
});
