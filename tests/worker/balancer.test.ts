import { describe, expect, it } from "vitest";
import { compileBalancer } from "../../worker/backends/balancer.ts";
import { targetState } from "../../worker/backends/target.ts";
import { beginCall, noteAnswer } from "../../worker/balance/target-load.ts";
import { asked, backendOf, balancerOf, chosen, NOW, requestWith } from "./balanced.ts";

const refusing = { ...idle(), isRefusing: () => true };

/** A breaker that lets everything pass. */
function idle() {
  return {
    admit: () => ({ kind: "pass" as const, attempt: { epoch: 0, isSettled: false } }),
    settle: () => {},
    lookAfter: () => {},
    isRefusing: () => false,
  };
}

/** A way to choose, asked so many times. */
async function choices(balancer: ReturnType<typeof balancerOf>, times: number, now = NOW): Promise<readonly number[]> {
  const met: number[] = [];
  for (let turn = 0; turn < times; turn++) met.push((await chosen(balancer.choose(requestWith(), now))).index);
  return met;
}

describe("where nothing is to be chosen there is no balancer", () => {
  it.each([
    ["one target", {}, undefined],
    ["one target and a sticky client", { sticky: "cookie" }, undefined],
    ["one target whose health checks may not take it away", { healthCheck: { path: "/up" } }, undefined],
  ])("%s", (_what, settings, expected) => {
    expect(compileBalancer(backendOf("a", settings), [undefined])).toBe(expected);
  });
});

describe("a balancer", () => {
  it("answers without waiting, and for the same target with the same value", () => {
    const balancer = balancerOf(backendOf("ab", { balance: "round-robin" }, { name: "same" }));
    const [first, second, third] = [1, 2, 3].map(() => balancer.choose(requestWith(), NOW));
    expect(first).toBe(third);
    expect([first, second].toSorted((a, b) => indexOf(a) - indexOf(b))).toEqual([
      { kind: "target", index: 0, sticky: undefined, bind: undefined },
      { kind: "target", index: 1, sticky: undefined, bind: undefined },
    ]);
  });

  it("goes on with its turns when the configuration is loaded anew, and for another route", async () => {
    const weights: Record<string, number> = { a: 5, b: 1, c: 1 };
    const settings = { name: "turns", ofTarget: (letter: string) => ({ weight: weights[letter] }) };
    const met = [0, 0, 0];
    // In the middle of each row: turns that began anew would nearly all be those of the first.
    for (let reload = 0; reload < 14; reload++) {
      const balancer = balancerOf(backendOf("abc", { balance: "round-robin" }, settings));
      for (const index of await choices(balancer, 2)) met[index] = (met[index] ?? 0) + 1;
    }
    expect(met).toEqual([20, 4, 4]);
  });

  it("begins at another place in each isolate", async () => {
    const starts = new Set<number>();
    for (let isolate = 0; isolate < 64; isolate++) {
      const balancer = balancerOf(backendOf("abcd", { balance: "round-robin" }, { name: `isolate${isolate}` }));
      starts.add((await choices(balancer, 1))[0] ?? -1);
    }
    expect(starts.size).toBeGreaterThan(1);
  });

  it("meets the target with the fewest requests in flight, as this isolate counts them", async () => {
    const balancer = balancerOf(backendOf("kl", { balance: "least-requests" }));
    beginCall(targetState("https://k.example").load, 1_000, NOW);
    expect(await choices(balancer, 5)).toEqual([1, 1, 1, 1, 1]);
    // A client that vanished: its lease is over.
    beginCall(targetState("https://l.example").load, 10_000, NOW);
    expect(await choices(balancer, 5, NOW + 2_000)).toEqual([0, 0, 0, 0, 0]);
  });

  it("meets the faster of two targets, and the slow one again once its slowness is long ago", async () => {
    const balancer = balancerOf(backendOf("mn", { balance: "power-of-two" }));
    noteAnswer(targetState("https://m.example").load, 1_000, NOW);
    noteAnswer(targetState("https://n.example").load, 50, NOW);
    expect(await choices(balancer, 5)).toEqual([1, 1, 1, 1, 1]);
    noteAnswer(targetState("https://n.example").load, 50, NOW + 60_000);
    expect(await choices(balancer, 5, NOW + 60_000)).toEqual([0, 0, 0, 0, 0]);
  });

  it("keeps what tells a client apart with one target", async () => {
    const balancer = balancerOf(backendOf("abcdef", { balance: { algorithm: "rendezvous", by: ["header:x-user"] } }));
    const targetOf = async (user: string) =>
      (await chosen(balancer.choose(requestWith({ "x-user": user }), NOW))).index;
    const users = Array.from({ length: 50 }, (_, index) => `user ${index}`);
    const met = await Promise.all(users.map(targetOf));
    expect(await Promise.all(users.map(targetOf))).toEqual(met);
    expect(new Set(met).size).toBe(6);
  });

  it("sends a target that is new to the backend a tenth at first, and none of those that it began with", () => {
    const settings = { balance: { algorithm: "least-requests", slowStart: "10m" } };
    balancerOf(backendOf("xy", settings, { name: "grown" }));
    const grown = balancerOf(backendOf("xyz", settings, { name: "grown" }));
    const now = Date.now();
    const occupy = (letter: string, calls: number) => {
      for (let call = 0; call < calls; call++) beginCall(targetState(`https://${letter}.example`).load, 60_000, now);
    };
    occupy("x", 8);
    occupy("y", 8);
    // Nine for a weight of 1 are less than one for a tenth; eleven are more.
    expect(indexOf(grown.choose(requestWith(), now))).toBeLessThan(2);
    occupy("x", 2);
    occupy("y", 2);
    expect(indexOf(grown.choose(requestWith(), now))).toBe(2);
  });
});

