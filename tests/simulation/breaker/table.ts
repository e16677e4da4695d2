import { DEFAULT_BREAKER } from "../../../objects/circuit-breaker/breaker-policy.ts";
import type { RowResult } from "../table.ts";
import { outage, scenario, WELL, type Health, type Scenario } from "./scenario.ts";
import { simulate, type Result } from "./simulate.ts";

/** One row of the table of what the breaker promises: the worst of its runs over all seeds is shown. */
export interface BreakerRow {
  readonly promise: string;
  readonly bound: string;
  readonly runs: readonly Partial<Scenario>[];
  readonly figureOf: (result: Result, scenario: Scenario) => number;
  readonly most: number;
  readonly show: (figure: number) => string;
}

const OUTAGE_AT = 6_000;
const OUTAGE_MS = 4_500;
const SPARED = { ...DEFAULT_BREAKER, openMs: 6_000 };

/** An object as it is without a message for 10 s: not there. */
const LAZY = { ...scenario({}).owner, idleMs: 10_000 };

/** 50,000 requests a second over 500 isolates, and a target of which a share fails for 4.5 s. */
function failing(share: number): Partial<Scenario> {
  return { health: outage(OUTAGE_AT, OUTAGE_AT + OUTAGE_MS, share), policy: SPARED, durationMs: 20_000 };
}

const OUTAGES = [failing(1), failing(0.6)];
const STEADY = [0.001, 0.05, 0.2].map((share) => ({ health: [{ ...WELL, failing: share }], durationMs: 12_000 }));
/** After a deployment, with owners that restart: nobody knows how many isolates there are. */
const SICK = [20, 60].map((isolates) => ({
  isolates,
  rate: isolates * 50,
  sick: 1,
  isolateLifeMs: 15_000,
  owner: { ...scenario({}).owner, restartEveryMs: 5_000 },
  durationMs: 60_000,
}));

/** Isolates with so many requests a second each, and an outage that finds the object new, young, evicted or restarted. */
function coldOutages(isolates: number, each: number): readonly Partial<Scenario>[] {
  const found = (at: number, world: Partial<Scenario>) => ({
    isolates,
    rate: isolates * each,
    health: outage(at, at + OUTAGE_MS),
    policy: SPARED,
    durationMs: at + OUTAGE_MS,
    owner: LAZY,
    ...world,
  });
  return [
    found(0, {}),
    found(100, {}),
    found(16_000, { silence: [3_000, 16_000] }),
    found(OUTAGE_AT, { owner: { ...LAZY, restartAt: OUTAGE_AT - 100 } }),
  ];
}

const COLD_OUTAGES = [1, 4, 20, 500].flatMap((isolates) => [20, 100].flatMap((each) => coldOutages(isolates, each)));
/** With so many more requests it votes while the object has heard of hardly anybody else. */
const HASTY_SICK = [20, 60].flatMap((isolates) =>
  [1, 3, 10].flatMap((each) =>
    [Infinity, 3_000].map((restartAt) => ({
      isolates,
      rate: isolates * each,
      sick: 1,
      sickLoad: 10,
      owner: { ...LAZY, restartAt },
      durationMs: 6_000,
    })),
  ),
);

const ms = (figure: number) => `${figure} ms`;
const count = (figure: number) => String(figure);
const openings = ({ transitions }: Result) => transitions.filter(({ to }) => to === "open").length;
/** From the beginning of the outage to the last ordinary request that any isolate let through, until it was probed. */
const openEverywhereMs = (result: Result) => (result.lastPasses[1] ?? Infinity) - OUTAGE_AT;
const passedForMs = ({ lastPasses }: Result, { health }: Scenario) => (lastPasses[1] ?? Infinity) - outageAt(health);
const judgedAfterMs = ({ openAt }: Result, { health }: Scenario) => (openAt[0] ?? Infinity) - outageAt(health);
const outageAt = ([begins]: readonly Health[]) => begins?.at ?? Infinity;

