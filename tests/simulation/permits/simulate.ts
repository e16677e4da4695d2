import { PERMIT_TERMS } from "../../../objects/rate-limiter/permits/permit-borrower.ts";
import { createRandom } from "../random.ts";
import { VirtualClock } from "../virtual-clock.ts";
import { PermitIsolateHost, type PermitSurroundings, type PermitTally } from "./isolate-host.ts";
import { PermitOwnerHost } from "./owner-host.ts";
import type { PermitScenario } from "./scenario.ts";

/** What one run showed. */
export interface PermitOutcome extends PermitTally {
  /** Operations in flight above the limit at worst: 0 is the promise. */
  readonly excess: number;
  readonly mostInFlight: number;
  readonly calls: number;
  readonly callsPerRequest: number;
}

/** A lowered limit holds once the leases of the higher one have ended; the guard is for the isolates' clocks. */
const CUT_MS = PERMIT_TERMS.leaseMs + 100;

/** Runs a scenario: the shipped halves of the protocol, and a world that does to them what the platform may do. */
export function simulatePermits(scenario: PermitScenario): PermitOutcome {
  const clock = new VirtualClock();
  const random = createRandom(scenario.seed);
  const tally: PermitTally = { requests: 0, served: 0, refused: 0, unanswered: 0, cut: 0, keptUp: 0 };
  const limitOf = (version: number) => scenario.limits[version - 1]?.permits ?? 1;
  let newest = 1;
  let limit = limitOf(1);
  let inFlight = 0;
  let excess = 0;
  let mostInFlight = 0;

  const owner = new PermitOwnerHost(clock, random, scenario, ({ policies }) => {
    // A version that the owner never heard of was never in force.
    const version = policies[0]?.configVersion ?? 1;
    if (version <= newest) return;
    newest = version;
    if (limitOf(version) >= limit) limit = limitOf(version);
    else clock.after(CUT_MS, () => (limit = limitOf(newest)));
  });

  const world: PermitSurroundings = { clock, random, scenario, tally, send, begins };

  /** What goes on when a limit is lowered may go on; nothing may begin above it. */
  function begins(): () => void {
    inFlight += 1;
    mostInFlight = Math.max(mostInFlight, inFlight);
    excess = Math.max(excess, inFlight - limit);
    return () => {
      inFlight -= 1;
    };
  }

  function send(...[message, isCutOff, onReply]: Parameters<PermitSurroundings["send"]>): void {
    const { loss, doubled } = scenario.network;
    const arrive = (delayMs: number, hear: typeof onReply) =>
      clock.after(delayMs, () => {
        if (isCutOff() || random.next() < loss) return;
        const reply = owner.receive(message);
        clock.after(oneWay(), () => {
          if (!isCutOff() && random.next() >= loss) hear(reply?.items[0]);
        });
      });
    if (random.next() < doubled) arrive(random.between(0, random.next() < 0.5 ? 300 : 12_000), () => {});
    arrive(oneWay(), onReply);
  }

  function oneWay(): number {
    return Math.max(5, random.lognormal(scenario.network.medianMs, 0.5)) / 2;
  }

  const isolates: PermitIsolateHost[] = [];
  function live(slot: number, generation: number): void {
    let version = 1;
    for (const [index, { at }] of scenario.limits.entries()) if (at <= clock.now) version = index + 1;
    const isolate = new PermitIsolateHost(`${slot}.${generation}`, limitOf(version), version, world);
    isolates[slot] = isolate;
    for (const [index, { at, lagMs }] of scenario.limits.entries()) {
      if (index < version) continue;
      clock.after(at - clock.now + random.between(0, lagMs), () => isolate.configure(limitOf(index + 1), index + 1));
    }
    if (scenario.isolateLifeMs === Infinity) return;
    clock.after(random.exponential(scenario.isolateLifeMs), () => {
      isolate.die();
      live(slot, generation + 1);
    });
  }
  for (let slot = 0; slot < scenario.isolates; slot += 1) live(slot, 1);

  function nextRequest(): void {
    let from = clock.now;
    for (;;) {
      const phase = scenario.traffic.at(from, scenario.isolates);
      const at = phase.rate === 0 ? Infinity : from + random.exponential(1_000 / phase.rate);
      if (at < phase.until) {
        const slot = (phase.first + random.integer(0, phase.spread - 1)) % scenario.isolates;
        clock.after(at - clock.now, () => {
          isolates[slot]?.request();
          nextRequest();
        });
        return;
      }
      if (phase.until > scenario.durationMs) return;
      from = Math.max(phase.until, from + 0.001);
    }
  }

  clock.after(0, nextRequest);
  clock.runUntil(scenario.durationMs);
  const callsPerRequest = tally.requests === 0 ? 0 : owner.calls / tally.requests;
  return { ...tally, excess, mostInFlight, calls: owner.calls, callsPerRequest };
}
