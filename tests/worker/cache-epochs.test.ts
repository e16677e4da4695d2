import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import type { Exchange } from "../../worker/exchange.ts";
import { cache } from "../../worker/steps/cache.ts";
import { exchangeFor } from "./exchange.ts";

const SECRET = { ...env, NAMING_SECRET: "secret of the tests" };

/** Deaf, as an object on a machine that has just gone is. */
const DEAF: Env = {
  ...SECRET,
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- an isolate calls nothing else of it
  CONTROL_PLANE: {
    idFromName: (name: string) => name,
    get: () => ({ epochs: () => new Promise<never>(() => {}) }),
  } as unknown as Env["CONTROL_PLANE"],
};

/** Asks once, and waits for what is kept of the answer. */
async function ask(bindings: Env, status = 200): Promise<readonly [body: string, cache: string | null, Exchange]> {
  const work: Promise<unknown>[] = [];
  const exchange = exchangeFor({ path: "/*", cache: true }, bindings, work);
  const { route } = exchange.route;
  if (route.cache === undefined) throw new Error("the route keeps responses");
  const step = cache(route.cache, route, new Map());
  const answer = await step(exchange, ({ outgoing }) => {
    const isKnown = outgoing?.get("if-none-match") === '"1"';
    const headers = { "cache-control": "max-age=600, stale-while-revalidate=600", etag: '"1"' };
    return Promise.resolve(isKnown ? new Response(null, { status: 304 }) : new Response("kept", { status, headers }));
  });
  const told = [await answer.text(), answer.headers.get("x-cache"), exchange] as const;
  // The first asks for the purges, in vain for as long as that may take.
  await Promise.all(bindings === DEAF ? work.slice(1) : work);
  return told;
}

/** In this order: what an isolate has known once it goes on with. */
it("gives nothing that is kept without asking the origin before it has heard of the purges", async () => {
  await ask(DEAF);
  const [body, cached, exchange] = await ask(DEAF);
  expect([body, cached, exchange.notes.degraded]).toEqual(["kept", "REVALIDATED", ["cache-purges"]]);
});

it("gives what is kept once it has heard of them", async () => {
  for (;;) {
    const [, cached] = await ask(SECRET);
    if (cached === "HIT") break;
  }
  expect((await ask(SECRET))[1]).toBe("HIT");
});
