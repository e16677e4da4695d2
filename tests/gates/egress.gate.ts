import { egressStorm, type EgressOutcome } from "../support/egress-storm.ts";
import type { Proof } from "../support/proof.ts";
import { leastBetween, mostIn, unfairness } from "../support/quota-upstream.ts";

const ISOLATES = 4;
const CLIENTS = Array.from({ length: 10 }, (_, index) => `client-${index}`);
const REQUESTS = 20;
const OFFERED = CLIENTS.length * REQUESTS;
const MINUTE_MS = 60_000;
/** Preset 1. */
const MOST = 30;
const LEAST_MS = 100;
const QUOTA = { preset: "30-per-minute", by: "header:x-client" };
const PAUSE_MS = 3_000;
/** Those who were granted a slot before the owner heard of the pause start in it. */
const HEARD_MS = 500;

/** A preset over more than a real minute, through isolates, restarts and what the upstream asks for. */
export async function run(): Promise<Proof[]> {
  const storm = { isolates: ISOLATES, clients: CLIENTS, requests: REQUESTS, totalMs: 90_000 };
  const waiting = { ...QUOTA, maxWait: "70s" };
  const [whole, killed] = await Promise.all([
    egressStorm({ ...storm, quota: waiting }),
    egressStorm({ ...storm, quota: waiting, killAfter: 15 }),
  ]);
  const paused = await egressStorm({
    ...storm,
    requests: 3,
    quota: { ...QUOTA, maxWait: "15s" },
    answering: (_, count) => (count === 5 ? { status: 429, headers: { "retry-after": "3" } } : undefined),
  });
  return [
    ...kept(whole, ""),
    refusals(whole),
    ...kept(killed, `; killed -9 after 15, ${killed.lost} asked again`),
    refusals(killed),
    pause(paused),
  ];
}

function kept({ arrivals }: EgressOutcome, how: string): readonly Proof[] {
  const what = `preset 1, ${OFFERED} requests at once by ${CLIENTS.length} clients to ${ISOLATES} isolates${how}`;
  const most = mostIn(arrivals, MINUTE_MS);
  const least = leastBetween(arrivals);
  const apart = unfairness(arrivals, CLIENTS);
  return [
    {
      promise: `${what}: starts in any minute`,
      bound: `<= ${MOST}`,
      figure: `${most} of ${arrivals.length} in all`,
      pass: most <= MOST && arrivals.length >= MOST,
    },
    {
      promise: "between two starts",
      bound: `>= ${LEAST_MS} ms`,
      figure: `${least.toFixed(1)} ms`,
      pass: least >= LEAST_MS,
    },
    {
      promise: "by how many requests clients are ahead of others",
      bound: "<= 2",
      figure: String(apart),
      pass: apart <= 2,
    },
  ];
}

function refusals({ answers, arrivals }: EgressOutcome): Proof {
  const refused = answers.filter(({ status }) => status !== 200);
  const right = refused.filter(
    ({ status, code, comeBackIn }) => status === 503 && code === "egress-queue-full" && comeBackIn >= 1,
  );
  const atOnce = refused.filter(({ afterMs }) => afterMs < 5_000).length;
  const last = Math.max(...answers.map(({ afterMs }) => afterMs)) / 1_000;
  return {
    promise: "the others are answered 503 egress-queue-full with Retry-After, each",
    bound: `${refused.length}, by 71 s`,
    figure: `${right.length}: ${atOnce} at once, the rest by ${last.toFixed(1)} s; ${arrivals.length} started`,
    pass: right.length === refused.length && refused.length > 0 && last <= 71,
  };
}

function pause({ arrivals, answers }: EgressOutcome): Proof {
  const throttled = arrivals[4]?.at ?? 0;
  const after = arrivals.slice(5).map(({ at }) => at - throttled);
  const inside = after.filter((ms) => ms < PAUSE_MS);
  const next = Math.min(...after.filter((ms) => ms >= PAUSE_MS));
  return {
    promise: "after a 429 with Retry-After: 3 nothing starts anywhere, once that is heard of",
    bound: `>= ${PAUSE_MS} ms`,
    figure: `${next.toFixed(0)} ms; ${inside.length} were on their way, the last after ${Math.max(0, ...inside).toFixed(0)} ms`,
    pass: inside.every((ms) => ms < HEARD_MS) && next < Infinity && answers.some(({ status }) => status === 429),
  };
}
