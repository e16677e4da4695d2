import { fileURLToPath } from "node:url";
import { askFor, percentile, startSlowOrigin, type CacheAnswer } from "../support/cache-load.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";
import type { Proof } from "../support/proof.ts";
import { TIER_FAULTS, type TierFault } from "../support/tier-faults.ts";

const TIERS = ["colo", "kv", "r2"] as const;
const DEADLINES_MS: Readonly<Record<string, number>> = { colo: 150, kv: 100, r2: 250 };
const MARGIN_MS = 50;
const CONNECTIONS = 4;
const KEPT = 60;
const REQUESTS = 600;
const WARM_UP = 300;
const PURGE_MS = 2_000;

/** A tier that hangs, fails or gives what is old costs its deadline at most, and nobody gets what was purged. */
export async function run(): Promise<Proof[]> {
  await using stack = new AsyncDisposableStack();
  const origin = await startSlowOrigin(2);
  stack.defer(() => origin.stop());
  origin.answer("old");
  const gateway = await startGateway({
    entry: fileURLToPath(new URL("../support/tiers-entry.ts", import.meta.url)),
    config: { allowPrivateTargets: true, routes: [{ id: "r", prefix: "/", target: origin.url, cache: true }] },
  });
  stack.defer(async () => void (await gateway.stop()));
  const kept = Array.from({ length: KEPT }, (_, number) => `/kept/${number}`);
  // Twice, so that half of them is in KV, and again, so that nothing is measured on code that runs for the first time.
  await askFor(gateway.urls, kept, CONNECTIONS);
  await order(gateway, "clear");
  await askFor(gateway.urls, kept.slice(0, KEPT / 2), CONNECTIONS);
  await order(gateway, "save");
  await askFor(
    gateway.urls,
    Array.from({ length: WARM_UP }, (_, number) => `/warm-up/${number}`),
    CONNECTIONS,
  );

  origin.answer("new");
  await fetch(`${gateway.url}/admin/cache-invalidate?all=true`, {
    method: "POST",
    headers: { authorization: `Bearer ${gateway.adminToken}` },
  });
  await new Promise((resolve) => setTimeout(resolve, PURGE_MS));

  const sound = await ask("none");
  const proofs: Proof[] = [
    {
      promise: `every tier is sound, ${REQUESTS} requests`,
      bound: "told",
      figure: `p99 ${percentile(sound, 0.99).toFixed(0)} ms`,
      pass: true,
    },
  ];
  for (const tier of TIERS) for (const fault of TIER_FAULTS) proofs.push(await prove(gateway, tier, fault));
  return proofs;

  /** Half of what is kept, half of what is not. */
  function ask(name: string): Promise<readonly CacheAnswer[]> {
    const paths = Array.from({ length: REQUESTS }, (_, number) =>
      number % 2 === 0 ? (kept[number % KEPT] ?? "") : `/${name}/${number}`,
    );
    return askFor(gateway.urls, paths, CONNECTIONS);
  }

  async function prove(to: Gateway, tier: string, fault: TierFault): Promise<Proof> {
    await order(to, "plant");
    await order(to, `fault ${tier} ${fault}`);
    const answers = await ask(`${tier}-${fault}`);
    await order(to, `fault ${tier} none`);
    const p99 = percentile(answers, 0.99);
    const bound = (DEADLINES_MS[tier] ?? 0) + MARGIN_MS;
    const wrong = answers.filter(({ status }) => status !== 200).length;
    const old = answers.filter(({ body }) => body === "old").length;
    return {
      promise: `${tier} is made to ${fault === "stale" ? "be stale" : fault}, ${REQUESTS} requests`,
      bound: `p99 <= ${bound} ms, all answered, nothing that was purged`,
      figure: `${p99.toFixed(0)} ms, ${REQUESTS - wrong}, ${old}`,
      pass: p99 <= bound && wrong === 0 && old === 0,
    };
  }
}

async function order(gateway: Gateway, what: string): Promise<void> {
  await (await fetch(gateway.url, { headers: { "x-test-tier": what, "x-test-host": "gateway.test" } })).text();
}
