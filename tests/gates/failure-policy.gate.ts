import { DEADLINE_MS, LIMIT, routeOf, startFailingOwners, type Trial, trials } from "../support/failing-owner.ts";
import type { Fault } from "../support/faults.ts";
import { type FaultyGateway, LANES, type LoggedOutcomes, p99Of, together } from "../support/faulty-gateway.ts";
import { Origin } from "../support/origin/origin.ts";
import type { Proof } from "../support/proof.ts";
import { proveWithoutTargetOwners } from "./failing-target-owner.ts";

const ISOLATES = 2;
const REQUESTS = 40 * LANES;
/** Before an owner that has lent tokens fails. */
const FIRST_REQUESTS = 10 * LANES;
const EVICTIONS = 10;
const BETWEEN_EVICTIONS = 4 * LANES;
const MARGIN_MS = 50;
const { requestsPerWindow } = LIMIT;
/** An isolate grants a tenth by itself when its owner never said how many isolates there are, else its part of the whole. */
const LOCAL_UNTOLD = (ISOLATES * requestsPerWindow) / 10;
const LOCAL_TOLD = requestsPerWindow;
/** Faults behind which some calls are answered all the same. */
const SOMETIMES: ReadonlySet<Fault> = new Set(["late", "busy"]);

/** A failing owner costs a request its deadline and no more, and lets nobody pass uncounted but where that is declared. */
export async function run(): Promise<Proof[]> {
  return [...(await proveWithoutLimitOwners()), ...(await proveWithoutTargetOwners())];
}

async function proveWithoutLimitOwners(): Promise<Proof[]> {
  const origin = await Origin.start();
  const owners = await startFailingOwners(origin.url, ISOLATES);
  try {
    // First, so that nothing else is measured on code that runs for the first time.
    const beforeKill = await askKillable(owners);
    const proofs: Proof[] = [];
    for (const trial of trials().filter(({ scene }) => scene === "failing")) proofs.push(await failing(owners, trial));
    for (const trial of trials().filter(({ scene }) => scene === "lent")) proofs.push(await lent(owners, trial));
    for (const trial of trials().filter(({ scene }) => scene === "evicted")) proofs.push(await evicted(owners, trial));
    return [...proofs, ...(await killed(owners, beforeKill))];
  } finally {
    await owners.stop();
    await origin.stop();
  }
}

async function failing(owners: FaultyGateway, trial: Trial): Promise<Proof> {
  const { mode, fault, policy } = trial;
  const outcomes = await failingOutcomes(owners, trial);
  const { statuses, degraded } = outcomes;
  const { 200: passed = 0, 503: closed = 0 } = statuses;
  const mayAnswer = SOMETIMES.has(fault);
  const most = mayAnswer ? "at most " : "";
  const wanted = {
    closed: mayAnswer ? "none degraded" : "all 503",
    local: `${most}${LOCAL_UNTOLD} pass degraded`,
    open: `all pass, ${most}all degraded`,
  };
  const isWanted = {
    closed: degraded === 0 && closed + (mayAnswer ? passed : 0) === REQUESTS,
    local: closed === 0 && (mayAnswer ? degraded <= LOCAL_TOLD : passed === LOCAL_UNTOLD && degraded === passed),
    open: passed === REQUESTS && (mayAnswer || degraded === REQUESTS),
  };
  return judge(`${mode}, the owner fails by ${fault}, declared ${policy}`, wanted[policy], isWanted[policy], outcomes);
}

