import { env } from "cloudflare:workers";
import { afterEach, expect, it, vi } from "vitest";
import { cache } from "../../worker/steps/cache.ts";
import { exchangeFor } from "./exchange.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** Asks once; `done` resolves once what is kept of it is. */
async function ask(method: string): Promise<{ readonly done: Promise<unknown> }> {
  const work: Promise<unknown>[] = [];
  const made = exchangeFor({ path: "/*", cache: true }, { ...env, NAMING_SECRET: "secret of the tests" }, work);
  const exchange = { ...made, canonical: { ...made.canonical, method, path: "/raced" } };
  const { route } = made.route;
  if (route.cache === undefined) throw new Error("the route keeps responses");
  const step = cache(route.cache, route, new Map());
  const fresh = () => Promise.resolve(new Response("before", { headers: { "cache-control": "max-age=600" } }));
  await (await step(exchange, fresh)).text();
  return { done: Promise.all(work) };
}

it("keeps nothing that was being written when a request made it useless", async () => {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const { promise: writing, resolve: begun } = Promise.withResolvers<void>();
  const open = caches.open.bind(caches);
  let address = "";
  let isHeld = false;
  vi.spyOn(caches, "open").mockImplementation(async (name) => {
    const place = await open(name);
    const put = place.put.bind(place);
    vi.spyOn(place, "put").mockImplementation(async (at, response) => {
      if (!isHeld) {
        isHeld = true;
        address = new Request(at).url;
        begun();
        await released;
      }
      return put(at, response);
    });
    return place;
  });
  const get = await ask("GET");
  await writing;
  await (
    await ask("POST")
  ).done;
  release();
  await get.done;
  const left = await (await open("sluice-2")).match(address);
  expect((await left?.text()) ?? "").not.toContain("before");
});
