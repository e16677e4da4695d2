import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import type { RefundMessage, TakeItem, TakeMessage, TakeReply } from "../../objects/rate-limiter/messages.ts";
import type { SettleMessage } from "../../objects/rate-limiter/settle-messages.ts";
import type { Handler } from "../../worker/exchange.ts";
import { limit } from "../../worker/steps/limit.ts";
import { exchangeFor } from "./exchange.ts";

const COUNTED = { name: "counted", requestsPerWindow: 10, windowSeconds: 60, countWhen: 401 };
const PLAIN = { name: "plain", requestsPerWindow: 10, windowSeconds: 60, mode: "strict" };

interface Heard {
  readonly takes: TakeItem[];
  readonly settled: SettleMessage[];
  readonly refunded: string[];
}

/** What the owner hears of a request that it lets in, under these limits and with this rest of the chain. */
async function heardOf(
  rateLimits: readonly object[],
  next: Handler,
  {
    reservation = 7,
    whileAsked = () => {},
  }: { reservation?: number | null; whileAsked?: (answered: Promise<void>) => unknown } = {},
  request: Request = new Request("http://gateway.test/"),
): Promise<Heard> {
  const heard: Heard = { takes: [], settled: [], refunded: [] };
  const { promise: answered, resolve } = Promise.withResolvers<void>();
  const owner = {
    async take({ items }: TakeMessage): Promise<TakeReply> {
      heard.takes.push(...items);
      await whileAsked(answered);
      const told = items.map(({ policy }) => ({
        policy,
        allowed: !policy.endsWith("refusing"),
        remaining: 9,
        retryAfterMs: 0,
      }));
      return { v: 1, allowed: told.every(({ allowed }) => allowed), items: told, reservation };
    },
    async settle(message: SettleMessage) {
      heard.settled.push(message);
      return { v: 1, settled: true, items: [] };
    },
    async refund({ items }: RefundMessage) {
      heard.refunded.push(...items.map(({ policy }) => policy));
    },
  };
  const namespace = new Proxy(env.RATE_LIMITER, {
    get: (target, name) => (name === "get" ? () => owner : target.idFromName.bind(target)),
  });
  const work: Promise<unknown>[] = [];
  const bindings = { ...env, RATE_LIMITER: namespace, NAMING_SECRET: "0123456789abcdef" };
  const exchange = { ...exchangeFor({ prefix: "/", rateLimits }, bindings, work), request };
  const step = limit(exchange.route.route.rateLimits, { tableEntries: 10 });
  await step(exchange, next).catch(() => {});
  resolve();
  await Promise.all(work);
  return heard;
}

const answering = (status: number) => async () => new Response(null, { status });

it("reserves for the limits that are settled, and settles those alone", async () => {
  const { takes, settled, refunded } = await heardOf([COUNTED, PLAIN], answering(401));
  expect(takes.map(({ policy, reserveMs }) => [policy, reserveMs])).toEqual([
    ["route:r:counted", 40_000],
    ["route:r:plain", undefined],
  ]);
  expect(settled).toEqual([
    { v: 1, client: expect.any(String), reservation: 7, items: [{ policy: "route:r:counted", actual: 1 }] },
  ]);
  expect(refunded).toEqual([]);
});

it("gives a reservation back as nothing used when another owner refuses, and the rest as a refund", async () => {
  const limits = [COUNTED, PLAIN, { ...PLAIN, name: "refusing", by: "all" }];
  const { settled, refunded } = await heardOf(limits, answering(200));
  expect(settled.map(({ items }) => items)).toEqual([[{ policy: "route:r:counted", actual: 0 }]]);
  expect(refunded).toEqual(["route:r:plain"]);
});

it("settles nothing with an owner that reserved nothing", async () => {
  expect((await heardOf([COUNTED], answering(401), { reservation: null })).settled).toEqual([]);
});

it("stops a request whose client leaves while the owner is asked, and settles it as not counted", async () => {
  const client = new AbortController();
  const request = new Request("http://gateway.test/", { signal: client.signal });
  const next: Handler = async ({ stop }) => {
    if (stop?.signal.aborted === true) throw stop.signal.reason;
    return new Response(null, { status: 401 });
  };
  const { settled } = await heardOf([COUNTED], next, { whileAsked: () => client.abort() }, request);
  expect(settled.map(({ items }) => items)).toEqual([[{ policy: "route:r:counted", actual: 0 }]]);
});

it("counts a request whose client leaves while the origin is at work: the outcome may be seen elsewhere", async () => {
  const client = new AbortController();
  const request = new Request("http://gateway.test/", { signal: client.signal });
  const next: Handler = async ({ stop }) => {
    client.abort();
    throw stop?.signal.reason;
  };
  const { settled } = await heardOf([COUNTED], next, {}, request);
  expect(settled.map(({ items }) => items)).toEqual([[{ policy: "route:r:counted", actual: 1 }]]);
});

describe("a yes that comes after its deadline", () => {
  it.each([
    ["charges a request that was let through without it with its cost", "open", 401, 1],
    ["charges nothing for one that turned out not to count", "open", 200, 0],
    ["charges nothing for one that was turned away without it", "closed", 401, 0],
  ])("%s", async (_title, onError, status, actual) => {
    const slow = { ...COUNTED, onError, deadline: "50ms" };
    const { settled } = await heardOf([slow], answering(status), { whileAsked: (answered) => answered });
    expect(settled.map(({ items }) => items)).toEqual([[{ policy: "route:r:counted", actual }]]);
  });
});
