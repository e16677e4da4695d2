import { keyedStorm } from "../support/keyed-storm.ts";
import type { Proof } from "../support/proof.ts";

const ISOLATES = 4;
const POSTS = 10_000;
const KEYS = 100;

/** What a client may be told: its answer, or what is known. */
const HONEST = new Set([
  "200",
  "200 replayed",
  "409 idempotency-in-flight",
  "409 idempotency-outcome-unknown",
  "503 dependency-unavailable",
]);

/** A key has one effect, whatever is killed, and nobody is told what is not so. */
export async function run(): Promise<Proof[]> {
  const storm = await keyedStorm({ isolates: ISOLATES, posts: POSTS, keys: KEYS, connections: 96 });
  const { told, effects, finally: last, contradicted, underWay } = storm;
  const { lost = 0, ...answered } = told;
  const dishonest = Object.keys(answered).filter((what) => !HONEST.has(what));
  const settled = (last["200 replayed"] ?? 0) + (last["409 idempotency-outcome-unknown"] ?? 0);
  return [
    {
      promise: `effects of ${KEYS} keys in ${POSTS} posts to ${ISOLATES} isolates, killed -9 with ${underWay} keys at the origin`,
      bound: `${KEYS}, one each`,
      figure: listed(effects, (times) => `${times}x`),
      pass: effects[1] === KEYS,
    },
    {
      promise: `what those posts are told; ${lost} were lost in the kill and sent again`,
      bound: "an answer, 409 or 503",
      figure: listed(answered),
      pass: dishonest.length === 0 && lost >= underWay,
    },
    {
      promise: "keys told of a success that the origin did not see, or saw twice",
      bound: "0",
      figure: String(contradicted.length),
      pass: contradicted.length === 0,
    },
    {
      promise: "what each key is told in the end: its answer, or that nobody knows, where that is so",
      bound: `${KEYS - underWay} and ${underWay}`,
      figure: listed(last),
      pass: settled === KEYS && last["409 idempotency-outcome-unknown"] === underWay,
    },
  ];
}

function listed(counts: Readonly<Record<string, number>>, label: (what: string) => string = (what) => what): string {
  return Object.entries(counts)
    .map(([what, count]) => `${count} ${label(what)}`)
    .join(", ");
}
