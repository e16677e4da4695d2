import { describe, expect, it } from "vitest";
import type { LeaseMessage, LeaseReply } from "../../objects/rate-limiter/leases/lease-messages.ts";
import type { LimitDecision } from "../../worker/limits/decide.ts";
import { limited, type Between, type Limited, type Sent } from "./limited.ts";

// A deadline that no owner here misses: a policy for silence must not decide in its place.
const ample = { requestsPerWindow: 1_000, windowSeconds: 3_600, deadline: "20s" };
const few = { ...ample, requestsPerWindow: 3 };

let routes = 0;

/** A route whose counters no other test knows. */
function freshRoute(): string {
  routes += 1;
  return `leases-${routes}`;
}

/** An owner that lends `granted` tokens of each policy to whoever asks, until they are idle for so long. */
function lending(granted: number, closeIdleMs: number | null = null): Between {
  let leaseId = 0;
  return async (sent) => {
    if (sent.method !== "lease") throw new Error(`wanted no ${sent.method}`);
    leaseId += 1;
    const { items } = sent.message;
    const rest = {
      allowed: true,
      remaining: 900,
      retryAfterMs: 0,
      kept: 0,
      granted,
      rem: 0,
      room: 1_000,
      roomMs: null,
    };
    const reply: LeaseReply = {
      v: 1,
      allowed: true,
      leaseId,
      ttlMs: 5_000,
      holdMs: 0,
      closeIdleMs,
      items: items.map(({ policy }) => Object.assign({ policy }, rest)),
    };
    return reply;
  };
}

function isAdmitted({ verdicts }: LimitDecision): boolean {
  return verdicts.every(({ allowed, limit }) => allowed || limit.shadow);
}

async function decideTimes(times: number, one: Limited): Promise<readonly boolean[]> {
  const admitted: boolean[] = [];
  for (let index = 0; index < times; index++) admitted.push(isAdmitted(await one.decide()));
  return admitted;
}

function leaseMessages(sent: readonly Sent[]): readonly LeaseMessage[] {
  return sent.flatMap((one) => (one.method === "lease" ? [one.message] : []));
}

/** Messages that return a lease and ask for nothing. */
function returns(sent: readonly Sent[]): readonly LeaseMessage[] {
  return leaseMessages(sent).filter(({ keep, want, leaseId }) => !keep && want === 0 && leaseId !== null);
}

describe("a client that this isolate has a lease for", () => {
  it("is let through without a call until the lease is nearly spent", async () => {
    const one = limited({ route: freshRoute(), rateLimits: [{ ...ample, name: "a" }], between: lending(20) });
    expect(await decideTimes(10, one)).toEqual(Array.from({ length: 10 }, () => true));
    expect(one.sent).toHaveLength(1);
  });

  it("is let through in one synchronous step", async () => {
    const one = limited({ route: freshRoute(), rateLimits: [{ ...ample, name: "a" }], between: lending(20) });
    await one.decide();
    expect(one.decideNow()).toMatchObject({ verdicts: [{ allowed: true, remaining: 919, retryAfterMs: 0 }] });
  });

  it("spends no more than was lent, whatever the number of requests at once", async () => {
    let admitted = 0;
    const one = limited({ route: freshRoute(), rateLimits: [{ ...few, name: "a" }] });
    const decisions = await Promise.all(Array.from({ length: 40 }, () => one.decide()));
    for (const decision of decisions) if (isAdmitted(decision)) admitted += 1;
    expect(admitted).toBe(3);
  });

  it("that its owner no longer answers for is let through until the lease is spent, and then by policy", async () => {
    let isSilent = false;
    const lend = lending(5);
    const between: Between = (sent, proceed) =>
      isSilent ? Promise.reject(new Error("injected")) : lend(sent, proceed);
    const one = limited({ route: freshRoute(), rateLimits: [{ ...ample, name: "a", onError: "closed" }], between });
    expect(await decideTimes(1, one)).toEqual([true]);
    isSilent = true;
    expect(await decideTimes(5, one)).toEqual([true, true, true, true, true]);
    await expect(one.decide()).rejects.toMatchObject({ code: "dependency-unavailable" });
  });
});

describe("requests that miss at the same time", () => {
  it("make one call, and the others spend what it brings", async () => {
    const one = limited({ route: freshRoute(), rateLimits: [{ ...ample, name: "a" }], between: lending(30) });
    const decisions = await Promise.all(Array.from({ length: 20 }, () => one.decide()));
    expect(decisions.map(isAdmitted)).toEqual(Array.from({ length: 20 }, () => true));
    expect(one.sent).toHaveLength(1);
  });
});

