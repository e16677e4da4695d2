import { DEADLINE_MS } from "../support/failing-owner.ts";
import {
  OPEN_MS,
  openBreakers,
  startFailingTargetOwners,
  startFickleOrigin,
  targetRouteOf,
  targetTrials,
  type TargetScene,
  type TargetTrial,
} from "../support/failing-target-owner.ts";
import { type FaultyGateway, LANES, type Outcomes, p99Of, together } from "../support/faulty-gateway.ts";
import type { Proof } from "../support/proof.ts";

const ISOLATES = 2;
const REQUESTS = 40 * LANES;
const MARGIN_MS = 50;
const EVICTIONS = 10;
/** After the open time: the isolates' patience with a silent owner, and then the pause that each makes by itself. */
const FLOWS_MS = 5_000;
/** A route that passes for so long is taken to flow. */
const QUIET_MS = 2_000;
const PATIENCE_MS = 30_000;
/** How often clients come that are refused. */
const COMES_AGAIN_MS = 50;
/** Of a target that fails, before each isolate has seen enough of it, and what it tries again. */
const OUTAGE_SHARE = 0.25;
/** Requests that a fresh isolate lets pass until it has heard that a breaker is open. */
const UNHEARD = 5 * LANES;

/** A failing owner of targets costs nothing while a breaker is closed, and nobody's way for long when it was open. */
export async function proveWithoutTargetOwners(): Promise<Proof[]> {
  const origin = await startFickleOrigin();
  const owners = await startFailingTargetOwners(origin.url, ISOLATES);
  try {
    const proofs: Proof[] = [];
    for (const trial of of("killed")) await openBreakers(owners, trial);
    await owners.killRuntime();
    for (const trial of of("killed")) proofs.push(await killed(owners, trial));
    for (const trial of [...of("closed"), ...of("both")]) proofs.push(await closed(owners, trial));
    for (const trial of of("half-open")) proofs.push(await halfOpen(owners, trial));
    for (const trial of of("outage")) proofs.push(await outage(owners, trial));
    for (const trial of of("evicted")) proofs.push(await evicted(owners, trial));
    return proofs;
  } finally {
    await owners.stop();
    await origin.stop();
  }
}

function of(scene: TargetScene): readonly TargetTrial[] {
  return targetTrials().filter((trial) => trial.scene === scene);
}

async function closed(owners: FaultyGateway, trial: TargetTrial): Promise<Proof> {
  await owners.send(targetRouteOf(trial), LANES);
  await owners.arm(true);
  const outcomes = await owners.send(targetRouteOf(trial), REQUESTS);
  await owners.arm(false);
  const whose = trial.scene === "both" ? "owners of target and limit fail" : "the owner of the target fails";
  const promise = `${trial.mode}, breaker closed, ${whose} by ${trial.fault}`;
  return judge(promise, "all pass", outcomes.statuses[200] === REQUESTS, outcomes);
}

async function halfOpen(owners: FaultyGateway, trial: TargetTrial): Promise<Proof> {
  await openBreakers(owners, trial);
  await owners.arm(true);
  const since = performance.now();
  let refusedAt = since;
  const all: Outcomes[] = [];
  // Among those that pass at once afterwards, and thousands that are refused at once, nobody would see who had to wait.
  let untilFlowing: readonly Outcomes[] = [];
  for (let now = since; now < refusedAt + QUIET_MS && now < since + PATIENCE_MS; now = performance.now()) {
    const outcomes = await owners.send(targetRouteOf(trial), LANES);
    all.push(outcomes);
    if (outcomes.statuses[200] !== LANES) {
      refusedAt = performance.now();
      untilFlowing = [...all];
    }
    await new Promise((resolve) => setTimeout(resolve, COMES_AGAIN_MS));
  }
  await owners.arm(false);
  const { 200: passed = 0, 503: refused = 0 } = together(all).statuses;
  const flowsMs = refusedAt - since;
  const isWanted = flowsMs <= OPEN_MS + FLOWS_MS && passed + refused === all.length * LANES;
  const promise = `${trial.mode}, breaker open for ${OPEN_MS} ms, then the owner of the target fails by ${trial.fault}`;
  const proof = judge(promise, `all pass after <= ${OPEN_MS + FLOWS_MS} ms`, isWanted, together(untilFlowing));
  return { ...proof, figure: `after ${flowsMs.toFixed(0)} ms, till then ${proof.figure}` };
}

async function outage(owners: FaultyGateway, trial: TargetTrial): Promise<Proof> {
  await owners.arm(true);
  const outcomes = await owners.send(targetRouteOf(trial), REQUESTS, "/fail");
  await owners.arm(false);
  const { 500: reached = 0, 503: refused = 0 } = outcomes.statuses;
  const most = REQUESTS * OUTAGE_SHARE;
  const isWanted = reached <= most && reached + refused === REQUESTS;
  return judge(
    `${trial.mode}, the target fails, and its owner by ${trial.fault}`,
    `<= ${most} reach it`,
    isWanted,
    outcomes,
  );
}

async function evicted(owners: FaultyGateway, trial: TargetTrial): Promise<Proof> {
  const all: Outcomes[] = [];
  for (let eviction = 0; eviction < EVICTIONS; eviction += 1) {
    await owners.arm(true);
    all.push(await owners.send(targetRouteOf(trial), LANES));
    await owners.arm(false);
    all.push(await owners.send(targetRouteOf(trial), LANES));
  }
  const outcomes = together(all);
  const promise = `${trial.mode}, the owner of the target is evicted ${EVICTIONS} times`;
  return judge(promise, "all pass", outcomes.statuses[200] === outcomes.times.length, outcomes);
}

async function killed(owners: FaultyGateway, trial: TargetTrial): Promise<Proof> {
  const outcomes = await owners.send(targetRouteOf(trial), REQUESTS);
  const { 200: passed = 0, 503: refused = 0 } = outcomes.statuses;
  const isWanted = passed <= UNHEARD && passed + refused === REQUESTS;
  return judge(`${trial.mode}, kill -9 while the breaker is open`, `<= ${UNHEARD} pass`, isWanted, outcomes);
}

function judge(promise: string, bound: string, isWanted: boolean, outcomes: Outcomes): Proof {
  const p99 = p99Of(outcomes);
  const answers = Object.entries(outcomes.statuses).map(([status, many]) => `${many} x ${status}`);
  return {
    promise,
    bound: `${bound}, p99 <= ${DEADLINE_MS} + ${MARGIN_MS} ms`,
    figure: `${answers.join(", ")}, p99 ${p99.toFixed(1)} ms, slowest ${Math.max(...outcomes.times).toFixed(0)} ms`,
    pass: isWanted && p99 <= DEADLINE_MS + MARGIN_MS,
  };
}