export const BREAKER_TABLE: readonly BreakerRow[] = [
  {
    promise: "open for every isolate after an outage at 50,000 rps over 500 isolates, 100 and 60 % failing",
    bound: "<= 1000 ms",
    runs: OUTAGES,
    figureOf: openEverywhereMs,
    most: 1_000,
    show: ms,
  },
  {
    promise: "reports per request, the same and with 0.1, 5 and 20 % of errors",
    bound: "<= 0.005",
    runs: [...OUTAGES, ...STEADY],
    figureOf: ({ callsPerRequest }) => callsPerRequest,
    most: 0.005,
    show: (figure) => figure.toFixed(4),
  },
  {
    promise: "reports a second at the object, mean of a run, the same",
    bound: "<= 200",
    runs: [...OUTAGES, ...STEADY],
    figureOf: ({ callsPerSecond }) => callsPerSecond,
    most: 200,
    show: (figure) => figure.toFixed(0),
  },
  {
    promise: "most reports within a second, the same, all isolates starting at once",
    bound: "<= 600",
    runs: [...OUTAGES, ...STEADY],
    figureOf: ({ peak }) => peak,
    most: 600,
    show: count,
  },
  {
    promise: "share of a minute's requests that an outage of all calls costs, 50,000 rps over 500 isolates",
    bound: "<= 2 %",
    runs: [failing(1)],
    figureOf: ({ wasted }) => wasted / (50_000 * 60),
    most: 0.02,
    show: (figure) => `${(100 * figure).toFixed(2)} %`,
  },
  {
    promise: "openings at 0.1, 5 and 20 % of errors, and with one sick isolate among 20 and 60",
    bound: "0",
    runs: [...STEADY, ...SICK],
    figureOf: openings,
    most: 0,
    show: count,
  },
  {
    promise:
      "open for every isolate after an outage that finds the object new, evicted or restarted, 1 to 500 isolates",
    bound: "<= 1000 ms",
    runs: COLD_OUTAGES,
    figureOf: passedForMs,
    most: 1_000,
    show: ms,
  },
  {
    promise: "open at the object, for whoever comes later, the same",
    bound: "<= 1500 ms",
    runs: COLD_OUTAGES,
    figureOf: judgedAfterMs,
    most: 1_500,
    show: ms,
  },
  {
    promise: "most reports within a second, the same",
    bound: "<= 1050",
    runs: COLD_OUTAGES,
    figureOf: ({ peak }) => peak,
    most: 1_050,
    show: count,
  },
  {
    promise:
      "openings of a new or restarted object with one sick isolate among 20 and 60, that has ten times the requests",
    bound: "0",
    runs: HASTY_SICK,
    figureOf: openings,
    most: 0,
    show: count,
  },
  {
    promise: "most probes in flight at 500 isolates that all want to probe, 3 permits",
    bound: "<= 3",
    runs: OUTAGES,
    figureOf: ({ mostProbes }) => mostProbes,
    most: 3,
    show: count,
  },
  {
    promise: "closed for every isolate after the open time, 4 isolates, target well again",
    bound: "<= 1000 ms",
    runs: [{ isolates: 4, rate: 200, health: outage(5_000, 10_000), policy: SPARED, durationMs: 20_000 }],
    figureOf: (result) => result.lastRefusal - openUntil(result),
    most: 1_000,
    show: ms,
  },
  {
    promise: "closed for every isolate after the open time, 500 isolates, target well again",
    bound: "<= 6000 ms",
    runs: [{ health: outage(OUTAGE_AT, OUTAGE_AT + OUTAGE_MS), policy: SPARED, durationMs: 20_000 }],
    figureOf: (result) => result.lastRefusal - openUntil(result),
    most: 6_000,
    show: ms,
  },
];

/** Runs a row with these seeds. A transition without a reason fails it whatever its figure. */
export function measureBreaker(row: BreakerRow, seeds: readonly number[]): RowResult {
  let worst = 0;
  let unexplained = 0;
  for (const changes of row.runs) {
    for (const seed of seeds) {
      const world = scenario({ ...changes, seed });
      const result = simulateOnce(world, `${JSON.stringify(changes)} ${seed}`);
      worst = Math.max(worst, row.figureOf(result, world));
      unexplained += result.unexplained.length;
    }
  }
  const { promise, bound } = row;
  const figure = unexplained === 0 ? row.show(worst) : `${unexplained} transitions without a reason`;
  return { promise, bound, figure, pass: unexplained === 0 && worst <= row.most };
}

const results = new Map<string, Result>();

/** Rows share runs. */
function simulateOnce(world: Scenario, key: string): Result {
  const known = results.get(key);
  if (known !== undefined) return known;
  const result = simulate(world);
  results.set(key, result);
  return result;
}

/** When the first open time was over, by the run's clock. */
function openUntil({ halfOpenAt }: Result): number {
  return halfOpenAt[0] ?? -Infinity;
}
