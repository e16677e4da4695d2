import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { LeaseMessage } from "../../objects/rate-limiter/leases/lease-messages.ts";
import { ROOT_SILENT } from "../../objects/rate-limiter/shards/shard-choice.ts";
import { limited, type Sent } from "./limited.ts";

const NOW = 1_790_000_000_000;
const TTL_MS = 60_000;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: NOW });
});

afterEach(() => {
  vi.useRealTimers();
});

/** A client whose owner tells of two shards with the first lease that it grants; what is asked of a shard fails by `fault`. */
function hotClient(route: string, fault: () => string | undefined = () => undefined) {
  const returns: Sent[] = [];
  const waiting: (() => void)[] = [];
  const client = limited({
    route,
    rateLimits: [{ name: "l", requestsPerWindow: 1_000, windowSeconds: 3_600, by: "all", clients: "own" }],
    async between(one, proceed) {
      const problem = fault();
      const isFaulty = one.method === "lease" && one.message.shardOf !== undefined && problem !== undefined;
      const reply = isFaulty ? undefined : await proceed();
      if (one.method !== "lease") return reply;
      if (isReturn(one.message)) {
        returns.push(one);
        for (const wake of waiting.splice(0)) wake();
      }
      if (isFaulty) throw new Error(problem);
      const isLent = typeof reply === "object" && reply !== null && "leaseId" in reply && reply.leaseId !== null;
      if (one.message.shardOf !== undefined || !isLent) return reply;
      return { ...reply, shards: { count: 2, ttlMs: TTL_MS } };
    },
  });
  return {
    messages: () => client.sent.flatMap((one) => (one.method === "lease" ? [one.message] : [])),
    decide: () => client.decide(),
    /** Whom each message went to. */
    places: () =>
      client.sent.flatMap((one) => {
        if (one.method !== "lease") return [];
        return one.message.shardOf === undefined ? ["owner"] : ["shard"];
      }),
    settled: () => client.settled(),
    /** Resolves when so many leases have been returned. */
    returned: async (count: number): Promise<void> => {
      while (returns.length < count) await new Promise<void>((resolve) => waiting.push(resolve));
    },
  };
}

function isReturn({ leaseId, keep, want }: LeaseMessage): boolean {
  return leaseId !== null && !keep && want === 0;
}

it("returns its lease to the owner that tells of shards, and then asks one of them in the owner's name", async () => {
  const { decide, messages, returned } = hotClient("told");
  await decide();
  await decide();
  await returned(1);
  expect((await decide()).verdicts).toMatchObject([{ allowed: true }]);
  const [first, second, back, toShard] = messages();
  expect([first?.shardOf, second?.shardOf, back?.shardOf]).toEqual([undefined, undefined, undefined]);
  expect(toShard?.shardOf).toEqual({ root: expect.stringMatching(/^v1:rate-limiter:[0-9a-f]{64}$/), count: 2 });
  expect(toShard).toMatchObject({ client: first?.client, leaseId: null });
});

it("is back at the owner when nobody has told of shards for as long as the word was good", async () => {
  const { decide, messages, returned } = hotClient("forgotten");
  await decide();
  await decide();
  await returned(1);
  await decide();
  vi.setSystemTime(NOW + TTL_MS);
  await decide();
  await decide();
  const places = messages().map(({ shardOf }) => (shardOf === undefined ? "owner" : "shard"));
  expect(places.slice(0, 6)).toEqual(["owner", "owner", "owner", "shard", "shard", "owner"]);
});

it("is back at the owner with the first call of a shard that fails, and looks at shards again some time later", async () => {
  const { decide, places, returned, settled } = hotClient("failing", () => "injected");
  await decide();
  await decide();
  await returned(1);
  const [failed, ...next] = [await decide(), await decide(), await decide()];
  await settled();
  expect(failed?.degraded).toEqual(["route:failing:l: local"]);
  expect(next.map(({ degraded }) => degraded)).toEqual([undefined, undefined]);
  expect(places()).toEqual(["owner", "owner", "owner", "shard", "owner"]);

  vi.setSystemTime(NOW + 20_000);
  await decide();
  await decide();
  await returned(2);
  await decide();
  await settled();
  expect(places().slice(5)).toEqual(["owner", "owner", "owner", "shard"]);
});

it("stays with a shard whose root is silent: the root has enough to do", async () => {
  const { decide, places, returned, settled } = hotClient("root-silent", () => ROOT_SILENT);
  await decide();
  await decide();
  await returned(1);
  const decisions = [await decide(), await decide(), await decide(), await decide()];
  await settled();
  expect(decisions.map(({ degraded }) => degraded !== undefined)).toEqual([true, true, true, true]);
  // After three the owner is left alone, by whatever way.
  expect(places()).toEqual(["owner", "owner", "owner", "shard", "shard", "shard"]);
});