describe("a target is passed by", () => {
  it("while its breaker refuses, or after it refused this request", async () => {
    const balancer = balancerOf(backendOf("abc"), [refusing, idle(), idle()]);
    expect(new Set(await choices(balancer, 40))).toEqual(new Set([1, 2]));
    expect(await balancer.choose(requestWith(), NOW, asked({ refused: [1, 2] }))).toEqual({
      kind: "none",
      why: "breaker-open",
      retryAfterMs: 1,
    });
  });

  it("when it has been tried, for as long as there is another", async () => {
    const balancer = balancerOf(backendOf("abc"));
    expect((await chosen(balancer.choose(requestWith(), NOW, asked({ tried: [0, 2] })))).index).toBe(1);
    expect((await chosen(balancer.choose(requestWith(), NOW, asked({ tried: [0, 1, 2] })))).index).toBeLessThan(3);
    expect((await chosen(balancer.choose(requestWith(), NOW, asked({ tried: [0], refused: [1, 2] })))).index).toBe(0);
  });

  it("while it drains, by configuration or by order, unless all of them do", async () => {
    const ordered = targetState("https://q.example");
    ordered.isDraining = true;
    const balancer = balancerOf(backendOf("pqr", {}, { ofTarget: (letter) => ({ drain: letter === "p" }) }));
    expect(await choices(balancer, 20)).toEqual(Array<number>(20).fill(2));
    targetState("https://r.example").isDraining = true;
    expect(new Set(await choices(balancer, 60))).toEqual(new Set([0, 1, 2]));
  });

  it("while health checks call it down, but not when they call most of them down", async () => {
    const balancer = balancerOf(backendOf("stuv", { healthCheck: { path: "/up" } }));
    for (const name of "st") targetState(`https://${name}.example`).downSince = NOW - 1_000;
    expect(new Set(await choices(balancer, 40))).toEqual(new Set([2, 3]));
    targetState("https://u.example").downSince = NOW - 1_000;
    expect(new Set(await choices(balancer, 100))).toEqual(new Set([0, 1, 2, 3]));
  });
});

describe("no target is had", () => {
  it("of one that is down where checks may take all away, until the next check", async () => {
    const trusting = { healthCheck: { path: "/up", interval: "7s" }, balance: { maxEjection: 1, panicThreshold: 0 } };
    const balancer = balancerOf(backendOf("w", trusting));
    expect(await choices(balancer, 1)).toEqual([0]);
    targetState("https://w.example").downSince = NOW - 1_000;
    expect(await balancer.choose(requestWith(), NOW)).toEqual({
      kind: "none",
      why: "no-healthy-target",
      retryAfterMs: 7_000,
    });
  });
});

function indexOf(choice: unknown): number {
  return typeof choice === "object" && choice !== null && "index" in choice ? Number(choice.index) : -1;
}
