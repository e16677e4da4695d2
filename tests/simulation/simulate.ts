import type { ClientState } from "../../objects/rate-limiter/client-state.ts";
import type { LeaseMessage, LeaseReply } from "../../objects/rate-limiter/leases/lease-messages.ts";
import { IdealLimiter } from "./checker.ts";
import { IsolateHost, type Surroundings, type Tally } from "./isolate-host.ts";
import { OwnerHost } from "./owner-host.ts";
import { createRandom } from "./random.ts";
import { ShardHost } from "./shard-host.ts";
import type { Scenario } from "./scenario.ts";
import { VirtualClock } from "./virtual-clock.ts";
import { Watch } from "./watch.ts";

/** Tokens that passed at a time. */
export interface Admission {
  readonly at: number;
  readonly tokens: number;
}

/** What one run showed. */
export interface Outcome extends Tally {
  /** Tokens above burst + rate * t in the worst interval of any policy: 0 is the promise. */
  readonly overAdmission: number;
  /**
   * The most tokens that isolates and shards might have spent at some instant beyond those that the owner counted as
   * lent, looked for every 20 ms: what makes over-admission possible, whether anyone profits from it or not.
   */
  readonly uncounted: number;
  /** Tokens that an all-knowing limiter would have let through of the same requests. */
  readonly ideal: number;
  /** 1 - served / ideal. */
  readonly underUse: number;
  /** The same of the second half of the run, and calls per request in it. */
  readonly lateUnderUse: number;
  readonly lateCallsPerRequest: number;
  /** Of isolates, to the owner or its shards. */
  readonly calls: number;
  readonly callsPerRequest: number;
  /** The most in a second: at the owner itself, and at any of its shards; those of the second half of the run. */
  readonly rootPeak: number;
  readonly shardPeak: number;
  /** At the owner itself in a second, on average over the second half of the run. */
  readonly rootCallsPerSecond: number;
  readonly shards: number;
  readonly waitingShare: number;
  readonly rows: number;
  /** Every admission under the first policy, in the order of time. */
  readonly admissions: readonly Admission[];
}

const LOOK_MS = 20;

