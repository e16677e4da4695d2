import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { remaining } from "../../../objects/rate-limiter/algorithms/allowance.ts";
import { NEW_CLIENT, packClient, unpackClient, type ClientState } from "../../../objects/rate-limiter/client-state.ts";
import { NO_MEMORY, lease, type LeaseMemory } from "../../../objects/rate-limiter/leases/lease-ledger.ts";
import { leaseProblem, type LeaseItem, type LeaseReply } from "../../../objects/rate-limiter/leases/lease-messages.ts";
import type { LimitItem } from "../../../objects/rate-limiter/limit-item.ts";
import { take } from "../../../objects/rate-limiter/ledger.ts";
import { countSpent, newHistogram, restart } from "../../../objects/rate-limiter/leases/spend-histogram.ts";
import { START } from "./arbitraries.ts";
import { leaseMessage } from "./lease-arbitraries.ts";
import { admissions } from "./window-oracle.ts";

const bucket = { tokensPerWindow: 50, windowMs: 1_000, burst: 60 };
const sliding = { algorithm: "sliding-window", tokensPerWindow: 20, windowMs: 1_000, burst: 1 } as const;
const minute = { algorithm: "sliding-window", tokensPerWindow: 90, windowMs: 60_000, burst: 1 } as const;
const second = { algorithm: "fixed-window", tokensPerWindow: 20, windowMs: 1_000, burst: 1 } as const;
const quota = { algorithm: "fixed-window", tokensPerWindow: 60, windowMs: 7_000, burst: 1 } as const;
const calendar = { ...quota, calendar: { unit: "minute", timeZone: "Europe/Berlin" } } as const;
const approximate = {
  algorithm: "approximate-sliding-window",
  tokensPerWindow: 40,
  windowMs: 3_000,
  burst: 1,
} as const;

/** What isolates may do, in any order. */
const anyAct = fc.record({
  isolate: fc.constantFrom("a", "b"),
  gap: fc.oneof(
    { weight: 4, arbitrary: fc.nat({ max: 60 }) },
    { weight: 4, arbitrary: fc.nat({ max: 500 }) },
    { weight: 1, arbitrary: fc.nat({ max: 7_000 }) },
  ),
  /** Spend in the middle of the gap, then send; or only spend. */
  kind: fc.constantFrom("spend", "spend", "renew", "renew", "return", "hold", "take" as const),
  spend: fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 99 })),
  cost: fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat({ max: 20 }) }),
  rate: fc.constantFrom(10, 400, 400),
  isLost: fc.nat({ max: 5 }),
  restarts: fc.nat({ max: 5 }),
});

interface Held {
  readonly id: number | null;
  readonly tokens: readonly number[];
  readonly until: number;
}

const NOTHING: Held = { id: null, tokens: [], until: 0 };

describe("whatever isolates do with leases", () => {
  it.each([
    ["a sliding window of a second", [sliding]],
    ["a sliding window of a minute", [minute]],
    ["a fixed window of a second", [second]],
    ["a quota", [quota]],
    ["a quota of a calendar", [calendar]],
    ["several ways of counting", [bucket, sliding, calendar]],
    ["ways of counting of which one is not lent", [minute, approximate]],
  ])("no window admits more than its limit: %s", (_name, limits) => {
    fc.assert(
      fc.property(fc.array(anyAct, { minLength: 1, maxLength: 60 }), fc.nat({ max: 70_000 }), (acts, later) => {
        run(
          limits.map((limit, index) => ({ policy: `p${index}`, ...limit })),
          acts,
          START + later,
        );
      }),
      { numRuns: 1_000 },
    );
  });
});

type Act = typeof anyAct extends fc.Arbitrary<infer One> ? One : never;

function run(limits: readonly LimitItem[], acts: readonly Act[], start: number): void {
  const admitted = limits.map((limit) => admissions(limit));
  const held = new Map<string, Held>();
  const histograms = new Map<string, ReturnType<typeof newHistogram>[]>();
  let state: ClientState = NEW_CLIENT;
  let memory: LeaseMemory = NO_MEMORY;
  let now = start;

  /** As an isolate spends: of all policies alike, while it has enough of each. */
  function spend(isolate: string, wanted: number): void {
    const mine = held.get(isolate) ?? NOTHING;
    if (mine.id === null || now >= mine.until) return;
    const spent = Math.min(wanted, ...mine.tokens);
    for (const [index, one] of admitted.entries()) {
      one.admit(spent, now);
      const histogram = histograms.get(isolate)?.[index];
      if (histogram !== undefined) countSpent(histogram, spent, now);
    }
    held.set(isolate, { ...mine, tokens: mine.tokens.map((tokens) => tokens - spent) });
  }

  function hear(isolate: string, kept: readonly number[], reply: LeaseReply): void {
    const before = held.get(isolate) ?? NOTHING;
    const tokens = reply.items.map((item, index) => (item.kept > 0 ? (kept[index] ?? 0) : 0) + item.granted);
    const until = reply.leaseId === before.id ? before.until : now + reply.ttlMs;
    held.set(isolate, reply.leaseId === null ? NOTHING : { id: reply.leaseId, tokens, until });
  }

  for (const [seq, act] of acts.entries()) {
    const { isolate } = act;
    now += Math.floor(act.gap / 2);
    spend(isolate, act.spend);
    now += Math.ceil(act.gap / 2);
    if (act.restarts === 0) memory = NO_MEMORY;
    if (act.kind === "spend") continue;
    if (act.kind === "take") {
      const items = limits.map((limit) => ({ ...limit, cost: act.cost, shadow: false }));
      const outcome = take(state, { v: 1, configVersion: 1, client: "client", items }, now);
      state = outcome.state;
      if (outcome.reply.allowed) for (const one of admitted) one.admit(act.cost, now);
      continue;
    }
    const mine = held.get(isolate) ?? NOTHING;
    const keep = act.kind === "renew";
    const spans = histograms.get(isolate) ?? limits.map(newHistogram);
    const holds = act.kind === "hold" && limits.every(({ algorithm }) => algorithm !== "approximate-sliding-window");
    const items = limits.map((limit, index): LeaseItem => {
      const heldNow = mine.tokens[index] ?? 0;
      const spent = [...(spans[index]?.bins ?? [])];
      const cost = keep ? 0 : act.cost;
      return { ...limit, cost, shadow: false, held: heldNow, spent, rate: act.rate, denied: 0 };
    });
    const [first] = spans;
    const { since = now, binMs = 1 } = first ?? {};
    const header = { isolate, seq, leaseId: mine.id, keep, spanMs: now - since, binMs };
    const message = leaseMessage(bucket, { ...header, ...(holds ? { hold: true } : {}), items });
    expect(leaseProblem(message)).toBeUndefined();
    // It has let go of what it returns before the message is sent.
    if (!keep) held.set(isolate, NOTHING);
    const outcome = lease(state, memory, message, now);
    state = outcome.state;
    memory = outcome.memory;
    const { reply } = outcome;
    if (reply.allowed && !holds) for (const one of admitted) one.admit(keep ? 0 : act.cost, now);
    if (reply.allowed && holds) expect(reply.items.every(({ granted }) => granted >= act.cost)).toBe(true);
    for (const histogram of spans) restart(histogram, reply.ttlMs, now);
    histograms.set(isolate, spans);
    if (act.isLost > 0) hear(isolate, mine.tokens, reply);
    expect(unpackClient(packClient(state))).toEqual(state);
    for (const policy of state.policies) expect(remaining(policy)).toBeGreaterThanOrEqual(0);
  }
  for (const one of admitted) expect(one.worst()).toBeLessThanOrEqual(0);
}
