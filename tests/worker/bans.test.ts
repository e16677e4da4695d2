import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { ReportMessage } from "../../objects/rate-limiter/bans/abuse-messages.ts";
import type { RateLimiter } from "../../objects/rate-limiter/rate-limiter.ts";
import { GatewayError } from "../../worker/errors.ts";
import type { Exchange } from "../../worker/exchange.ts";
import { clientAddress } from "../../worker/limits/client-address.ts";
import { limit } from "../../worker/steps/limit.ts";
import { exchangeFor } from "./exchange.ts";

const RULE = { requestsPerWindow: 10, windowSeconds: 60, deadline: "5s", ban: true };

interface Call {
  readonly method: string;
  readonly message: unknown;
}

let clients = 0;

afterEach(() => {
  vi.useRealTimers();
});

/** A client of its own, under these limits, with everything that its owners were asked. */
function newClient(rateLimit: object, between: (call: Call) => void | Promise<void> = () => {}) {
  clients += 1;
  const address = `192.0.2.${clients}`;
  const calls: Call[] = [];
  const work: Promise<unknown>[] = [];
  const waiters: { count: number; resolve: () => void }[] = [];
  let heard = 0;
  const namespace = new Proxy(env.RATE_LIMITER, {
    get: (target, name) =>
      name === "get" ? (id: DurableObjectId) => watched(target.get(id)) : target.idFromName.bind(target),
  });
  const watched = (stub: DurableObjectStub<RateLimiter>) =>
    new Proxy(stub, {
      get: (target, method) => async (message: never) => {
        const call = { method: String(method), message };
        calls.push(call);
        await between(call);
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a stub answers to every name
        const reply = await (target[method as "lease"] as (sent: never) => Promise<unknown>)(message);
        if (method === "report") heard += attemptsIn(message);
        for (const waiting of waiters) if (heard >= waiting.count) setTimeout(waiting.resolve);
        return reply;
      },
    });
  const base = exchangeFor({ prefix: "/", rateLimit }, { ...env, RATE_LIMITER: namespace }, work);
  const client = { ...base.client, address, network: address };
  const step = limit(base.route.route.rateLimits, { tableEntries: 100 });
  const exchange = (as: Partial<Exchange>): Exchange => ({
    ...base,
    client,
    principal: address,
    responseHeaders: [],
    notes: {},
    ...as,
  });
  return {
    calls,
    work,
    /** "passed", or the code of the refusal and how long to wait. */
    async ask(as: Partial<Exchange> = {}): Promise<string> {
      try {
        await step(exchange(as), async () => new Response());
        return "passed";
      } catch (error) {
        if (!(error instanceof GatewayError)) throw error;
        return `${error.code} ${error.headers["retry-after"]}`;
      }
    },
    /** Sends so many requests, one after another. */
    async send(count: number): Promise<Record<string, number>> {
      const answers: Record<string, number> = {};
      for (let sent = 0; sent < count; sent += 1) {
        const [answer = ""] = (await this.ask()).split(" ");
        answers[answer] = (answers[answer] ?? 0) + 1;
      }
      return answers;
    },
    /** Resolves when the owner has answered reports of so many attempts. */
    reported(count: number): Promise<void> {
      return new Promise((resolve) => {
        waiters.push({ count, resolve });
        if (heard >= count) resolve();
      });
    },
    async settled(): Promise<void> {
      while (work.length > 0) await Promise.all(work.splice(0));
    },
    async owner() {
      const found = await clientAddress(exchange({}), [{ kind: "ip" }], "pooled");
      return { stub: env.RATE_LIMITER.getByName(found.name), id: found.client };
    },
  };
}

function attemptsIn({ items }: ReportMessage): number {
  const counts = items.flatMap(({ report }) => report.counts);
  return counts.reduce((sum, { count }) => sum + count, 0);
}

function reports(calls: readonly Call[]): readonly ReportMessage[] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what this method is called with
  return calls.filter(({ method }) => method === "report").map(({ message }) => message as ReportMessage);
}

