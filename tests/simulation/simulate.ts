import type { LeaseMessage, LeaseReply } from "../../objects/rate-limiter/lease-messages.ts";
import { IdealLimiter, ShadowBucket } from "./checker.ts";
import { IsolateHost, type Surroundings, type Tally } from "./isolate-host.ts";
import { OwnerHost } from "./owner-host.ts";
import { createRandom } from "./random.ts";
import type { Scenario } from "./scenario.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** Tokens that passed at a time. */
export interface Admission {
  readonly at: number;
  readonly tokens: number;
}

/** What one run showed. */
export interface Outcome extends Tally {
  /** Tokens above burst + rate * t in the worst interval of any policy: 0 is the promise. */
  readonly overAdmission: number;
  /** Tokens that an all-knowing limiter would have let through of the same requests. */
  readonly ideal: number;
  /** 1 - served / ideal. */
  readonly underUse: number;
  readonly calls: number;
  readonly callsPerRequest: number;
  readonly waitingShare: number;
  readonly rows: number;
  /** Every admission under the first policy, in the order of time. */
  readonly admissions: readonly Admission[];
}

/** Runs a scenario: the shipped halves of the protocol, and a world that does to them what the platform may do. */
export function simulate(scenario: Scenario): Outcome {
  const clock = new VirtualClock();
  const random = createRandom(scenario.seed);
  const [initial] = scenario.configurations;
  if (initial === undefined) throw new Error("a scenario needs a configuration");
  const shadows = new Map(initial.limits.map((limit) => [limit.policy, new ShadowBucket(limit)]));
  const ideal = new IdealLimiter(initial.limits);
  const admissions: Admission[] = [];
  let newest = 1;

  const owner = new OwnerHost(clock, random, scenario, (message, reply, state) => {
    // A version that the owner never heard of was never in force.
    if (newest < message.configVersion) {
      newest = message.configVersion;
      for (const limit of scenario.configurations[newest - 1]?.limits ?? []) {
        const held = state.policies.find(({ policy }) => policy === limit.policy)?.bucket.outstanding ?? 0;
        shadows.get(limit.policy)?.change(limit, held, Math.floor(clock.now));
      }
    }
    if (!reply.allowed) return;
    for (const [index, { policy, cost }] of message.items.entries()) {
      if (cost > 0 && reply.items[index]?.allowed === true) admit(policy, cost);
    }
  });

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

  function send(message: LeaseMessage, onReply: (reply: LeaseReply | undefined) => void): void {
    const { loss, doubled, doubledReturns } = scenario.network;
    const arrive = (delayMs: number, hear: (reply: LeaseReply | undefined) => void) =>
      clock.after(delayMs, () => {
        owner.receive(message, (reply) => {
          if (random.next() >= loss) clock.after(oneWay(), () => hear(reply));
        });
      });
    const isReturn = message.leaseId !== null && !message.keep && message.want === 0;
    if (random.next() < (isReturn ? Math.max(doubled, doubledReturns) : doubled))
      arrive(random.between(0, random.next() < 0.5 ? 300 : 12_000), () => {});
    if (random.next() >= loss) arrive(oneWay(), onReply);
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
  clock.runUntil(scenario.durationMs);
  return {
    ...tally,
    overAdmission: Math.max(...[...shadows.values()].map(({ worstDeficit }) => worstDeficit)),
    ideal: ideal.tokens,
    underUse: ideal.tokens === 0 ? 0 : 1 - tally.served / ideal.tokens,
    calls: owner.calls,
    callsPerRequest: tally.requests === 0 ? 0 : owner.calls / tally.requests,
    waitingShare: tally.requests === 0 ? 0 : tally.waited / tally.requests,
    rows: owner.rows,
    admissions,
  };
}
