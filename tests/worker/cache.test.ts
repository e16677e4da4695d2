import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Exchange, Handler } from "../../worker/exchange.ts";
import { exchangeFor } from "./exchange.ts";
import { cache } from "../../worker/steps/cache.ts";

/** What exchanges have left to do after their answers. */
let work: Promise<unknown>[] = [];
let paths = 0;

beforeEach(() => {
  work = [];
  paths += 1;
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** An exchange for a path of this test's own, and the step of its route. */
function asked(policy: object = {}): { exchange: Exchange; step: (next: Handler) => Promise<Response> } {
  const made = exchangeFor({ path: "/*", cache: policy }, { ...env, NAMING_SECRET: "secret of the tests" }, work);
  const exchange = { ...made, canonical: { ...made.canonical, path: `/${paths}` } };
  const { route } = made.route;
  if (route.cache === undefined) throw new Error("the route keeps responses");
  const run = cache(route.cache, route, new Map());
  return { exchange, step: (next) => run(exchange, next) };
}

/** Asks once, with this answer from the origin, and waits for what is kept of it. */
async function ask(answer: () => Response, policy?: object): Promise<Response> {
  const { step } = asked(policy);
  const response = await step(() => Promise.resolve(answer()));
  const body = await response.arrayBuffer();
  await Promise.all(work);
  return new Response(body.byteLength === 0 ? null : body, response);
}

const fresh = (body: string, headers: Record<string, string> = {}) =>
  new Response(body, { headers: { "cache-control": "max-age=600", ...headers } });

/** Everything that was written to the Cache API, by its address. */
function recordWrites(): Map<string, Uint8Array> {
  const written = new Map<string, Uint8Array>();
  const open = caches.open.bind(caches);
  vi.spyOn(caches, "open").mockImplementation(async (name) => {
    const place = await open(name);
    const put = place.put.bind(place);
    vi.spyOn(place, "put").mockImplementation(async (address, response) => {
      const bytes = new Uint8Array(await response.arrayBuffer());
      written.set(new Request(address).url, bytes);
      return put(address, new Response(bytes, response));
    });
    return place;
  });
  return written;
}

describe("a record", () => {
  it("is one run of bytes that holds no credentials and no cookies", async () => {
    const written = recordWrites();
    const { exchange } = asked({ cookies: { key: ["lang"] }, authorization: "key" });
    const headers = new Headers({ authorization: "Bearer secret", cookie: "lang=hidden" });
    const fields = { ...exchange.fields, endToEnd: headers };
    const route = exchange.route.route;
    if (route.cache === undefined) throw new Error("the route keeps responses");
    const run = cache(route.cache, route, new Map());
    const answer = await run({ ...exchange, fields }, () => Promise.resolve(fresh("body")));
    await answer.text();
    await Promise.all(work);
    const [[address, bytes] = ["", new Uint8Array()], ...others] = written;
    expect(others).toEqual([]);
    expect(address).toMatch(/^https:\/\/gateway\.test\/sluice-cache\/[0-9a-f]{64}$/);
    const text = new TextDecoder().decode(bytes);
    expect([text.startsWith("SLC\u0002"), text.endsWith("body")]).toEqual([true, true]);
    expect(text).not.toMatch(/secret|hidden/);
  });

  it.each([
    ["of something else", () => new TextEncoder().encode("<html>not ours, and long enough</html>")],
    ["of another version", (bytes: Uint8Array) => bytes.with(3, 1)],
    ["that has lost its end", (bytes: Uint8Array) => bytes.slice(0, -1)],
    ["that has gained an end", (bytes: Uint8Array) => new Uint8Array([...bytes, 0])],
    ["that has lost its head", (bytes: Uint8Array) => bytes.slice(0, 12)],
    ["of nothing", () => new Uint8Array()],
  ])("%s is as good as none", async (_what, spoil) => {
    const written = recordWrites();
    await ask(() => fresh("first"));
    const [[address, bytes] = ["", new Uint8Array()]] = written;
    const headers = { "cache-control": "max-age=600" };
    await (await caches.open("sluice-2")).put(address, new Response(spoil(bytes), { headers }));
    const again = await ask(() => fresh("second"));
    expect([again.headers.get("x-cache"), await again.text()]).toEqual(["MISS", "second"]);
  });
});

describe("what binds a client to a target", () => {
  const binding: (said: Record<string, string>) => Handler = (said) => (exchange) => {
    const answer = new Response("body", { headers: said });
    exchange.bindLater?.((bound) => bound.headers.append("set-cookie", "target=1"));
    return Promise.resolve(answer);
  };

  it("is neither kept nor given with what is", async () => {
    const { step } = asked();
    const first = await step(binding({ "cache-control": "max-age=600" }));
    await first.text();
    await Promise.all(work);
    const again = await asked().step(() => Promise.reject(new Error("the origin was asked")));
    expect([first, again].map(({ headers }) => [headers.get("x-cache"), headers.get("set-cookie")])).toEqual([
      ["MISS", null],
      ["HIT", null],
    ]);
  });

  it("is given with what is not kept", async () => {
    const answer = await asked().step(binding({ "cache-control": "no-store" }));
    expect(answer.headers.get("set-cookie")).toBe("target=1");
  });
});

// At the end: an isolate leaves a tier alone for a while that failed.
describe("a tier that", () => {
  it.each([
    ["hangs", () => new Promise<never>(() => {})],
    ["fails", () => Promise.reject(new Error("the Cache API is down"))],
  ])("%s costs no request its answer, and the log says so", async (_what, open) => {
    vi.spyOn(caches, "open").mockImplementation(open);
    const { exchange, step } = asked();
    const answer = await step(() => Promise.resolve(fresh("from the origin")));
    expect([await answer.text(), exchange.notes.degraded]).toEqual(["from the origin", ["cache-colo"]]);
  });
});