describe("a client that is known to have nothing left", () => {
  it("is refused without a call", async () => {
    const one = limited({ route: freshRoute(), rateLimits: [{ ...few, name: "a" }] });
    expect(await decideTimes(4, one)).toEqual([true, true, true, false]);
    const calls = one.sent.length;
    expect(await decideTimes(20, one)).toEqual(Array.from({ length: 20 }, () => false));
    expect(one.sent).toHaveLength(calls);
  });

  it("is refused without a call to any owner when one limit of several knows it", async () => {
    const route = freshRoute();
    const rateLimits = [
      { ...few, name: "a", by: "ip" },
      { ...ample, name: "b", by: "all", mode: "strict" },
    ];
    const one = limited({ route, rateLimits });
    expect(await decideTimes(4, one)).toEqual([true, true, true, false]);
    const calls = one.sent.length;
    expect(await decideTimes(5, one)).toEqual([false, false, false, false, false]);
    expect(one.sent).toHaveLength(calls);
  });
});

describe("limits with several owners", () => {
  const both = (last: object) => [
    { ...ample, name: "a", by: "ip" },
    { ...few, name: "b", by: "all", ...last },
  ];

  it.each([
    { title: "both lend", last: {} },
    { title: "one is asked each time", last: { mode: "strict" } },
  ])(
    "let exactly as many pass as the smaller one allows, and burn nothing of the other, when $title",
    async ({ last }) => {
      const route = freshRoute();
      const one = limited({ route, rateLimits: both(last) });
      const decisions = await Promise.all(Array.from({ length: 12 }, () => one.decide()));
      const admitted = decisions.filter(isAdmitted).length;
      expect(admitted).toBe(3);
      // Another configuration takes back what this isolate holds; what is neither there nor lent then was spent.
      const next = limited({ route, rateLimits: both(last), version: 2 });
      await next.decide();
      await next.settled();
      const lender = leaseMessages(one.sent).find(({ items }) => items[0]?.policy === `route:${route}:a`);
      const [owner] = await one.counters(lender);
      expect((owner?.remaining ?? 0) + (owner?.outstanding ?? 0)).toBe(1_000 - 3);
    },
  );

  it("let a request pass in one synchronous step when all have lent enough", async () => {
    const one = limited({ route: freshRoute(), rateLimits: both({ requestsPerWindow: 500 }), between: lending(20) });
    await one.decide();
    expect(one.decideNow()).toMatchObject({ verdicts: [{ allowed: true }, { allowed: true }] });
  });

  it("let a request pass that was lent what it costs though its clients had to leave the table meanwhile", async () => {
    const closed = { ...ample, onError: "closed" };
    const rateLimits = [
      { ...closed, name: "a", by: "ip" },
      { ...closed, name: "b", by: "all" },
    ];
    const one = limited({ route: freshRoute(), rateLimits, between: lending(20), tableEntries: 1 });
    expect(isAdmitted(await one.decide())).toBe(true);
    await one.settled();
    expect(returns(one.sent).map(({ items }) => items.map(({ held }) => held))).toEqual([[19]]);
  });

  it("leave the decision to an owner that has the tokens and cannot lend them, as near the end of a quota", async () => {
    const lend = lending(20);
    const between: Between = async (sent, proceed) => {
      const reply = Object(await lend(sent, proceed));
      if (sent.method !== "lease" || sent.message.items.some(({ policy }) => policy.endsWith(":a"))) return reply;
      const isTaken = sent.message.hold !== true;
      const items = reply.items.map((item: object) => ({ ...item, granted: 0, allowed: isTaken, retryAfterMs: 300 }));
      return { ...reply, leaseId: null, allowed: isTaken, items };
    };
    const one = limited({ route: freshRoute(), rateLimits: both({ requestsPerWindow: 500 }), between });
    expect(await decideTimes(2, one)).toEqual([true, true]);
  });

  it("say of each what is left", async () => {
    const one = limited({ route: freshRoute(), rateLimits: both({}) });
    const { verdicts } = await one.decide();
    expect(verdicts.map(({ limit, remaining }) => [limit.name, remaining])).toEqual([
      ["a", 999],
      ["b", 2],
    ]);
  });
});

