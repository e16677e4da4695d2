import { afterAll, beforeAll, expect, it } from "vitest";
import { BackendFleet, eventually } from "../support/backend-fleet.ts";
import { targetOf } from "../support/breaker-fleet.ts";
import type { TargetProcess } from "../support/origin/target-process.ts";

/** As many as a row of failures never reaches here. */
const NEVER = 10_000;
const CALLS = 40;

let fleet: BackendFleet;

beforeAll(async () => {
  const common = { failureThreshold: NEVER, minimumCalls: 10, window: "1m", timeout: "1h", maxTimeout: "1h" };
  const policies = {
    ratio: { ...common, failureRate: 0.5 },
    "below-ratio": { ...common, failureRate: 0.5 },
    slow: { ...common, slowCall: 20, slowCallRate: 0.5 },
    "slow-unasked": { ...common, slowCall: 20 },
  };
  fleet = await BackendFleet.start({
    isolates: 1,
    targets: Object.keys(policies).length,
    document: (urls) => ({
      routes: Object.keys(policies).map((name) => ({ id: name, prefix: `/${name}`, backend: name })),
      backends: Object.fromEntries(
        Object.entries(policies).map(([name, circuitBreaker], index) => [
          name,
          { targets: [{ url: urls[index] }], circuitBreaker },
        ]),
      ),
    }),
  });
  await Promise.all(fleet.targets.map((target) => target.behave({ kind: "answer", status: 500 }, "/bad")));
  await Promise.all(fleet.targets.map((target) => target.behave({ kind: "slow", ms: 60 }, "/slow")));
});

afterAll(() => fleet?.stop());

/** Asks for these paths in turn until the breaker refuses; what was answered before. */
async function untilRefused(backend: string, paths: readonly string[]): Promise<ReadonlySet<string>> {
  const answers = new Set<string>();
  let turn = 0;
  await eventually(`${backend} to refuse`, async () => {
    const { what } = await fleet.ask(`/${backend}${paths[turn++ % paths.length]}`);
    if (what !== "breaker-open") answers.add(what);
    return what === "breaker-open";
  });
  return answers;
}

/** Asks for these paths in turn, so often, and resolves to the breaker once its owner has heard of all. */
async function afterCalls(backend: string, paths: readonly string[], target: TargetProcess): Promise<unknown> {
  for (let turn = 0; turn < CALLS; turn += 1) await fleet.ask(`/${backend}${paths[turn % paths.length]}`);
  let breaker: unknown;
  await eventually("the owner to have heard of all", async () => {
    ({ breaker } = await fleet.detailsOf(backend, target));
    return callsIn(breaker) === CALLS;
  });
  return breaker;
}

function callsIn(breaker: unknown): number {
  const [ok, failed] = ["ok", "failed"].map(
    (name) => new RegExp(`"${name}":(\\d+)`).exec(JSON.stringify(breaker))?.[1],
  );
  return Number(ok) + Number(failed);
}

it("opens when half of the calls fail, though no two failures come in a row", async () => {
  expect(await untilRefused("ratio", ["/bad", "/good"])).toEqual(new Set(["500", "200"]));
  const { events } = await fleet.detailsOf("ratio", targetOf(fleet, 0));
  expect(events).toMatchObject([{ kind: "circuit", from: "closed", to: "open", cause: "failure-ratio" }]);
});

it("stays closed when a quarter of them fail", async () => {
  const breaker = await afterCalls("below-ratio", ["/good", "/bad", "/good", "/good"], targetOf(fleet, 1));
  expect(breaker).toMatchObject({ state: "closed", window: { ok: (CALLS * 3) / 4, failed: CALLS / 4 } });
});

it("opens when calls are slow, where that is asked for, though all succeed", async () => {
  expect(await untilRefused("slow", ["/slow"])).toEqual(new Set(["200"]));
  const { events } = await fleet.detailsOf("slow", targetOf(fleet, 2));
  expect(events).toMatchObject([{ kind: "circuit", from: "closed", to: "open", cause: "slow-calls" }]);
});

it("stays closed when calls are slow and nobody asks for that", async () => {
  const breaker = await afterCalls("slow-unasked", ["/slow"], targetOf(fleet, 3));
  expect(breaker).toMatchObject({ state: "closed", window: { ok: CALLS, failed: 0, slow: CALLS } });
});
