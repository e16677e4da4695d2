import type { BackendFleet } from "../support/backend-fleet.ts";
import {
  called,
  CHECK,
  checked,
  HEALTH,
  ISOLATES,
  servedBy,
  startHealthFleet,
  underTraffic,
} from "../support/health-fleet.ts";
import type { TargetProcess } from "../support/origin/target-process.ts";
import type { Proof } from "../support/proof.ts";

/** How many checks are counted. */
const CHECKS = 12;
/** Isolates hear of targets every 5 s, spread by a quarter. */
const NEWS_MS = 6_250;
const SLACK_MS = 1_000;
const FAILING = { kind: "answer", status: 503 } as const;
const WELL = { kind: "answer", status: 200 } as const;

/** Targets are checked once, not by each isolate; down and up again as configured, and by themselves. */
export async function run(): Promise<Proof[]> {
  const fleet = await startHealthFleet();
  try {
    return await underTraffic(fleet, () => proofs(fleet));
  } finally {
    await fleet.stop();
  }
}

async function proofs(fleet: BackendFleet): Promise<Proof[]> {
  const [first, second] = fleet.targets;
  if (first === undefined || second === undefined) throw new Error("the fleet has two targets");
  await checked(second, 2);
  return [
    await prober(second),
    await spared(fleet, second),
    await fallen(fleet, second),
    await avoided(fleet, first),
    await risen(fleet, second),
    await back(fleet, first, second),
  ];
}

async function prober(target: TargetProcess): Promise<Proof> {
  const times = await checked(target, CHECKS);
  const lastedMs = (times.at(-1) ?? 0) - (times[0] ?? 0);
  const perInterval = ((CHECKS - 1) * HEALTH.interval) / lastedMs;
  return {
    promise: `checks of a target per interval of ${HEALTH.interval} ms, ${ISOLATES} isolates using it`,
    bound: "1, within a tenth",
    figure: perInterval.toFixed(2),
    pass: Math.abs(perInterval - 1) <= 0.1,
  };
}

async function spared(fleet: BackendFleet, target: TargetProcess): Promise<Proof> {
  for (let failures = 0; failures < 2; failures += 1) {
    await target.behave(FAILING, CHECK);
    await checked(target, HEALTH.fall - 1);
    await target.behave(WELL, CHECK);
    await checked(target, 1);
  }
  const { health } = await fleet.detailsOf("checked", target);
  const isDown = JSON.stringify(health).includes('"isDown":true');
  return {
    promise: `${HEALTH.fall - 1} failed checks in a row, where ${HEALTH.fall} call a target down`,
    bound: "up",
    figure: isDown ? "down" : "up",
    pass: !isDown,
  };
}

async function fallen(fleet: BackendFleet, target: TargetProcess): Promise<Proof> {
  const many = await checksUntil(fleet, target, true);
  return {
    promise: "failed checks in a row that call a target down",
    bound: `${HEALTH.fall}`,
    figure: `${many}`,
    pass: many === HEALTH.fall,
  };
}

async function avoided(fleet: BackendFleet, first: TargetProcess): Promise<Proof> {
  const afterMs = await servedBy(fleet, [first.port]);
  return within(`until ${ISOLATES} isolates send nothing more to it`, afterMs);
}

async function risen(fleet: BackendFleet, target: TargetProcess): Promise<Proof> {
  const many = await checksUntil(fleet, target, false);
  return {
    promise: "good checks in a row that call it up again, without traffic",
    bound: `${HEALTH.rise}`,
    figure: `${many}`,
    pass: many === HEALTH.rise,
  };
}

async function back(fleet: BackendFleet, first: TargetProcess, second: TargetProcess): Promise<Proof> {
  const afterMs = await servedBy(fleet, [first.port, second.port]);
  return within(`until ${ISOLATES} isolates send requests to it again`, afterMs);
}

/** How many checks in another manner it took, by the target's own count. */
async function checksUntil(fleet: BackendFleet, target: TargetProcess, isDown: boolean): Promise<number> {
  await checked(target, 1);
  const before = target.received(CHECK).length;
  await target.behave(isDown ? FAILING : WELL, CHECK);
  const { since } = await called(fleet, target, isDown);
  return target
    .received(CHECK)
    .slice(before)
    .filter(({ at }) => at <= since).length;
}

function within(promise: string, ms: number): Proof {
  const mostMs = NEWS_MS + SLACK_MS;
  return { promise, bound: `<= ${mostMs} ms`, figure: `${Math.round(ms)} ms`, pass: ms <= mostMs };
}