describe("a lease goes back", () => {
  it("when the configuration changes", async () => {
    const route = freshRoute();
    const rateLimits = [{ ...ample, name: "a" }];
    const lend = lending(20);
    await limited({ route, rateLimits, between: lend }).decide();
    const next = limited({ route, rateLimits, version: 2, between: lend });
    await next.decide();
    await next.settled();
    expect(returns(next.sent)).toMatchObject([{ configVersion: 1, items: [{ held: 20 }] }]);
  });

  it("when its limit changes under the same version", async () => {
    const route = freshRoute();
    const lend = lending(20);
    await limited({ route, rateLimits: [{ ...ample, name: "a" }], between: lend }).decide();
    const next = limited({ route, rateLimits: [{ ...few, name: "a" }], between: lend });
    await next.decide();
    await next.settled();
    expect(returns(next.sent)).toMatchObject([{ items: [{ held: 20, tokensPerWindow: 1_000 }] }]);
  });

  it("when its client leaves the table for another one", async () => {
    const lend = lending(20);
    const one = limited({ route: freshRoute(), rateLimits: [{ ...ample, name: "a" }], between: lend, tableEntries: 1 });
    await one.decide("192.0.2.1");
    await one.decide("192.0.2.2");
    await one.settled();
    expect(returns(one.sent)).toMatchObject([{ leaseId: 1, items: [{ held: 20 }] }]);
  });

  it("when it was idle for as long as its owner said, once, whatever the number of requests", async () => {
    const lend = lending(20, 30);
    let tell = () => {};
    const returned = new Promise<void>((resolve) => (tell = resolve));
    const between: Between = (sent, proceed) => {
      if (returns([sent]).length > 0) tell();
      return lend(sent, proceed);
    };
    const one = limited({ route: freshRoute(), rateLimits: [{ ...ample, name: "a" }], between });
    await decideTimes(8, one);
    await returned;
    await one.settled();
    expect(returns(one.sent)).toMatchObject([{ leaseId: 1, items: [{ held: 13 }] }]);
  });

  it("when it was renewed behind the last request", async () => {
    // Nobody is to wait before the renewal tells how long a lease may lie idle.
    const lend = lending(4);
    let tell = () => {};
    const returned = new Promise<void>((resolve) => (tell = resolve));
    const between: Between = async (sent, proceed) => {
      if (returns([sent]).length > 0) tell();
      const closeIdleMs = leaseMessages([sent])[0]?.leaseId === null ? null : 30;
      return { ...Object(await lend(sent, proceed)), closeIdleMs };
    };
    const one = limited({ route: freshRoute(), rateLimits: [{ ...ample, name: "a" }], between });
    await one.decide();
    // In one turn, so that the renewal's reply finds no request that would wait.
    for (let index = 0; index < 4; index++) void one.decideNow();
    await returned;
    await one.settled();
    expect(returns(one.sent)).toMatchObject([{ leaseId: 2, items: [{ held: 4 }] }]);
  });

  it("when its client left the table while it was on its way", async () => {
    const lend = lending(20);
    let open = () => {};
    const opened = new Promise<void>((resolve) => (open = resolve));
    const between: Between = async (sent, proceed) => {
      if (leaseMessages([sent])[0]?.seq === leaseMessages(one.sent)[0]?.seq) await opened;
      return lend(sent, proceed);
    };
    const one = limited({ route: freshRoute(), rateLimits: [{ ...ample, name: "a" }], between, tableEntries: 1 });
    const first = one.decide("192.0.2.1");
    await one.decide("192.0.2.2");
    open();
    expect(isAdmitted(await first)).toBe(true);
    await one.settled();
    const client = leaseMessages(one.sent)[0]?.client;
    const returned = returns(one.sent).filter((message) => message.client === client);
    expect(returned.map(({ items }) => items[0]?.held)).toEqual([20]);
  });
});

describe("an owner that fails", () => {
  it("is left alone after three failures, so that a dead one costs no deadline per request", async () => {
    const between: Between = () => Promise.reject(new Error("injected"));
    const rateLimits = [{ ...ample, name: "a", onError: "open" }];
    const one = limited({ route: freshRoute(), rateLimits, between });
    expect(await decideTimes(20, one)).toEqual(Array.from({ length: 20 }, () => true));
    expect(one.sent).toHaveLength(3);
  });

  it("is left alone at once when it is overloaded", async () => {
    const between: Between = () => Promise.reject(Object.assign(new Error("injected"), { overloaded: true }));
    const one = limited({ route: freshRoute(), rateLimits: [{ ...ample, name: "a", onError: "open" }], between });
    expect(await decideTimes(20, one)).toEqual(Array.from({ length: 20 }, () => true));
    expect(one.sent).toHaveLength(1);
  });

  it("leaves a client the share that its owner's last word on the number of isolates gives", async () => {
    let isSilent = false;
    const lend = lending(0);
    const between: Between = async (sent, proceed) => {
      if (isSilent) throw new Error("injected");
      return { ...Object(await lend(sent, proceed)), isolates: 4 };
    };
    const rateLimits = [{ ...ample, requestsPerWindow: 20, name: "a" }];
    const one = limited({ route: freshRoute(), rateLimits, between });
    await one.decide();
    isSilent = true;
    expect(await decideTimes(6, one)).toEqual([true, true, true, true, true, false]);
  });
});

it("lets routes that share a limit spend one lease, each by its own statement of the limit", async () => {
  const route = freshRoute();
  const lend = lending(20);
  const one = limited({ route, rateLimits: [{ ...ample, name: "a" }], between: lend });
  const two = limited({ route, rateLimits: [{ ...ample, name: "a" }], between: lend });
  const first = await one.decide();
  const second = await two.decide();
  expect([one.sent.length, two.sent.length]).toEqual([1, 0]);
  expect(second.verdicts[0]?.limit).not.toBe(first.verdicts[0]?.limit);
});

it("takes what a request costs in units, and tells tokens", async () => {
  const rateLimits = [{ ...ample, name: "a", cost: 1.5 }];
  const one = limited({ route: freshRoute(), rateLimits });
  const { verdicts } = await one.decide();
  expect(leaseMessages(one.sent)[0]?.items[0]).toMatchObject({
    cost: 1500,
    burst: 1_000_000,
    tokensPerWindow: 1_000_000,
  });
  expect(verdicts.map(({ remaining }) => remaining)).toEqual([998]);
});
