import { startGateway } from "../support/gateway.ts";
import { Origin } from "../support/origin/origin.ts";
import type { Proof } from "../support/proof.ts";
import { exchange, type RawAnswer } from "../support/raw-client.ts";
import { request } from "../support/raw-request.ts";

const IN_FLIGHT = 2_000;

/** 2,000 requests are at the origin at the same time, and every one of them is answered. */
export async function run(): Promise<Proof[]> {
  const origin = await Origin.start();
  const minute = 60_000;
  const gateway = await startGateway({
    config: {
      allowPrivateTargets: true,
      routes: [{ prefix: "/", target: origin.url, timeouts: { headers: minute, total: minute } }],
    },
  });
  try {
    // The origin answers nobody before all of them are there.
    const bytes = request({ target: `/together?count=${IN_FLIGHT}` });
    const answers = await Promise.all(Array.from({ length: IN_FLIGHT }, () => exchange(gateway.url, bytes)));
    const right = answers.filter((answer) => answer?.body.toString() === '{"together":true}').length;
    return [
      {
        promise: `${IN_FLIGHT} requests in flight at once`,
        bound: "all succeed",
        figure: `${right} of ${IN_FLIGHT}${right === IN_FLIGHT ? "" : `; the rest: ${tally(answers)}`}`,
        pass: right === IN_FLIGHT,
      },
    ];
  } finally {
    await gateway.stop();
    await origin.stop();
  }
}

/** How many answers of each status there were, for a failure to be understood. */
function tally(answers: readonly (RawAnswer | undefined)[]): string {
  const statuses = answers.map((answer) => answer?.status ?? "no answer");
  return [...new Set(statuses)]
    .map((status) => `${status} x ${statuses.filter((other) => other === status).length}`)
    .join(", ");
}
