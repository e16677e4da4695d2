import { limitOf, scenario, sharded, type Scenario } from "./scenario.ts";
import { simulate, type Outcome } from "./simulate.ts";
import { shifting, steady } from "./traffic.ts";

/** One row of the table of what leases cost and waste. */
export interface Row {
  readonly promise: string;
  readonly bound: string;
  /** The runs of one seed; the row shows the worst of them. */
  readonly runs: readonly Partial<Scenario>[];
  readonly figureOf: (outcome: Outcome) => number;
  readonly most: number;
  /** How a figure is shown. */
  readonly show: (figure: number) => string;
}

/** What a row came to. */
export interface RowResult {
  readonly promise: string;
  readonly bound: string;
  readonly figure: string;
  readonly pass: boolean;
}

const share = (figure: number) => `${(100 * figure).toFixed(2)} %`;
const ratio = (figure: number) => figure.toFixed(3);
const calls = (outcome: Outcome) => outcome.callsPerRequest;
const underUse = (outcome: Outcome) => outcome.underUse;
const waiting = (outcome: Outcome) => outcome.waitingShare;

/** 200 requests a second under a limit of so many a second, on so many isolates. */
function under(isolates: number, demand: number, windowMs: number): Partial<Scenario> {
  return run(isolates, 200, limitOf(Math.round((200 * windowMs) / (1_000 * demand)), windowMs), 60_000);
}

/** The same with requests that cost so many tokens each, and as many times the limit. */
function dear(
  [least, most]: readonly [number, number],
  isolates: number,
  demand: number,
  windowMs: number,
): Partial<Scenario> {
  const limit = limitOf(Math.round((200 * ((least + most) / 2) * windowMs) / (1_000 * demand)), windowMs);
  return { ...run(isolates, 200, limit, 60_000), costs: [least, most] };
}

function run(isolates: number, rate: number, limit: ReturnType<typeof limitOf>, durationMs: number): Partial<Scenario> {
  return { isolates, traffic: steady(rate), configurations: [{ at: 0, lagMs: 0, limits: [limit] }], durationMs };
}

/** 5,000 requests a second on 200 isolates at so many times a limit per second: shards after 5 s, judged from 8 s on. */
function hot(demand: number): Partial<Scenario> {
  return { ...run(200, 5_000, limitOf(Math.round(5_000 / demand), 1_000), 16_000), sharding: sharded() };
}

/** 2.5 tokens are 2,500 units where costs have decimal places. */
const COSTS = [
  [50, 50],
  [2_500, 2_500],
  [1, 100],
] as const;