/** Runs a scenario: the shipped halves of the protocol, and a world that does to them what the platform may do. */
export function simulate(scenario: Scenario): Outcome {
  const clock = new VirtualClock();
  const random = createRandom(scenario.seed);
  const [initial] = scenario.configurations;
  if (initial === undefined) throw new Error("a scenario needs a configuration");
  const shadows = new Map(initial.limits.map((limit) => [limit.policy, new Watch(limit)]));
  const ideal = new IdealLimiter(initial.limits);
  const admissions: Admission[] = [];
  let newest = 1;
  let calls = 0;

  const owner = new OwnerHost(clock, random, scenario, (message, reply, state, before) => {
    // A version that the owner never heard of was never in force.
    if (newest < message.configVersion) {
      newest = message.configVersion;
      for (const limit of scenario.configurations[newest - 1]?.limits ?? []) {
        const held = Math.max(lentOf(before, limit.policy), lentOf(state, limit.policy));
        shadows.get(limit.policy)?.change(limit, held, Math.floor(clock.now));
      }
    }
    decided(message, reply);
  });

  /** What is held is lent, and spent by its isolate. */
  function decided(message: LeaseMessage, reply: LeaseReply): void {
    if (!reply.allowed || message.hold === true) return;
    for (const [index, { policy, cost }] of message.items.entries()) {
      if (cost > 0 && reply.items[index]?.allowed === true) admit(policy, cost);
    }
  }

  const shards = new Map<number, ShardHost>();
  function shardAt(index: number): ShardHost {
    const known = shards.get(index);
    if (known !== undefined) return known;
    const toRoot = (message: LeaseMessage, onReply: (reply: LeaseReply | undefined) => void) =>
      send(message, undefined, onReply);
    const made = new ShardHost({ name: `shard ${index}`, clock, random, scenario, toRoot, onDecision: decided });
    shards.set(index, made);
    return made;
  }

  const tally: Tally = {
    requests: 0,
    served: 0,
    refusedHere: 0,
    refusedByOwner: 0,
    unanswered: 0,
    waited: 0,
    refusedAfterWaiting: 0,
  };
  const surroundings: Surroundings = {
    clock,
    random,
    scenario,
    send,
    spentHere: admit,
  };

  function admit(policy: string, tokens: number): void {
    if (tokens === 0) return;
    const at = Math.floor(clock.now);
    shadows.get(policy)?.admit(tokens, at);
    if (policy === initial?.limits[0]?.policy) admissions.push({ at, tokens });
  }

  function send(
    message: LeaseMessage,
    shard: number | undefined,
    onReply: (reply: LeaseReply | undefined) => void,
  ): void {
    const { loss, doubled, doubledReturns } = scenario.network;
    const target = shard === undefined ? owner : shardAt(shard);
    const arrive = (delayMs: number, hear: (reply: LeaseReply | undefined) => void) =>
      clock.after(delayMs, () => {
        target.receive(message, (reply) => {
          if (random.next() >= loss && !isCutOff(message)) clock.after(oneWay(), () => hear(reply));
        });
      });
    if (message.shard === undefined) calls += 1;
    const isReturn = message.leaseId !== null && !message.keep && message.want === 0;
    if (random.next() < (isReturn ? Math.max(doubled, doubledReturns) : doubled))
      arrive(random.between(0, random.next() < 0.5 ? 300 : 12_000), () => {});
    if (random.next() >= loss && !isCutOff(message)) arrive(oneWay(), onReply);
  }

  function isCutOff(message: LeaseMessage): boolean {
    const { everyMs, forMs } = scenario.sharding?.cutOff ?? { everyMs: 1, forMs: 0 };
    return message.shard !== undefined && clock.now % everyMs > everyMs - forMs;
  }

  function oneWay(): number {
    return Math.min(120, Math.max(5, random.lognormal(scenario.network.medianMs, 0.5))) / 2;
  }

  const isolates: IsolateHost[] = [];
  function live(slot: number, generation: number): void {
    let version = 0;
    for (const [index, { at }] of scenario.configurations.entries()) if (at <= clock.now) version = index;
    const isolate = new IsolateHost(
      `${slot}.${generation}`,
      scenario.configurations[version]?.limits ?? [],
      version + 1,
      tally,
      surroundings,
    );
    isolates[slot] = isolate;
    for (const [index, { at, lagMs, limits: next }] of scenario.configurations.entries()) {
      if (index > version)
        clock.after(at - clock.now + random.between(0, lagMs), () => isolate.configure(next, index + 1));
    }
    if (scenario.isolateLifeMs === Infinity) return;
    clock.after(random.exponential(scenario.isolateLifeMs), () => {
      isolate.die();
      live(slot, generation + 1);
    });
  }
  for (let slot = 0; slot < scenario.isolates; slot++) live(slot, 1);

  function nextRequest(): void {
    let from = clock.now;
    for (;;) {
      const phase = scenario.traffic.at(from, scenario.isolates);
      const at = phase.rate === 0 ? Infinity : from + random.exponential(1_000 / phase.rate);
      if (at < phase.until) {
        const slot = (phase.first + random.integer(0, phase.spread - 1)) % scenario.isolates;
        clock.after(at - clock.now, () => request(slot));
        return;
      }
      if (phase.until > scenario.durationMs) return;
      // A phase may end at the very time that rounding says it begins.
      from = Math.max(phase.until, from + 0.001);
    }
  }

  function request(slot: number): void {
    const cost = random.integer(...scenario.costs);
    ideal.ask(cost, clock.now);
    isolates[slot]?.request(cost);
    nextRequest();
  }

  clock.after(0, nextRequest);
  let uncounted = 0;
  function look(): void {
    for (const { policy } of initial?.limits ?? []) {
      let tokens = -owner.lent(policy);
      for (const shard of shards.values()) tokens += shard.spendable(policy);
      for (const isolate of isolates) tokens += isolate.spendable(policy);

      uncounted = Math.max(uncounted, tokens);
    }
    clock.after(LOOK_MS, look);
  }
  look();
  clock.runUntil(scenario.durationMs / 2);
  const early = { served: tally.served, ideal: ideal.tokens, requests: tally.requests, calls };
  clock.runUntil(scenario.durationMs);
  const half = Math.floor(scenario.durationMs / 2_000);
  const rootCalls = owner.callsBySecond.slice(half);
  const shardCalls = [...shards.values()].flatMap(({ callsBySecond }) => callsBySecond.slice(half));
  return {
    ...tally,
    overAdmission: Math.max(...[...shadows.values()].map(({ worstDeficit }) => worstDeficit)),
    uncounted,
    ideal: ideal.tokens,
    underUse: ideal.tokens === 0 ? 0 : 1 - tally.served / ideal.tokens,
    lateUnderUse: 1 - (tally.served - early.served) / Math.max(1, ideal.tokens - early.ideal),
    lateCallsPerRequest: (calls - early.calls) / Math.max(1, tally.requests - early.requests),
    calls,
    callsPerRequest: tally.requests === 0 ? 0 : calls / tally.requests,
    rootPeak: Math.max(0, ...rootCalls.map((count) => count ?? 0)),
    shardPeak: Math.max(0, ...shardCalls.map((count) => count ?? 0)),
    rootCallsPerSecond: rootCalls.reduce((sum, count) => sum + (count ?? 0), 0) / Math.max(1, rootCalls.length),
    shards: shards.size,
    waitingShare: tally.requests === 0 ? 0 : tally.waited / tally.requests,
    rows: owner.rows,
    admissions,
  };
}

/** Tokens of a policy on live leases. */
function lentOf({ leases }: ClientState, policy: string): number {
  let tokens = 0;
  for (const lease of leases?.live ?? []) if (lease.policy === policy) tokens += lease.tokens;
  return tokens;
}
