import worker from "../../worker/index.ts";
import { TIER_FAULTS, type TierFault } from "./tier-faults.ts";

export * from "../../worker/index.ts";

/** How each tier of this isolate fails. */
const faults = new Map<string, TierFault>();
/** What was written under each name first: what a stale tier gives for ever. */
const first = new Map<string, ArrayBuffer>();
/** What `save` has found, by name. */
const saved = new Map<string, ArrayBuffer>();

const CACHE = "sluice-2";
const open = caches.open.bind(caches);

/** Fails as its tier does; else calls. */
async function through<T>(tier: string, call: () => Promise<T>): Promise<T> {
  const fault = faults.get(tier);
  if (fault === "hang") await new Promise<never>(() => {});
  if (fault === "fail") throw new Error(`${tier} is made to fail`);
  return call();
}

/** Notes what is written first, and what is to be read instead of what is there. */
async function note(tier: string, name: string, value: ArrayBuffer | null): Promise<ArrayBuffer | null> {
  const known = first.get(`${tier} ${name}`);
  if (known === undefined && value !== null) first.set(`${tier} ${name}`, value);
  return faults.get(tier) === "stale" ? (known ?? value) : value;
}

caches.open = async (cacheName) => {
  const cache = await through("colo", () => open(cacheName));
  const own = {
    async match(address: string) {
      const found = await through("colo", () => cache.match(address));
      return found && new Response(await note("colo", address, await found.arrayBuffer()), found);
    },
    put: (address: string, response: Response) => through("colo", () => cache.put(address, response)),
    delete: (address: string) => through("colo", () => cache.delete(address)),
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the gateway asks it by address alone
  return own as Cache;
};

function faultyKv(kv: KVNamespace): KVNamespace {
  return new Proxy(kv, {
    get(target, property) {
      if (property === "get") {
        return (name: string) => through("kv", async () => note("kv", name, await kv.get(name, "arrayBuffer")));
      }
      const value: unknown = Reflect.get(target, property);
      return typeof value === "function"
        ? (...args: unknown[]) => through("kv", async () => Reflect.apply(value, kv, args))
        : value;
    },
  });
}

function faultyR2(bucket: R2Bucket): R2Bucket {
  return new Proxy(bucket, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) =>
        through("r2", async () => {
          const got: unknown = await Reflect.apply(value, bucket, args);
          if (property !== "get" || faults.get("r2") !== "stale") return got;
          const [name] = args;
          const old = await note("r2", String(name), null);
          if (old === null) return got;
          return { size: old.byteLength, body: new Response(old).body, arrayBuffer: () => Promise.resolve(old) };
        });
    },
  });
}

/**
 * The shipped Worker over the simulated tiers. `X-Test-Tier` does something to them by hand: `fault TIER KIND` lets one of this isolate fail,
 * `save` remembers all that KV and R2 hold, `plant` puts that back into both and takes it out of the Cache API, `put TIER NAME` writes the
 * body, `get TIER NAME` reads, `clear` empties the Cache API of what KV and R2 have.
 */
export default {
  async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    const { PROXY_CACHE: kv, CACHE_BUCKET: r2 } = env;
    if (kv === undefined || r2 === undefined) throw new Error("this entry needs the simulated tiers");
    const order = request.headers.get("x-test-tier")?.split(" ");
    if (order === undefined) {
      return worker.fetch(request, { ...env, PROXY_CACHE: faultyKv(kv), CACHE_BUCKET: faultyR2(r2) }, ctx);
    }
    const [what, tier = "", name = ""] = order;
    const host = request.headers.get("x-test-host") ?? "";
    switch (what) {
      case "fault": {
        const fault = TIER_FAULTS.find((one) => one === name);
        if (fault === undefined) faults.delete(tier);
        else faults.set(tier, fault);
        break;
      }
      case "save":
        saved.clear();
        for (const { name: key } of (await kv.list()).keys) save(key, await kv.get(key, "arrayBuffer"));
        for (const { key } of (await r2.list()).objects) {
          const value = (await (await r2.get(key))?.arrayBuffer()) ?? null;
          save(key, value);
          await note("r2", key, value);
        }
        break;
      case "plant":
        for (const [key, value] of saved)
          await Promise.all([kv.put(key, value), r2.put(key, value), forget(host, key)]);
        break;
      case "clear":
        for (const { name: key } of (await kv.list()).keys) await forget(host, key);
        for (const { key } of (await r2.list()).objects) await forget(host, key);
        break;
      case "put":
        await (tier === "kv" ? kv.put(name, await request.arrayBuffer()) : r2.put(name, await request.arrayBuffer()));
        await forget(host, name);
        break;
      case "get":
        return new Response(tier === "kv" ? await kv.get(name, "arrayBuffer") : ((await r2.get(name))?.body ?? null));
    }
    return Response.json([...saved.keys()]);
  },
} satisfies ExportedHandler<Env>;

function save(name: string, value: ArrayBuffer | null): void {
  if (value !== null) saved.set(name, value);
}

async function forget(host: string, name: string): Promise<void> {
  await (await open(CACHE)).delete(`https://${host}/${name}`);
}