describe("a client of a limit that bans", () => {
  it("is shut out at its fiftieth attempt at a limit of 10, and then refused without a call", async () => {
    const client = newClient(RULE);
    expect(await client.send(50)).toEqual({ passed: 10, "quota-exceeded": 40 });
    await client.reported(50);
    const before = client.calls.length;
    expect(await client.send(3)).toEqual({ "abnormal-usage-detected": 3 });
    expect(await client.ask()).toMatch(/^abnormal-usage-detected 86(400|39\d)$/);
    expect(client.calls.length).toBe(before);
    expect(
      reports(client.calls)
        .map(attemptsIn)
        .reduce((sum, count) => sum + count),
    ).toBe(50);
  });

  it("costs no report while it is not refused", async () => {
    const client = newClient(RULE);
    expect(await client.send(10)).toEqual({ passed: 10 });
    expect(reports(client.calls)).toEqual([]);
  });

  it("is refused while its reports hang, the request that sent one included", async () => {
    // A report's own deadline never comes: whoever waited for one would wait for ever.
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    const sent = Promise.withResolvers<void>();
    const client = newClient(RULE, ({ method }) => {
      if (method !== "report") return;
      sent.resolve();
      return new Promise(() => {});
    });
    // A fourth of what bans makes whoever attempts it report at once, whether somebody watches or not.
    expect(await client.send(30)).toEqual({ passed: 10, "quota-exceeded": 20 });
    await sent.promise;
    expect(await client.send(30)).toEqual({ "quota-exceeded": 30 });
    expect(reports(client.calls)).toHaveLength(1);
  });

  it("is banned when a report or its answer is lost, for what it did, once", async () => {
    let lost = 0;
    const client = newClient(RULE, ({ method }) => {
      if (method === "report" && lost++ === 0) throw new Error("lost");
    });
    expect(await client.send(49)).toEqual({ passed: 10, "quota-exceeded": 39 });
    await client.reported(49);
    expect(await client.ask()).toMatch("quota-exceeded");
    await client.reported(50);
    expect(await client.ask()).toMatch("abnormal-usage-detected");
    const [first, second] = reports(client.calls);
    expect(second?.items[0]?.report).toEqual(first?.items[0]?.report);
  });

  it("is banned by its cost, but never by a few requests", async () => {
    const client = newClient({ ...RULE, requestsPerWindow: 100, cost: 90 });
    // Each counts a tenth of the limit and not nine.
    expect(await client.send(49)).toEqual({ passed: 1, "quota-exceeded": 48 });
    await client.reported(490);
    expect(await client.ask()).toMatch("quota-exceeded");
    await client.reported(500);
    expect(await client.ask()).toMatch("abnormal-usage-detected");
  });

  it("is never banned under a limit in shadow mode", async () => {
    const client = newClient({ ...RULE, shadow: true });
    expect(await client.send(80)).toEqual({ passed: 80 });
    expect(reports(client.calls)).toEqual([]);
    const { stub, id } = await client.owner();
    await stub.ban(id, { durationMs: 60_000, reason: "by hand" });
    expect(await client.ask()).toBe("passed");
  });
});

describe.each([{ mode: "leased" }, { mode: "strict" }])("a client that an operator bans ($mode)", ({ mode }) => {
  it("is stopped by its owner's next word, and feels an unban after a second that nobody waits for", async () => {
    const now = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now });
    const client = newClient({ requestsPerWindow: 10, windowSeconds: 60, mode });
    const { stub, id } = await client.owner();
    await stub.ban(id, { durationMs: 60_000, reason: "by hand" });
    expect(await client.ask()).toBe("abnormal-usage-detected 60");
    await stub.unban(id);
    vi.setSystemTime(now + 1_000);
    const before = client.calls.length;
    expect([await client.ask(), await client.ask()]).toEqual([
      "abnormal-usage-detected 59",
      "abnormal-usage-detected 59",
    ]);
    expect(client.calls.slice(before).map(({ method }) => method)).toEqual(["report"]);
    await client.settled();
    expect(await client.ask()).toBe("passed");
  });

  it("is asked for on the path when nothing was heard for 2 s", async () => {
    const now = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now });
    const client = newClient({ requestsPerWindow: 10, windowSeconds: 60, mode });
    const { stub, id } = await client.owner();
    await stub.ban(id, { durationMs: 60_000, reason: "by hand" });
    await client.ask();
    vi.setSystemTime(now + 1_999);
    expect(await client.ask()).toBe("abnormal-usage-detected 59");
    await client.settled();
    vi.setSystemTime(now + 3_999);
    expect(await client.ask()).toBe("abnormal-usage-detected 57");
    await stub.unban(id);
    vi.setSystemTime(now + 5_999);
    const before = client.calls.length;
    const answers = await Promise.all(Array.from({ length: 5 }, () => client.ask()));
    expect(answers).toEqual(answers.map(() => "passed"));
    expect(client.calls.slice(before).filter(({ method }) => method === "report")).toHaveLength(1);
  });

  it("is decided about by onError when its owner falls silent", async () => {
    const now = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now });
    let isSilent = false;
    const limited = { requestsPerWindow: 10, windowSeconds: 60, mode, onError: "open" };
    const client = newClient(limited, () => {
      if (isSilent) throw new Error("silent");
    });
    const { stub, id } = await client.owner();
    await stub.ban(id, { durationMs: 60_000, reason: "by hand" });
    await client.ask();
    isSilent = true;
    vi.setSystemTime(now + 1_999);
    expect(await client.ask()).toMatch("abnormal-usage-detected");
    await client.settled();
    vi.setSystemTime(now + 2_000);
    expect(await client.ask()).toBe("passed");
  });
});

describe.each([{ mode: "leased" }, { mode: "strict" }])("a principal that no ban stops ($mode)", ({ mode }) => {
  const limits = { ...RULE, mode, ban: { exemptPrincipals: ["alice"] } };

  it("passes from a banned address when it is verified, and only then", async () => {
    const client = newClient(limits);
    const { stub, id } = await client.owner();
    await stub.ban(id, { durationMs: 60_000, reason: "by hand" });
    expect(await client.ask()).toBe("abnormal-usage-detected 60");
    expect(await client.ask({ principal: "alice", verified: true })).toBe("passed");
    expect(await client.ask({ principal: "alice" })).toBe("abnormal-usage-detected 60");
    expect(await client.ask({ principal: "bob", verified: true })).toBe("abnormal-usage-detected 60");
  });

  it("does nothing that bans its address", async () => {
    const client = newClient(limits);
    for (let sent = 0; sent < 60; sent += 1) await client.ask({ principal: "alice", verified: true });
    await client.settled();
    expect(reports(client.calls)).toEqual([]);
  });
});
