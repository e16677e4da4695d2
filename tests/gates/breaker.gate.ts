import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BackendFleet } from "../support/backend-fleet.ts";
import {
  comeHalfOpen,
  failuresUntilRefused,
  HASTY_MS,
  ISOLATES,
  OPEN_MS,
  openAt,
  openEverywhere,
  passedEverywhere,
  type Place,
  PROBES,
  startBreakerFleet,
  targetOf,
  THRESHOLD,
  toldOf,
} from "../support/breaker-fleet.ts";
import type { Manner } from "../support/origin/manner.ts";
import type { TargetProcess } from "../support/origin/target-process.ts";
import type { Proof } from "../support/proof.ts";

const CLIENTS = 200;
const ROUNDS = 4;
const OPENS_WITHIN_MS = 1_000;
const UNAVAILABLE: Manner = { kind: "answer", status: 503 };
const HANGING: Manner = { kind: "hold" };
const WELL: Manner = { kind: "answer", status: 200 };
const RECOVERS_WITHIN_MS = OPEN_MS + 1_000;

/** One breaker for all isolates, on real sockets: opens everywhere, probes by the number, recovers, survives kill -9. */
export async function run(): Promise<Proof[]> {
  const state = mkdtempSync(join(tmpdir(), "sluice-state-"));
  const fleet = await startBreakerFleet(state);
  try {
    return [
      ...(await outages(fleet, "a killed target", "short", { mostMs: OPENS_WITHIN_MS, ...killed(targetOf(fleet, 0)) })),
      ...(await outages(fleet, "one that answers 503", "hasty", {
        mostMs: OPENS_WITHIN_MS,
        ...behaving(targetOf(fleet, 2), UNAVAILABLE),
      })),
      ...(await outages(fleet, "one that hangs", "hasty", {
        mostMs: HASTY_MS + OPENS_WITHIN_MS,
        ...behaving(targetOf(fleet, 2), HANGING),
      })),
      await probes(fleet),
      ...(await survival(fleet)),
    ];
  } finally {
    await fleet.stop();
    rmSync(state, { recursive: true, force: true });
  }
}

/** An outage: how it begins and ends, and how long until all isolates refuse. */
interface Outage {
  readonly target: TargetProcess;
  begin(): Promise<void>;
  end(): Promise<void>;
  readonly mostMs: number;
}

function killed(target: TargetProcess): Omit<Outage, "mostMs"> {
  return { target, begin: () => target.kill(), end: () => target.restart() };
}

function behaving(target: TargetProcess, manner: Manner): Omit<Outage, "mostMs"> {
  return { target, begin: () => target.behave(manner), end: () => target.behave(WELL) };
}

/** Some outages, while clients come to every isolate; the first comes when the object has just started. */
async function outages(fleet: BackendFleet, what: string, place: Place, outage: Outage): Promise<readonly Proof[]> {
  const opened: number[] = [];
  const recovered: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    await passedEverywhere(fleet, `/${place}/a`);
    await outage.begin();
    opened.push(await openEverywhere(fleet, place, outage.target));
    await outage.end();
    recovered.push(await passedEverywhere(fleet, `/${place}/a`));
  }
  return [
    within(`${what}: until the breaker is open for all of ${ISOLATES} isolates`, opened, outage.mostMs),
    within(`${what}, from its return until all pass; open for ${OPEN_MS} ms at a time`, recovered, RECOVERS_WITHIN_MS),
  ];
}

async function probes(fleet: BackendFleet): Promise<Proof> {
  const target = targetOf(fleet, 0);
  const met: number[] = [];
  let refusals = 0;
  let isServed = true;
  for (let round = 0; round < ROUNDS; round += 1) {
    await target.kill();
    await openEverywhere(fleet, "short", target);
    const halfOpen = await comeHalfOpen(fleet, target, "/short/a", CLIENTS);
    met.push(halfOpen.probes);
    refusals += halfOpen.refusals;
    isServed &&= halfOpen.answers.every((what) => what === "200");
    await passedEverywhere(fleet, "/short/a");
  }
  return {
    promise: `probes that reach a target while ${CLIENTS} clients come half-open`,
    bound: `${PROBES}, and all are served afterwards`,
    figure: `${met.join(", ")}; ${refusals} refusals${isServed ? "" : ", not all were served"}`,
    pass: met.every((many) => many === PROBES) && isServed,
  };
}

async function survival(fleet: BackendFleet): Promise<readonly Proof[]> {
  const target = targetOf(fleet, 1);
  await fleet.everywhere("/long/a");
  await target.kill();
  await openAt(fleet, 0, "/long/a");
  const failures: number[] = [];
  for (let isolate = 1; isolate < ISOLATES; isolate += 1) {
    failures.push(await failuresUntilRefused(fleet, isolate, "/long/a"));
  }
  const before = JSON.stringify(await toldOf(fleet, "long", target));
  await fleet.kill();
  await target.restart();
  await fleet.again();
  await openEverywhere(fleet, "long", target);
  const isSame = JSON.stringify(await toldOf(fleet, "long", target)) === before;
  const passed = target.received().length - ISOLATES;
  return [
    {
      promise: `failures that others meet until they refuse too, once one isolate has met ${THRESHOLD}`,
      bound: `< ${THRESHOLD}`,
      figure: failures.join(", "),
      pass: failures.every((many) => many < THRESHOLD),
    },
    {
      promise: "state and history of an open breaker after kill -9, the target being well again",
      bound: `the same, and ${ISOLATES} of ${ISOLATES} isolates refuse`,
      figure: `${isSame ? "the same" : "not the same"}; ${passed} requests passed before the isolates knew`,
      pass: isSame,
    },
  ];
}

function within(promise: string, times: readonly number[], mostMs: number): Proof {
  const figure = `${times.map((ms) => Math.round(ms)).join(", ")} ms`;
  return { promise, bound: `<= ${mostMs} ms`, figure, pass: Math.max(...times) <= mostMs };
}
