import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import type { RefundMessage, TakeMessage, TakeReply } from "../../objects/rate-limiter/messages.ts";
import { parseConfig } from "../../schemas/index.ts";
import { compileConfig } from "../../worker/config/compile.ts";
import type { Exchange } from "../../worker/exchange.ts";
import { compileLimits } from "../../worker/limits/decide.ts";
import { readFields } from "../../worker/request-fields.ts";

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

/** The policies of each refund that a decision under these limits sends. */
async function refundsAfter(rateLimits: unknown, allows: (policy: string) => boolean): Promise<readonly string[][]> {
  const refunds: string[][] = [];
  const nameOf = (item: { readonly policy: string }) => item.policy.replace("route:r:", "");
  const owner = {
    async take({ items }: TakeMessage): Promise<TakeReply> {
      const told = items.map((item) => ({ ...item, allowed: allows(nameOf(item)), remaining: 0, retryAfterMs: 0 }));
      return { v: 1, allowed: told.every(({ allowed, shadow }) => allowed || shadow), items: told };
    },
    async refund({ items }: RefundMessage): Promise<void> {
      refunds.push(items.map(nameOf));
    },
  };
  const namespace = new Proxy(env.RATE_LIMITER, {
    get: (target, name) => (name === "get" ? () => owner : target.idFromName.bind(target)),
  });
  const work: Promise<unknown>[] = [];
  const exchange = exchangeUnder(
    rateLimits,
    { ...env, RATE_LIMITER: namespace, NAMING_SECRET: "0123456789abcdef" },
    work,
  );
  const decide = compileLimits(exchange.route.route.rateLimits, { tableEntries: 10 });
  await Promise.resolve(decide(exchange, Date.now())).catch(() => {});
  await Promise.all(work);
  return refunds;
}

function exchangeUnder(rateLimits: unknown, bindings: Env, work: Promise<unknown>[]): Exchange {
  const parsed = parseConfig({ routes: [{ id: "r", prefix: "/", target: "https://origin.example", rateLimits }] });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const active = compileConfig(parsed.config, {
    version: 1,
    source: "default",
    text: "",
    warnings: [],
    platform: "socket",
  });
  const route = active.routes.get("r");
  if (route === undefined) throw new Error("the document has a route r");
  const request = new Request("http://gateway.test/");
  return {
    request,
    canonical: { method: "GET", scheme: "http", host: "gateway.test", path: "/", query: "" },
    fields: readFields(request.headers),
    requestId: "test",
    route,
    configVersion: 1,
    client: { address: "192.0.2.1", network: "192.0.2.1", forwardedFor: "192.0.2.1", scheme: "http" },
    principal: "192.0.2.1",
    receivedAt: Date.now(),
    deadline: Date.now() + 1000,
    env: bindings,
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a decision uses nothing else of the context
    ctx: { waitUntil: (promise: Promise<unknown>) => void work.push(promise) } as ExecutionContext,
    responseHeaders: [],
    notes: {},
  };
}
