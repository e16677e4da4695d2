import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";
import type { PermitMessage, PermitMessageReply } from "../../objects/rate-limiter/permits/permit-messages.ts";
import { groupLimits } from "../../worker/limits/limit-group.ts";
import type { Claim } from "../../worker/limits/part.ts";
import { permitEntries } from "../../worker/limits/permits/permit-table.ts";
import { permitsPart } from "../../worker/limits/permits/permits.ts";
import { exchangeFor } from "./exchange.ts";

let clients = 0;
const claims: Claim[] = [];

afterEach(() => {
  for (const one of claims.splice(0)) one.finish?.(FAILED);
});

interface Gate {
  /** A request of the client that this names. */
  claim(client: string): Promise<Claim>;
}

interface GateOptions {
  readonly tableEntries?: number;
  readonly onError?: "closed" | "local";
  readonly namespace?: Env["RATE_LIMITER"];
}

/** A limit of so many requests in flight. */
function gate(maxConcurrent: number, options: GateOptions = {}): Gate {
  const { tableEntries = 1_000, onError = "closed", namespace = env.RATE_LIMITER } = options;
  const inFlight = {
    name: "in-flight",
    algorithm: "concurrency",
    maxConcurrent,
    by: "header:x-client",
    onError,
    deadline: "20s",
  };
  const route = { prefix: "/", rateLimits: [inFlight] };
  // Owners of their own: one that failed is left alone for a while by everybody in this isolate.
  const bindings: Env = { ...env, RATE_LIMITER: namespace, NAMING_SECRET: `0123456789abcdef ${onError}` };
  const exchange = exchangeFor(route, bindings);
  const [group] = groupLimits(exchange.route.route.rateLimits);
  if (group === undefined) throw new Error("the route has a limit");
  const part = permitsPart(group, tableEntries);
  return {
    async claim(client) {
      const { request } = exchange;
      const named = { ...exchange, request: new Request(request), principal: client };
      return part.open({ ...named, client: { ...exchange.client, network: client } }, Date.now());
    },
  };
}

function newClient(): string {
  clients += 1;
  return `client ${clients}`;
}

async function pass(at: Gate, client: string): Promise<Claim> {
  const one = await at.claim(client);
  claims.push(one);
  expect(await one.prepare()).toEqual({ kind: "ready" });
  return one;
}

const FAILED = { response: undefined, error: new Error("the chain failed"), body: undefined };

describe("a limit of two requests in flight", () => {
  it("lets two pass, refuses the third, and takes another when one has finished", async () => {
    const two = gate(2);
    const client = newClient();
    const first = await pass(two, client);
    await pass(two, client);
    expect(first.commit(Date.now()).verdicts).toMatchObject([{ allowed: true, retryAfterMs: 0 }]);
    const third = await two.claim(client);
    expect(await third.prepare()).toMatchObject({
      kind: "refused",
      verdicts: [{ allowed: false, remaining: 0, retryAfterMs: 1_000 }],
    });
    expect((await two.claim(client)).refusal(Date.now())).toMatchObject({ kind: "refused" });
    first.finish?.(FAILED);
    first.finish?.(FAILED);
    await pass(two, client);
    expect(await (await two.claim(client)).prepare()).toMatchObject({ kind: "refused" });
  });

  it("has room again for one that another limit refused", async () => {
    const two = gate(2);
    const client = newClient();
    await pass(two, client);
    (await pass(two, client)).release(Date.now());
    await pass(two, client);
  });

  it("counts a streamed answer until its body has ended", async () => {
    const one = gate(1);
    const client = newClient();
    const streaming = await pass(one, client);
    const { promise: body, resolve: end } = Promise.withResolvers<{ kind: "complete"; bytes: number }>();
    streaming.finish?.({ response: new Response(null), error: undefined, body });
    expect(await (await one.claim(client)).prepare()).toMatchObject({ kind: "refused" });
    end({ kind: "complete", bytes: 7 });
    await body;
    await pass(one, client);
  });
});

describe("a limit whose owner falls silent (local)", () => {
  it.each([
    { title: "half of it, of two isolates", isolates: 2, inFlight: 5 },
    { title: "all of it, of one", isolates: 1, inFlight: 10 },
    { title: "one more, of so many that its share is in flight", isolates: 10, inFlight: 3 },
    { title: "one more, where the owner never said how many there are", isolates: undefined, inFlight: 3 },
  ])("lets $title be in flight here, what the owner gave included", async ({ isolates, inFlight }) => {
    const local = gate(10, { onError: "local", namespace: lendingOnce(2, isolates) });
    const client = newClient();
    let passed = 0;
    for (let index = 0; index < 12; index++) {
      const one = await local.claim(client);
      claims.push(one);
      const { kind } = await one.prepare();
      passed += kind === "ready" ? 1 : 0;
    }
    expect(passed).toBe(inFlight);
  });
});

/** Owners that give the first who asks so many permits, and then answer nobody. */
function lendingOnce(permits: number, isolates: number | undefined): Env["RATE_LIMITER"] {
  let asked = 0;
  const owner = {
    async permits({ items }: PermitMessage): Promise<PermitMessageReply> {
      asked += 1;
      if (asked > 1) throw new Error("injected");
      const terms = { permits, counted: permits, free: 0, idleMs: 500, leaseMs: 5_000, retryAfterMs: 0 };
      const told = items.map(({ policy, ask }) => ({ policy, reply: Object.assign({ seq: ask.seq }, terms) }));
      return { v: 1, items: told, ...(isolates !== undefined && { isolates }) };
    },
  };
  return new Proxy(env.RATE_LIMITER, {
    get: (target, name) => (name === "get" ? () => owner : target.idFromName.bind(target)),
  });
}

describe("the table of an isolate", () => {
  it("drops clients that have nothing in flight, and grows past its bound for those that have", async () => {
    const small = gate(1, { tableEntries: 3 });
    const names = Array.from({ length: 6 }, newClient);
    for (const name of names) await pass(small, name);
    expect(permitEntries()).toBe(6);
    for (const name of names) expect((await small.claim(name)).refusal(Date.now())).toBeUndefined();
    for (const one of claims.splice(0)) one.finish?.(FAILED);
    await pass(small, newClient());
    expect(permitEntries()).toBe(3);
  });
});
