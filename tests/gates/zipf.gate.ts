import { askFor, percentile, startSlowOrigin, type CacheAnswer } from "../support/cache-load.ts";
import { startGateway } from "../support/gateway.ts";
import type { Proof } from "../support/proof.ts";

const ISOLATES = 2;
const ORIGIN_MS = 20;
const REQUESTS = 100_000;
const KEYS = 20_000;
const CONNECTIONS = 6;
/** Of the same URLs, asked for once and then again. */
const MEASURED = 400;
const TIERS = ["colo", "kv", "r2"] as const;

/** The cache answers what is popular, and tells how long it takes in each of its tiers. */
export async function run(): Promise<Proof[]> {
  await using stack = new AsyncDisposableStack();
  const origin = await startSlowOrigin(ORIGIN_MS);
  stack.defer(() => origin.stop());
  const only = (one: string) => Object.fromEntries(TIERS.map((tier) => [tier, tier === one]));
  const route = (id: string, tiers: object) => ({ id, prefix: `/${id}`, target: origin.url, cache: { tiers } });
  const gateway = await startGateway({
    isolates: ISOLATES,
    config: {
      allowPrivateTargets: true,
      logging: false,
      routes: [...TIERS.map((tier) => route(tier, only(tier))), route("zipf", {})],
    },
  });
  stack.defer(async () => void (await gateway.stop()));
  const proofs: Proof[] = [];
  for (const tier of TIERS) proofs.push(await latency(tier));

  const draw = zipf(KEYS, 42);
  const paths = Array.from({ length: REQUESTS }, () => `/zipf/${draw()}`);
  const before = origin.asked();
  const answers = await askFor(gateway.urls, paths, CONNECTIONS);
  const calls = origin.asked() - before;
  const hits = answers.filter(({ cache }) => cache === "HIT");
  const wrong = answers.filter(({ status }) => status !== 200).length;
  const rate = hits.length / REQUESTS;
  const p95 = percentile(hits, 0.95);
  const trace = `${REQUESTS} requests for ${KEYS} keys, skew 1, ${ISOLATES} isolates`;
  const distinct = new Set(paths).size;
  return [
    ...proofs,
    { promise: `${trace}: answered`, bound: "all", figure: `${REQUESTS - wrong}`, pass: wrong === 0 },
    { promise: `${trace}: hit rate`, bound: "> 80 %", figure: shareOf(rate), pass: rate > 0.8 },
    {
      promise: `${trace}: calls to the origin, of ${distinct} keys asked for`,
      bound: "<= -74 %",
      figure: `${calls}: -${shareOf(1 - calls / REQUESTS)}`,
      pass: 1 - calls / REQUESTS >= 0.74,
    },
    {
      promise: `${trace}: p95 of hits; from ${from(hits)}`,
      bound: "< 100 ms",
      figure: `${p95.toFixed(1)} ms`,
      pass: p95 < 100,
    },
  ];

  /** Asks a route of this tier alone. */
  async function latency(tier: string): Promise<Proof> {
    const asked = Array.from({ length: MEASURED }, (_, number) => `/${tier}/${number}`);
    await askFor(gateway.urls, asked, CONNECTIONS);
    // Kept behind the answers' backs, and seen to be by the other isolate.
    const [, other = ""] = gateway.urls;
    const cold = await askFor([other], asked, 4);
    const hot = await askFor([other], [...asked, ...asked, ...asked], 4);
    const isHit = ({ detail }: CacheAnswer) => detail === tier;
    const [coldHits, hotHits] = [cold.filter(isHit), hot.filter(isHit)];
    const times = (some: readonly CacheAnswer[]) =>
      [0.5, 0.95, 0.99].map((share) => percentile(some, share).toFixed(1)).join("/");
    return {
      promise: `hits in ${tier}, cold and hot: p50/p95/p99`,
      bound: "told",
      figure: `${times(coldHits)} and ${times(hotHits)} ms`,
      pass: coldHits.length > MEASURED * 0.9 && hotHits.length > MEASURED * 2.7,
    };
  }
}

/** How many of these came from each tier. */
function from(hits: readonly CacheAnswer[]): string {
  return TIERS.map((tier) => `${hits.filter(({ detail }) => detail === tier).length} ${tier}`).join(", ");
}

function shareOf(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

/** Draws ranks from 0, the k-th with a probability in proportion to 1/k; seeded, so that every run asks the same. */
function zipf(keys: number, seed: number): () => number {
  const sums: number[] = [];
  let sum = 0;
  for (let rank = 1; rank <= keys; rank += 1) sums.push((sum += 1 / rank));
  let state = seed;
  return () => {
    // Mulberry32.
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    const drawn = (((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * sum;
    let [low, high] = [0, keys - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] ?? 0) < drawn) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}
