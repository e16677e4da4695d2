import { expect, it } from "vitest";
import type { TakeReply } from "../../objects/rate-limiter/messages.ts";
import { limited, type Between } from "./limited.ts";

const limit = { requestsPerWindow: 10, windowSeconds: 60, mode: "strict" };

it("gives back what a refused request took, and not what a shadow limit had refused", async () => {
  const refunds = await refundsAfter(
    [
      { ...limit, name: "taken", by: "ip" },
      { ...limit, name: "shadowed", by: "ip", shadow: true },
      { ...limit, name: "refused", by: "all" },
    ],
    (policy) => policy === "taken",
  );
  expect(refunds).toEqual([["taken"]]);
});

it("gives back what a request took that an unreachable owner closed", async () => {
  const refunds = await refundsAfter(
    [
      { ...limit, name: "taken", by: "ip" },
      { ...limit, name: "closed", by: "all", onError: "closed" },
    ],
    (policy) => {
      if (policy === "closed") throw new Error("injected");
      return true;
    },
  );
  expect(refunds).toEqual([["taken"]]);
});

it("asks no owner when another one has used up the time, and holds nothing against it", async () => {
  const prompt = { ...limit, onError: "closed", deadline: "60ms" };
  const between: Between = (sent, proceed) => (sent.method === "take" ? proceed() : new Promise(() => {}));
  const rateLimits = [
    { ...prompt, name: "taken" },
    { algorithm: "concurrency", maxConcurrent: 10, onError: "open", deadline: "60ms", name: "silent" },
  ];
  const both = limited({ route: "cascade", rateLimits, between });
  const codes = Array.from({ length: 4 }, async () => both.decide().catch((error: unknown) => error));
  const silent = { code: "dependency-unavailable" };
  expect(await Promise.all(codes)).toMatchObject([silent, silent, silent, silent]);
  expect(both.sent.filter(({ method }) => method === "take")).toEqual([]);
  const alone = limited({ route: "cascade", rateLimits: [{ ...prompt, name: "taken", deadline: "20s" }], between });
  expect(await alone.decide()).toMatchObject({ verdicts: [{ allowed: true }] });
});

/** The policies of each refund that a decision under these limits sends. */
async function refundsAfter(rateLimits: unknown, allows: (policy: string) => boolean): Promise<readonly string[][]> {
  const nameOf = (policy: string) => policy.replace("route:refunds:", "");
  const between: Between = async (sent) => {
    if (sent.method !== "take") return undefined;
    const items = sent.message.items.map((item) => {
      return Object.assign({ allowed: allows(nameOf(item.policy)), remaining: 0, retryAfterMs: 0 }, item);
    });
    const reply: TakeReply = { v: 1, allowed: items.every(({ allowed, shadow }) => allowed || shadow), items };
    return reply;
  };
  const one = limited({ route: "refunds", rateLimits, between });
  await one.decide().catch(() => {});
  await one.settled();
  return one.sent.flatMap(({ method, message }) =>
    method === "refund" ? [message.items.map(({ policy }) => nameOf(policy))] : [],
  );
}