/** The limits of what is promised, and no further: outside these regions a lease costs or wastes more. */
export const TABLE: readonly Row[] = [
  {
    promise: "calls per request, 200 rps at 0.2 of the limit, 1, 5 and 10 isolates",
    bound: "<= 0.03",
    runs: [1, 5, 10].map((isolates) => under(isolates, 0.2, 1_000)),
    figureOf: calls,
    most: 0.03,
    show: ratio,
  },
  {
    promise: "calls per request, 200 rps at 0.7 of the limit, 1, 5 and 10 isolates",
    bound: "<= 0.05",
    runs: [1, 5, 10].flatMap((isolates) => [under(isolates, 0.7, 1_000), under(isolates, 0.7, 60_000)]),
    figureOf: calls,
    most: 0.05,
    show: ratio,
  },
  {
    promise:
      "calls per request, 200 requests of 50, 2,500 or 1 to 100 tokens a second at 0.7 of the limit, 1 and 5 isolates",
    bound: "<= 0.05",
    runs: COSTS.flatMap((costs) =>
      [1, 5].flatMap((isolates) => [1_000, 60_000].map((w) => dear(costs, isolates, 0.7, w))),
    ),
    figureOf: calls,
    most: 0.05,
    show: ratio,
  },
  {
    promise: "calls per request, 200 rps at 3 times a limit per minute, 5 and 10 isolates",
    bound: "<= 0.06",
    runs: [5, 10].map((isolates) => run(isolates, 200, limitOf(4_000, 60_000), 120_000)),
    figureOf: calls,
    most: 0.06,
    show: ratio,
  },
  {
    promise: "calls per request, 200 rps at 3 times a limit per second, 1 and 5 isolates",
    bound: "<= 0.10",
    runs: [1, 5].map((isolates) => run(isolates, 200, limitOf(67, 1_000), 60_000)),
    figureOf: calls,
    most: 0.1,
    show: ratio,
  },
  {
    promise: "calls per request, 2,000 rps at 20 times the limit, 50 isolates",
    bound: "<= 0.06",
    runs: [run(50, 2_000, limitOf(100, 1_000), 20_000)],
    figureOf: calls,
    most: 0.06,
    show: ratio,
  },
  {
    promise: "under-use at 0.8, 0.9 and 0.95 of the limit, 10 isolates",
    bound: "<= 1 %",
    runs: [160, 180, 190].map((rate) => run(10, rate, limitOf(200, 1_000), 60_000)),
    figureOf: underUse,
    most: 0.01,
    show: share,
  },
  {
    promise: "under-use at 1 to 1.5 times a limit per second, 10 isolates",
    bound: "<= 3 %",
    runs: [200, 220, 240, 300].map((rate) => run(10, rate, limitOf(200, 1_000), 60_000)),
    figureOf: underUse,
    most: 0.03,
    show: share,
  },
  {
    promise: "under-use where a bucket fills in 10 s, 0.95 to 5 times the limit, 10 and 20 isolates",
    bound: "<= 2.5 %",
    runs: [10, 20].flatMap((isolates) =>
      [95, 110, 120, 150, 200, 500].map((rate) => run(isolates, rate, limitOf(1_000, 10_000), 240_000)),
    ),
    figureOf: underUse,
    most: 0.025,
    show: share,
  },
  {
    promise: "under-use at twice the limit on 5 of 20 isolates, others every 3 s",
    bound: "<= 2 %",
    runs: [{ ...run(20, 200, limitOf(100, 1_000), 60_000), traffic: shifting(200, 5, 3_000) }],
    figureOf: underUse,
    most: 0.02,
    show: share,
  },
  {
    promise: "calls a second at the owner, with shards, 5,000 rps at 0.7 and 20 times the limit, 200 isolates",
    bound: "<= 60",
    runs: [0.7, 20].map(hot),
    figureOf: (outcome) => outcome.rootCallsPerSecond,
    most: 60,
    show: (figure) => figure.toFixed(0),
  },
  {
    promise: "calls in a second at the busiest shard, 5,000 rps at 3 times the limit, 200 isolates",
    bound: "<= 300",
    runs: [hot(3)],
    figureOf: (outcome) => outcome.shardPeak,
    most: 300,
    show: (figure) => figure.toFixed(0),
  },
  {
    promise: "under-use with shards, 5,000 rps at 0.95 and 3 times the limit, 200 isolates",
    bound: "<= 1.5 %",
    runs: [0.95, 3].map(hot),
    figureOf: (outcome) => outcome.lateUnderUse,
    most: 0.015,
    show: share,
  },
  {
    promise: "requests that wait for the owner, 200 rps at 0.2 and 0.7 of the limit, 1, 5 and 10 isolates",
    bound: "<= 1 %",
    runs: [1, 5, 10].flatMap((isolates) => [under(isolates, 0.2, 1_000), under(isolates, 0.7, 1_000)]),
    figureOf: waiting,
    most: 0.01,
    show: share,
  },
];

/** Runs a row with these seeds: for each run the mean of the seeds, and the worst of the runs. Over-admission fails it. */
export function measure(row: Row, seeds: readonly number[]): RowResult {
  let worst = 0;
  let over = 0;
  for (const changes of row.runs) {
    let sum = 0;
    for (const seed of seeds) {
      const outcome = simulate(scenario({ ...changes, seed }));
      sum += row.figureOf(outcome);
      over = Math.max(over, outcome.overAdmission);
    }
    worst = Math.max(worst, sum / seeds.length);
  }
  const { promise, bound } = row;
  const figure = over === 0 ? row.show(worst) : `${over} tokens too many`;
  return { promise, bound, figure, pass: over === 0 && worst <= row.most };
}
