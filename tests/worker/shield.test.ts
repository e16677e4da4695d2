import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { GatewayError } from "../../worker/errors.ts";
import { compileLimits } from "../../worker/limits/decide.ts";
import { passShield } from "../../worker/limits/shield.ts";
import { exchangeFor } from "./exchange.ts";

const REFUSED = "quota-exceeded, come back in 10 s";

const bound = { SHIELD: env.TEST_SHIELD };

it("lets everyone pass at once where the binding is not there", () => {
  expect(passShield({}, "nobody", "192.0.2.1")).toBe(undefined);
});

it("lets an address bring a few new clients, and says to the next when to come back", async () => {
  // More than twice the binding's limit: its minute is the clock's and may end meanwhile.
  const outcomes = await outcomesOf(["a", "b", "c", "d", "e", "f", "g"], "192.0.2.2");
  expect(outcomes[0]).toBe("passed");
  expect(new Set(outcomes)).toEqual(new Set(["passed", REFUSED]));
  expect(await outcomesOf(["h"], "192.0.2.3")).toEqual(["passed"]);
});

it("does not count a client that has passed again", async () => {
  await passShield(bound, "regular", "192.0.2.4");
  expect(passShield(bound, "regular", "192.0.2.4")).toBe(undefined);
});

it.each([
  ["throws", () => Promise.reject(new Error("injected"))],
  ["never answers", () => new Promise<never>(() => {})],
])("lets everyone pass when the binding %s", async (how, limit) => {
  await expect(passShield({ SHIELD: { limit } }, how, "192.0.2.5")).resolves.toBe(undefined);
});

it.each([
  ["leased", { requestsPerWindow: 10, windowSeconds: 60, mode: "leased" }],
  ["strict", { requestsPerWindow: 10, windowSeconds: 60, mode: "strict" }],
  ["concurrency", { algorithm: "concurrency", maxConcurrent: 2 }],
])("stands in front of the owners of a %s limit", async (kind, limit) => {
  const asked: string[] = [];
  const shielded: Env = {
    ...env,
    SHIELD: { limit: () => Promise.resolve({ success: false }) },
    ...countedOwners(asked),
  };
  const rateLimit = { ...limit, by: ["header:x-kind", "ip"], onError: "open" };
  const exchange = exchangeFor({ prefix: `/${kind}`, rateLimit }, shielded);
  const decide = compileLimits(exchange.route.route.rateLimits, { tableEntries: 10 });
  const decided = Promise.resolve(decide(exchange, Date.now()));
  // Whatever the route does without its owner: who is turned away here must not pass by that.
  await expect(decided.then(() => "passed", refusalIn)).resolves.toBe(REFUSED);
  expect(asked).toEqual([]);
});

/** One after the other, since each takes from the same count. */
async function outcomesOf(clients: readonly string[], network: string): Promise<readonly string[]> {
  const outcomes: string[] = [];
  for (const client of clients) {
    const passed = Promise.resolve(passShield(bound, client, network));
    outcomes.push(await passed.then(() => "passed", refusalIn));
  }
  return outcomes;
}

function refusalIn(error: unknown): string {
  if (error instanceof GatewayError) return `${error.code}, come back in ${error.headers["retry-after"]} s`;
  throw error;
}

/** Owners that nobody may ask: their names, as they are looked for. */
function countedOwners(asked: string[]): Pick<Env, "RATE_LIMITER" | "NAMING_SECRET"> {
  const namespace = new Proxy(env.RATE_LIMITER, {
    get: (target, method) => {
      if (method === "get") asked.push("an owner");
      return Reflect.get(target, method).bind(target);
    },
  });
  return { RATE_LIMITER: namespace, NAMING_SECRET: "0123456789abcdef shield" };
}
