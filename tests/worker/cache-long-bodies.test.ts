import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { currentEpochs } from "../../worker/cache/flow/epochs.ts";
import { answerFlight } from "../../worker/cache/flow/answer-flight.ts";
import type { Exchange, Handler } from "../../worker/exchange.ts";
import { cache } from "../../worker/steps/cache.ts";
import { exchangeFor } from "./exchange.ts";

let work: Promise<unknown>[] = [];
let paths = 0;

beforeEach(async () => {
  work = [];
  paths += 1;
  // Nothing that is kept is of use before they are known.
  await expect.poll(() => currentEpochs(exchange({})), { timeout: 10_000 }).toBeDefined();
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** More than a tier is read of at once. */
const LONG = "x".repeat(300_000);
/** Something that has to be confirmed each time. */
const answer: Handler = ({ outgoing }) =>
  Promise.resolve(
    outgoing?.get("if-none-match") === '"1"'
      ? new Response(null, { status: 304, headers: { etag: '"1"' } })
      : new Response(LONG, { headers: { "cache-control": "no-cache", etag: '"1"' } }),
  );

function exchange(policy: object): Exchange {
  const made = exchangeFor({ path: "/*", cache: policy }, { ...env, NAMING_SECRET: "secret of the tests" }, work);
  return { ...made, canonical: { ...made.canonical, path: `/long-${paths}` } };
}

async function settle(): Promise<void> {
  while (work.length > 0) await Promise.all(work.splice(0));
}

/** What the Cache API finds comes after so long, and is changed like this. */
function change(found: (body: ReadableStream<Uint8Array>) => ReadableStream<Uint8Array>, afterMs = 0): void {
  const open = caches.open.bind(caches);
  vi.spyOn(caches, "open").mockImplementation(async (name) => {
    const place = await open(name);
    const match = place.match.bind(place);
    vi.spyOn(place, "match").mockImplementation(async (address) => {
      const response = await match(address);
      if (afterMs > 0) await scheduler.wait(afterMs);
      return response?.body ? new Response(found(response.body), response) : response;
    });
    return place;
  });
}

/** The head of a record, and then nothing but an error. */
function broken(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const pipe = new IdentityTransformStream();
  const reader = body.getReader({ mode: "byob" });
  const writer = pipe.writable.getWriter();
  const move = async () => {
    const { value } = await reader.readAtLeast(2_000, new Uint8Array(2_000));
    if (value !== undefined) await writer.write(value);
    await writer.abort(new Error("the tier broke off"));
    await reader.cancel();
  };
  void move().catch(() => {});
  return pipe.readable;
}

it("asks the origin for all who wait once more where the tier breaks off what it has confirmed", async () => {
  const first = await answerFlight(exchange({}), answer);
  expect((await first.text()).length).toBe(LONG.length);
  await settle();
  change(broken);
  const again = await answerFlight(exchange({}), answer);
  expect([again.status, (await again.text()).length]).toEqual([200, LONG.length]);
  await settle();
});

it("lets go of what a tier gives too late", async () => {
  const step = (next: Handler) => {
    const asked = exchange({ tiers: { colo: { deadline: 50 } } });
    const { route } = asked.route;
    if (route.cache === undefined) throw new Error("the route keeps responses");
    return cache(route.cache, route, new Map())(asked, next);
  };
  await (await step(answer)).text();
  await settle();
  // Held, so that nothing but a word of the gateway's lets go of it.
  const given: unknown[] = [];
  const { promise: isLetGo, resolve } = Promise.withResolvers<void>();
  change((body) => {
    const pipe = new IdentityTransformStream();
    const isLate = given.push(pipe.readable) === 1;
    void body.pipeTo(pipe.writable).catch(() => isLate && resolve());
    return pipe.readable;
  }, 200);
  expect(await (await step(answer)).text()).toBe(LONG);
  await isLetGo;
  await settle();
});
