import type { Attempt } from "../../../objects/circuit-breaker/breaker-admission.ts";
import type { BreakerReply, BreakerReport } from "../../../objects/circuit-breaker/breaker-messages.ts";
import type { CircuitKind, Transition } from "../../../objects/circuit-breaker/circuit.ts";
import type { Outcome } from "../../../objects/circuit-breaker/outcome.ts";
import { createRandom } from "../random.ts";
import { VirtualClock } from "../virtual-clock.ts";
import { Checker } from "./checker.ts";
import { IsolateHost, type Surroundings } from "./isolate-host.ts";
import { EPOCH, OwnerHost } from "./owner-host.ts";
import { WELL, type Health, type Scenario } from "./scenario.ts";

/** What one run showed. */
export interface Result {
  readonly requests: number;
  readonly refused: number;
  /** Refused in the last second of the run. */
  readonly refusedAtLast: number;
  /** When an ordinary call last began, before each step of the target's health and at the end; probes not counted. */
  readonly lastPasses: readonly number[];
  /** When a request was last refused. */
  readonly lastRefusal: number;
  /** When the breaker opened, each time. */
  readonly openAt: readonly number[];
  /** When the breaker began to probe, each time. */
  readonly halfOpenAt: readonly number[];
  /** Ordinary calls that began while the target was not well. */
  readonly wasted: number;
  readonly mostProbes: number;
  readonly calls: number;
  readonly callsPerRequest: number;
  readonly callsPerSecond: number;
  /** The most messages at the owner within any second. */
  readonly peak: number;
  readonly rows: number;
  readonly transitions: readonly Transition[];
  /** Transitions that nothing in their epoch explains: none is the promise. */
  readonly unexplained: readonly Transition[];
  readonly finally: CircuitKind;
}

interface End {
  readonly isolate: IsolateHost;
  readonly attempt: Attempt;
  readonly outcome: Outcome;
}

