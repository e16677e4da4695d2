import { createRandom } from "../random.ts";
import { VirtualClock } from "../virtual-clock.ts";
import { EgressChecker, type End } from "./checker.ts";
import { QuotaIsolateHost, type EgressSurroundings } from "./isolate-host.ts";
import { QuotaOwnerHost } from "./owner-host.ts";
import type { EgressScenario } from "./scenario.ts";

/** What one run showed. */
export interface EgressOutcome {
  readonly ends: Readonly<Record<End, number>>;
  /** The most requests that started within any window: the quota's number is the promise. */
  readonly most: number;
  /** The least between two starts. */
  readonly leastMs: number;
  readonly unfairness: number;
  /** The most that anybody waited beyond his deadline. */
  readonly latestMs: number;
  readonly inPause: number;
  readonly starts: readonly { readonly at: number; readonly client: string }[];
  /** Of those that started. */
  readonly waits: readonly number[];
  readonly calls: number;
  readonly rows: number;
}

/** Runs a scenario: the shipped halves of the protocol, and a world that does to them what the platform may do. */
export function simulateEgress(scenario: EgressScenario): EgressOutcome {
  const clock = new VirtualClock();
  const random = createRandom(scenario.seed);
  const checker = new EgressChecker(scenario);
  const owner = new QuotaOwnerHost(clock, random, scenario, (ms) => {
    // By the owner's clock, which may run fast and be late when it is read.
    const { driftPpm, staleMs } = scenario.clocks;
    if (ms > 0) checker.paused(clock.now, clock.now + ms * (1 - driftPpm / 1e6) - staleMs - 2);
  });
  const { loss, doubled, late } = scenario.network;

  function oneWay(): number {
    const lateMs = random.next() < late ? random.between(0, 3_000) : 0;
    return Math.max(2, random.lognormal(scenario.network.medianMs, 0.5)) / 2 + lateMs;
  }

  /** Takes a message there, perhaps twice, perhaps not at all. */
  function send(deliver: () => void, onLost: () => void = () => {}): void {
    if (random.next() < doubled) clock.after(random.between(0, 3_000), deliver);
    if (random.next() >= loss) clock.after(oneWay(), deliver);
    else if (random.next() < 0.5) clock.after(random.between(0, 2_000), onLost);
  }

  const world: EgressSurroundings = {
    clock,
    random,
    scenario,
    acquire(message, onReply) {
      let isFirst = true;
      const fail = () => onReply(undefined);
      send(() => {
        const isRepeated = !isFirst;
        isFirst = false;
        owner.acquire(message, (reply) => {
          // Nobody listens to the answer to a message that the network has doubled.
          if (isRepeated) return;
          if (random.next() >= loss) clock.after(oneWay(), () => onReply(reply));
          else if (random.next() < 0.5) clock.after(random.between(0, 2_000), fail);
        });
      }, fail);
    },
    signal: (message) => send(() => owner.signal(message)),
    release: (message) => send(() => owner.release(message)),
    call(client, onAnswer) {
      checker.started(clock.now, client);
      const throttling = scenario.throttling.find(({ from, to }) => clock.now >= from && clock.now < to);
      const status = throttling === undefined ? 200 : 429;
      clock.after(random.between(20, 80), () => onAnswer(status, throttling?.retryAfterMs ?? undefined));
    },
    ended: (request, end) => checker.ended(clock.now, request, end),
  };

  const isolates: QuotaIsolateHost[] = [];
  function live(slot: number, generation: number): void {
    isolates[slot] = new QuotaIsolateHost(`${slot}.${generation}`, world);
    if (scenario.isolateLifeMs === Infinity) return;
    clock.after(random.exponential(scenario.isolateLifeMs), () => {
      isolates[slot]?.die();
      live(slot, generation + 1);
    });
  }
  for (let slot = 0; slot < scenario.isolates; slot += 1) live(slot, 1);
  for (const arrival of scenario.arrivals) {
    clock.after(arrival.at, () => {
      checker.came(arrival.client);
      isolates[random.integer(0, scenario.isolates - 1)]?.request(arrival);
    });
  }
  clock.runUntil(scenario.durationMs);
  const { ends, starts, waits, latestMs, inPause, unfairness } = checker;
  return {
    ends,
    starts,
    waits,
    latestMs,
    inPause,
    unfairness,
    ...checker.seen(),
    calls: owner.calls,
    rows: owner.rows,
  };
}