async function lent(owners: FaultyGateway, trial: Trial): Promise<Proof> {
  const { mode, policy } = trial;
  const before = await owners.ask(routeOf(trial), FIRST_REQUESTS);
  const outcomes = await failingOutcomes(owners, trial);
  const { degraded, statuses } = outcomes;
  const { 200: passed = 0, 503: closed = 0, 429: refused = 0 } = statuses;
  const known = (before.statuses[200] ?? 0) + passed - degraded;
  const wanted = {
    closed: "none degraded",
    local: `<= ${LOCAL_TOLD} pass degraded`,
    open: "all pass",
  };
  const isWanted = {
    closed: degraded === 0 && closed > 0,
    local: closed === 0 && degraded > 0 && degraded <= LOCAL_TOLD,
    // Of what is lent an isolate knows what it refuses; an owner that is silent refuses nobody.
    open: closed === 0 && refused === 0 && degraded > 0,
  };
  const promise = `${mode}, the owner hangs after ${FIRST_REQUESTS} requests, declared ${policy}`;
  const bound = `${wanted[policy]}, <= ${requestsPerWindow} by the owner`;
  return judge(promise, bound, isWanted[policy] && known <= requestsPerWindow, outcomes);
}

async function evicted(owners: FaultyGateway, trial: Trial): Promise<Proof> {
  const { mode, policy } = trial;
  const all: LoggedOutcomes[] = [];
  for (let eviction = 0; eviction < EVICTIONS; eviction += 1) {
    await owners.arm(true);
    all.push(await owners.ask(routeOf(trial), 1));
    await owners.arm(false);
    all.push(await owners.ask(routeOf(trial), BETWEEN_EVICTIONS));
  }
  const degraded = all.reduce((sum, one) => sum + one.degraded, 0);
  const outcomes = { ...together(all), degraded };
  const known = (outcomes.statuses[200] ?? 0) - outcomes.degraded;
  const isWanted = outcomes.degraded <= EVICTIONS && known <= requestsPerWindow && known >= requestsPerWindow / 2;
  const bound = `<= ${EVICTIONS} degraded, <= ${requestsPerWindow} by the owner`;
  return judge(`${mode}, the owner is evicted ${EVICTIONS} times, declared ${policy}`, bound, isWanted, outcomes);
}

async function askKillable(owners: FaultyGateway): Promise<ReadonlyMap<Trial, LoggedOutcomes>> {
  const before = new Map<Trial, LoggedOutcomes>();
  for (const trial of trials()) {
    if (trial.scene === "killed") before.set(trial, await owners.ask(routeOf(trial), FIRST_REQUESTS));
  }
  return before;
}

async function killed(owners: FaultyGateway, before: ReadonlyMap<Trial, LoggedOutcomes>): Promise<Proof[]> {
  await owners.killRuntime();
  const proofs: Proof[] = [];
  for (const [trial, first] of before) {
    const outcomes = await owners.ask(routeOf(trial), REQUESTS);
    const { degraded, statuses } = outcomes;
    const known = (first.statuses[200] ?? 0) + (statuses[200] ?? 0) - degraded;
    const promise = `${trial.mode}, kill -9 after ${FIRST_REQUESTS} requests, declared ${trial.policy}`;
    const bound = `none degraded, <= ${requestsPerWindow} by the owner`;
    proofs.push(judge(promise, bound, degraded === 0 && known <= requestsPerWindow, outcomes));
  }
  return proofs;
}

async function failingOutcomes(owners: FaultyGateway, trial: Trial): Promise<LoggedOutcomes> {
  await owners.arm(true);
  const outcomes = await owners.ask(routeOf(trial), REQUESTS);
  await owners.arm(false);
  return outcomes;
}

function judge(promise: string, bound: string, isWanted: boolean, outcomes: LoggedOutcomes): Proof {
  const { statuses, degraded } = outcomes;
  const p99 = p99Of(outcomes);
  const answers = Object.entries(statuses).map(([status, many]) => `${many} x ${status}`);
  return {
    promise,
    bound: `${bound}, p99 <= ${DEADLINE_MS} + ${MARGIN_MS} ms`,
    figure: `${answers.join(", ")}, ${degraded} degraded, p99 ${p99.toFixed(1)} ms`,
    pass: isWanted && p99 <= DEADLINE_MS + MARGIN_MS,
  };
}