/** Runs a scenario: the shipped halves of the protocol, and a world that does to them what the platform may do. */
export function simulate(scenario: Scenario): Result {
  const { tickMs, durationMs, policy } = scenario;
  const clock = new VirtualClock();
  const random = createRandom(scenario.seed);
  const checker = new Checker(policy);
  const owner = new OwnerHost(clock, random, scenario, (before, after) => checker.wrote(before, after));
  const ends = new Map<number, End[]>();
  const steps = [...scenario.health.map(({ at }) => at), durationMs];
  const lastPasses = steps.map(() => -Infinity);
  const tally = { requests: 0, refused: 0, refusedAtLast: 0, wasted: 0, lastRefusal: -Infinity };
  let health: Health = WELL;

  const surroundings: Surroundings = {
    clock,
    random,
    scenario,
    send,
    begin,
    refused() {
      tally.refused += 1;
      tally.lastRefusal = clock.now;
      if (clock.now >= durationMs - 1_000) tally.refusedAtLast += 1;
    },
  };

  function send(report: BreakerReport, onReply: (reply: BreakerReply | undefined) => void): void {
    const isQuiet = clock.now >= scenario.quietFrom;
    const lost = () => !isQuiet && random.next() < scenario.network.loss;
    if (!isQuiet && random.next() < scenario.network.doubled) {
      clock.after(random.between(0, 12_000), () => owner.receive(report, () => {}));
    }
    if (lost()) return;
    clock.after(oneWay(), () =>
      owner.receive(report, (reply) => {
        if (!lost()) clock.after(oneWay(), () => onReply(reply));
      }),
    );
  }

  function oneWay(): number {
    return Math.min(120, Math.max(5, random.lognormal(scenario.network.medianMs, 0.5))) / 2;
  }

  function begin(isolate: IsolateHost, attempt: Attempt): void {
    const isProbe = attempt.probe !== undefined;
    if (!isProbe) {
      if (health.failing > 0 || health.hanging > 0) tally.wasted += 1;
      lastPasses[steps.findIndex((at) => clock.now < at)] = clock.now;
    }
    const [outcome, tookMs] = fate(isolate);
    const abortMs = attempt.probe === undefined ? Infinity : Math.max(0, isolate.until(attempt.probe.deadlineAt));
    const limitMs = Math.min(policy.operationTimeoutMs, abortMs);
    const end = tookMs < limitMs ? { outcome, ms: tookMs } : { outcome: "failure" as const, ms: limitMs };
    if (isProbe) checker.probeBegan();
    const at = Math.ceil((clock.now + end.ms) / tickMs);
    const bucket = ends.get(at);
    const entry = { isolate, attempt, outcome: end.outcome };
    if (bucket === undefined) ends.set(at, [entry]);
    else bucket.push(entry);
  }

  function fate({ isSick }: IsolateHost): readonly [Outcome, number] {
    const latencyMs = random.between(0.5, 1.5) * health.latencyMs;
    if (isSick) return ["failure", latencyMs / 10];
    const draw = random.next();
    if (draw < health.failing) return ["failure", latencyMs / 10];
    if (draw < health.failing + health.hanging) return ["failure", Infinity];
    if (draw < health.failing + health.hanging + health.neutral) return ["neutral", latencyMs];
    return ["success", latencyMs];
  }

  const isolates: IsolateHost[] = [];
  function live(slot: number, generation: number): void {
    const isolate = new IsolateHost(`isolate ${slot}.${generation}`, slot < scenario.sick, surroundings);
    isolates[slot] = isolate;
    if (scenario.isolateLifeMs === Infinity) return;
    clock.after(random.exponential(scenario.isolateLifeMs), () => {
      if (clock.now >= scenario.quietFrom) return;
      isolate.isDead = true;
      live(slot, generation + 1);
    });
  }
  for (let slot = 0; slot < scenario.isolates; slot++) live(slot, 1);

  const [silentFrom, silentTo] = scenario.silence;
  const perTick = (scenario.rate / scenario.isolates) * (tickMs / 1_000);
  for (let tick = 0; tick * tickMs < durationMs; tick++) {
    clock.runUntil(tick * tickMs);
    health = scenario.health.findLast(({ at }) => at <= clock.now) ?? WELL;
    for (const { isolate, attempt, outcome } of ends.get(tick) ?? []) {
      const isProbe = attempt.probe !== undefined;
      if (isProbe) checker.probeEnded();
      if (isolate.isDead) continue;
      checker.learnt(attempt.epoch, isProbe, outcome);
      isolate.settle(attempt, outcome);
    }
    ends.delete(tick);
    for (const isolate of isolates) {
      isolate.tick();
      if (clock.now >= silentFrom && clock.now < silentTo) continue;
      const none = Math.exp(-perTick * (isolate.isSick ? scenario.sickLoad : 1));
      // Knuth: fine where few requests fall into a tick.
      for (let product = random.next(); product > none; product *= random.next()) {
        tally.requests += 1;
        isolate.request();
      }
    }
  }
  const { arrivals } = owner;
  const enteredAt = (kind: CircuitKind) =>
    checker.transitions.filter(({ to }) => to === kind).map(({ at }) => at - EPOCH);
  return {
    ...tally,
    lastPasses,
    openAt: enteredAt("open"),
    halfOpenAt: enteredAt("half-open"),
    mostProbes: checker.mostProbes,
    calls: arrivals.length,
    callsPerRequest: arrivals.length / Math.max(1, tally.requests),
    callsPerSecond: (arrivals.length * 1_000) / durationMs,
    peak: mostWithinSecond(arrivals),
    rows: owner.rows,
    transitions: checker.transitions,
    unexplained: checker.unexplained,
    finally: owner.state.circuit.kind,
  };
}

function mostWithinSecond(times: readonly number[]): number {
  let most = 0;
  let first = 0;
  for (const [last, at] of times.entries()) {
    while ((times[first] ?? at) <= at - 1_000) first += 1;
    most = Math.max(most, last - first + 1);
  }
  return most;
}
