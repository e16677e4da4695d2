import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { LeaseMessage } from "../../objects/rate-limiter/lease-messages.ts";
import { limited, type Sent } from "./limited.ts";

const NOW = 1_790_000_000_000;
const TTL_MS = 60_000;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: NOW });
});

afterEach(() => {
  vi.useRealTimers();
});

/** A client whose owner tells of two shards with the first lease that it grants. */
function hotClient(route: string) {
  const returns: Sent[] = [];
  const waiting: (() => void)[] = [];
  const client = limited({
    route,
    rateLimits: [{ name: "l", requestsPerWindow: 1_000, windowSeconds: 3_600, by: "all", clients: "own" }],
    async between(one, proceed) {
      const reply = await proceed();
      if (one.method !== "lease") return reply;
      if (isReturn(one.message)) {
        returns.push(one);
        for (const wake of waiting.splice(0)) wake();
      }
      const isLent = typeof reply === "object" && reply !== null && "leaseId" in reply && reply.leaseId !== null;
      if (one.message.shardOf !== undefined || !isLent) return reply;
      return { ...reply, shards: { count: 2, ttlMs: TTL_MS } };
    },
  });
  return {
    messages: () => client.sent.flatMap((one) => (one.method === "lease" ? [one.message] : [])),
    decide: () => client.decide(),
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
