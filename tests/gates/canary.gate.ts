import { CanaryFleet, ISOLATES, ROUTE, SENT, SOME } from "../support/canary-fleet.ts";
import type { Manner } from "../support/origin/manner.ts";
import type { Proof } from "../support/proof.ts";

const PERCENT = 5;
const WINDOW_SECONDS = 30;
const REQUESTS = 100_000;
const AGAIN = 10_000;
/** Sent at a time while something is waited for. */
const SOME_REQUESTS = 100 * ISOLATES;
/** In percentage points. */
const TOLERANCE = 0.3;
/** By then every isolate that serves has heard of an abort. */
const TOLD_MS = 3_000;

const FAILING: Manner = { kind: "answer", status: 500 };
const WELL: Manner = { kind: "answer", status: 200 };
const SLOW: Manner = { kind: "slow", ms: 40 };

/** A part of the clients gets what is tried out, always the same; it is taken back when it is worse, and only then. */
export async function run(): Promise<Proof[]> {
  const canary = await CanaryFleet.start({ percent: PERCENT, windowSeconds: WINDOW_SECONDS });
  try {
    return [...(await shares(canary)), ...(await aborts(canary))];
  } finally {
    await canary.stop();
  }
}

/** While a tenth of the requests fails with either version, and all of them for a while. */
async function shares(canary: CanaryFleet): Promise<Proof[]> {
  const both = [canary.control, canary.next];
  await Promise.all(both.map((target) => target.behave(FAILING, SOME)));
  const clients = await canary.send(REQUESTS);
  const share = (100 * canary.next.received(SENT).length) / REQUESTS;
  await Promise.all(both.map((target) => target.behave(FAILING, SENT)));
  for (let shift = 1; shift < ISOLATES; shift++) await canary.resend(clients.slice(0, AGAIN), shift);
  await Promise.all(both.map((target) => target.behave(WELL, SENT)));
  const met = canary.met();
  const drawn = canary.drawn(clients);
  const strays = clients.filter(
    (client) => [...(met.get(client) ?? [])].join() !== [...(drawn.get(client) ?? [])].join(),
  );
  const events = canary.events();
  return [
    {
      promise: `${PERCENT} % of the clients of ${REQUESTS} requests over ${ISOLATES} isolates`,
      bound: `${PERCENT} +- ${TOLERANCE} %`,
      figure: `${share.toFixed(3)} %`,
      pass: Math.abs(share - PERCENT) <= TOLERANCE,
    },
    {
      promise: `clients that met both versions, or not the one of their lot; ${AGAIN} of them asked every isolate`,
      bound: "0",
      figure: String(strays.length),
      pass: strays.length === 0,
    },
    {
      promise: "aborts while both versions fail alike, a tenth of all requests and then all of them",
      bound: "0",
      figure: String(events.length),
      pass: events.length === 0,
    },
  ];
}

/** A tenth of the requests fails with the new version alone; and later it takes longer. */
async function aborts(canary: CanaryFleet): Promise<Proof[]> {
  const { fleet, control, next } = canary;
  await control.behave(WELL, SOME);
  const errors = await abort(canary, "more-errors", FAILING, SOME);
  await next.behave(WELL, SOME);
  await fleet.admin("POST", `/canary/${ROUTE}/reset`);
  const before = next.received(SENT).length;
  // It has its share again, and what is usual is known.
  await canary.sendUntil("both to be seen", () => next.received(SENT).length - before > 100, SOME_REQUESTS);
  return [...errors, ...(await abort(canary, "slower", SLOW, SENT))];
}

async function abort(canary: CanaryFleet, cause: string, manner: Manner, prefix: string): Promise<Proof[]> {
  const { next } = canary;
  const isAborted = () => canary.events().some((event) => event["cause"] === cause);
  await next.behave(manner, prefix);
  const sent = next.received(SENT).length;
  const seconds = (await canary.sendUntil(`the abort for ${cause}`, isAborted, SOME_REQUESTS)) / 1_000;
  const requests = next.received(SENT).length - sent;
  const told = Date.now() + TOLD_MS;
  await canary.sendUntil("the fleet to be told", () => Date.now() > told);
  const known = next.received(SENT).length;
  await canary.send(4_000);
  const late = next.received(SENT).length - known;
  return [
    {
      promise: `a planted regression (${cause}) is taken back, after ${requests} of its requests`,
      bound: `<= ${WINDOW_SECONDS} s`,
      figure: `${seconds.toFixed(1)} s`,
      pass: seconds <= WINDOW_SECONDS,
    },
    {
      promise: `requests that still meet it ${TOLD_MS / 1_000} s later, of 4,000`,
      bound: "0",
      figure: String(late),
      pass: late === 0,
    },
  ];
}
