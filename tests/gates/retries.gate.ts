import { type BackendFleet, eventually } from "../support/backend-fleet.ts";
import { loseOne, startOutageFleet } from "../support/outage-fleet.ts";
import type { Proof } from "../support/proof.ts";
import { amplify, BUDGET, FAILURES, post, startRetryFleet, timesReceived } from "../support/retry-fleet.ts";

const POSTS = 1_000;
const REQUESTS = 20_000;
const OUTAGE_REQUESTS = 40_000;

/** Nothing is done twice that may be done once, and who fails is not buried under retries. */
export async function run(): Promise<Proof[]> {
  const fleet = await startRetryFleet();
  try {
    const proofs: Proof[] = [];
    for (const [failure, manner] of FAILURES) {
      const path = `/retried/post/${failure.replaceAll(" ", "-")}`;
      await Promise.all(fleet.targets.map((target) => target.behave(manner, path)));
      await post(fleet, path, POSTS);
      proofs.push(postProof(`POSTs sent twice where each target ${failure}`, fleet, path));
    }
    proofs.push(await killedProof(fleet), await budgetProof(fleet));
    return [...proofs, await outageProof()];
  } finally {
    await fleet.stop();
  }
}

async function outageProof(): Promise<Proof> {
  const fleet = await startOutageFleet();
  try {
    const { statuses, received } = await loseOne(fleet, OUTAGE_REQUESTS);
    const failed = OUTAGE_REQUESTS - (statuses[200] ?? 0);
    return {
      promise: `GETs of ${OUTAGE_REQUESTS} that fail when one of two targets is killed under way, and comes back`,
      bound: "0, and it is used again",
      figure: `${failed}; it received ${received.before} before and ${received.after} afterwards`,
      pass: failed === 0 && received.after > 0,
    };
  } finally {
    await fleet.stop();
  }
}

/** One of two targets is killed under way: what it had received is not sent to the other. */
async function killedProof(fleet: BackendFleet): Promise<Proof> {
  const path = "/retried/post/killed";
  const [killed] = fleet.targets;
  await killed?.behave({ kind: "slow", ms: 20 }, path);
  const sent = post(fleet, path, POSTS);
  await eventually("some POSTs to have come", () => (killed?.received(path).length ?? 0) > POSTS / 8);
  await killed?.kill();
  await sent;
  const proof = postProof("POSTs sent twice when one of two targets is killed meanwhile", fleet, path);
  await killed?.restart();
  return proof;
}

function postProof(promise: string, fleet: BackendFleet, path: string): Proof {
  const { 1: once = 0, ...more } = timesReceived(fleet, path);
  const twice = Object.values(more).reduce((sum, many) => sum + many, 0);
  return { promise, bound: "0", figure: `${twice}; ${once} of ${POSTS} once`, pass: twice === 0 && once > POSTS / 2 };
}

async function budgetProof(fleet: BackendFleet): Promise<Proof> {
  const { requests, received, elapsedMs, most } = await amplify(fleet, REQUESTS);
  const seconds = elapsedMs / 1_000;
  return {
    promise: `what an all-503 backend sees of ${requests} requests over ${fleet.isolates} isolates, ${seconds.toFixed(0)} s`,
    bound: `<= ${1 + BUDGET.ratio}x and ${BUDGET.perSecond}/s: ${Math.floor(most)}`,
    figure: `${received}: ${(received / requests).toFixed(3)}x`,
    pass: received <= most && received > requests,
  };
}
