import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as client from "../support/cache-client.ts";
import type { Asking, Got } from "../support/cache-client.ts";
import { startCountingOrigin, type CountingOrigin } from "../support/counting-origin.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";
import { TIER_FAULTS } from "../support/tier-faults.ts";

const ISOLATES = [0, 1, 2];
const PATIENCE_MS = 15_000;
/** No test is about how long a tier takes. */
const PATIENT = { deadline: "5s" };
const ONLY_COLO = { colo: PATIENT, kv: false, r2: false };
const ONLY_KV = { colo: false, kv: PATIENT, r2: false };
const ONLY_R2 = { colo: false, kv: false, r2: PATIENT };
const ALL = { colo: PATIENT, kv: PATIENT, r2: PATIENT };

let origin: CountingOrigin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await startCountingOrigin();
  const route = (id: string, tiers: object) => ({
    id,
    prefix: `/${id}`,
    target: `${origin.url}/${id}`,
    cache: { ttl: 600, tags: [id], tiers },
  });
  gateway = await startGateway({
    isolates: ISOLATES.length,
    entry: fileURLToPath(new URL("../support/tiers-entry.ts", import.meta.url)),
    config: {
      allowPrivateTargets: true,
      routes: [
        route("kv", ONLY_KV),
        route("r2", ONLY_R2),
        route("all", ALL),
        route("counted", ALL),
        route("small", { ...ONLY_KV, kv: { ...PATIENT, maxBodySize: 100 } }),
        route("quick", { colo: { deadline: 100 }, kv: { deadline: 100 }, r2: { deadline: 100 } }),
        route("colo", ONLY_COLO),
      ],
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

const base = (isolate: number) => gateway.urls[isolate] ?? "";
const get = (path: string, asking?: Asking, isolate = 0) => client.get(base(isolate), path, asking);
const textOf = ({ body }: Got) => body.toString();

/** Which tier a hit came from, or what was done instead. */
function from({ cache, headers }: Got): string | undefined {
  return cache === "HIT" ? /detail=([\w-]+)/.exec(String(headers["cache-status"]))?.[1] : cache;
}

async function byHand(order: string, { body, isolate = 0 }: { body?: Buffer; isolate?: number } = {}): Promise<Buffer> {
  const response = await fetch(base(isolate), {
    method: body === undefined ? "GET" : "PUT",
    // The client of these tests calls the gateway by this name.
    headers: { "x-test-tier": order, "x-test-host": "gateway.test" },
    ...(body === undefined ? {} : { body: new Uint8Array(body) }),
  });
  expect(response.status).toBe(200);
  return Buffer.from(await response.arrayBuffer());
}

async function admin(path: string, method = "GET", body?: unknown): Promise<Record<string, unknown>> {
  const response = await fetch(`${gateway.url}/admin${path}`, {
    method,
    headers: { authorization: `Bearer ${gateway.adminToken}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the admin API answers objects
  return (await response.json()) as Record<string, unknown>;
}

interface Entry {
  readonly key: string;
  readonly tiers: Readonly<Record<string, { readonly kind: string; readonly variants?: readonly object[] }>>;
}

async function entryOf(path: string): Promise<Entry> {
  const { key, tiers } = await admin(`/cache/entry?url=${encodeURIComponent(`http://gateway.test${path}`)}`);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as the admin API documents it; what is asserted of it is read from it
  return { key, tiers } as Entry;
}

/** Asks until it is so: what is kept is written behind the answer's back. */
async function until<T>(what: string, ask: () => Promise<T>, isSo: (got: T) => boolean): Promise<T> {
  for (const end = Date.now() + PATIENCE_MS; ;) {
    const got = await ask();
    if (isSo(got)) return got;
    if (Date.now() > end) throw new Error(`${what} does not come about: ${JSON.stringify(got)}`);
  }
}

const inTier = (path: string, tier: string, variants = 0) =>
  until(
    `${path} in ${tier}`,
    () => entryOf(path),
    ({ tiers }) => tiers[tier]?.kind === "response" || (variants > 0 && tiers[tier]?.variants?.length === variants),
  );

describe("a response", () => {
  it.each([["kv"], ["r2"]])("that is in %s alone is given to every isolate", async (tier) => {
    const path = `/${tier}/given`;
    await get(path);
    await inTier(path, tier);
    const got = await Promise.all(ISOLATES.map((isolate) => get(path, {}, isolate)));
    expect(got.map(from)).toEqual([tier, tier, tier]);
    expect(got.map(textOf)).toEqual(["1", "1", "1"]);
  });

  it.each([["kv"], ["r2"]])("keeps the coding and the bytes of its origin in %s", async (tier) => {
    const path = `/${tier}/coded`;
    const bytes = gzipSync("much text ".repeat(1_000));
    const asking = { headers: { "accept-encoding": "gzip" } };
    origin.on(path, { headers: { "content-encoding": "gzip" }, body: bytes });
    await get(path, asking);
    await inTier(path, tier, 1);
    const got = await get(path, asking);
    expect([from(got), got.headers["content-encoding"], got.body.equals(bytes)]).toEqual([tier, "gzip", true]);
    expect(gunzipSync(got.body).length).toBe(10_000);
  });

  it("that is long comes out of R2 whole and in parts", async () => {
    const body = Buffer.from(Array.from({ length: 400_000 }, (_, index) => index % 251));
    origin.on("/r2/long", { body });
    await get("/r2/long");
    await inTier("/r2/long", "r2");
    const [whole, part] = [await get("/r2/long"), await get("/r2/long", { headers: { range: "bytes=300000-300009" } })];
    expect([from(whole), whole.body.equals(body)]).toEqual(["r2", true]);
    expect([part.status, part.body.equals(body.subarray(300_000, 300_010))]).toEqual([206, true]);
  });

  it("with more fields than KV has metadata for is kept in KV", async () => {
    const text = "x".repeat(3_000);
    origin.on("/kv/fields", { headers: { "x-much": text } });
    await get("/kv/fields");
    await inTier("/kv/fields", "kv");
    const got = await get("/kv/fields");
    expect([from(got), got.headers["x-much"]]).toEqual(["kv", text]);
  });

  it("that is larger than a tier takes is not written to it", async () => {
    origin.on("/small/large", { body: "x".repeat(101) });
    origin.on("/small/small", { body: "x".repeat(100) });
    await get("/small/large");
    await get("/small/small");
    await inTier("/small/small", "kv");
    expect((await entryOf("/small/large")).tiers).toEqual({ kv: { kind: "nothing" } });
  });

  it("that is cold goes to R2, and nearer once it is asked for again", async () => {
    await get("/all/cold");
    await inTier("/all/cold", "r2");
    expect((await entryOf("/all/cold")).tiers).toMatchObject({ kv: { kind: "nothing" } });
    await byHand("clear");
    expect(from(await get("/all/cold"))).toBe("r2");
    await until(
      "a copy nearer",
      () => get("/all/cold"),
      (got) => from(got) === "colo",
    );
    await inTier("/all/cold", "kv");
    expect(origin.asked("/all/cold").length).toBe(1);
  });

  it("that was cut off is kept nowhere", async () => {
    origin.on("/all/cut", { headers: { "content-length": "100" }, body: "x".repeat(100), cutAfter: 50 });
    await get("/all/cut").catch(() => {});
    await get("/all/after-cut");
    await inTier("/all/after-cut", "r2");
    const { colo, kv, r2 } = (await entryOf("/all/cut")).tiers;
    expect([colo?.kind, kv?.kind, r2?.kind]).toEqual(["nothing", "nothing", "nothing"]);
  });

  it("that a POST makes wrong is gone from every tier", async () => {
    const path = "/all/changed";
    await get(path);
    await inTier(path, "r2");
    await get(path, { method: "POST" });
    await until(
      "the end of it",
      () => entryOf(path),
      ({ tiers }) => tiers["r2"]?.kind === "nothing",
    );
    await byHand("clear");
    expect(textOf(await get(path))).not.toBe("1");
  });
});

describe.each([["kv"], ["r2"]])("what lies in %s", (tier) => {
  const number = (bytes: Buffer, name: string, value: string) =>
    relength(bytes, bytes.toString("latin1").replace(new RegExp(`"${name}":\\d+`), `"${name}":${value}`));

  /** The same with another head, and its length. */
  function relength(bytes: Buffer, text: string): Buffer {
    const changed = Buffer.from(text, "latin1");
    changed.writeUInt32BE(bytes.readUInt32BE(4) + changed.length - bytes.length, 4);
    return changed;
  }

  const spoilt = (what: string, by: string) => (bytes: Buffer) =>
    relength(bytes, bytes.toString("latin1").replace(what, by));

  it.each([
    ["without its end", (bytes: Buffer) => bytes.subarray(0, -1)],
    ["with more than its end", (bytes: Buffer) => Buffer.concat([bytes, Buffer.from("x")])],
    ["without the end of its head", (bytes: Buffer) => bytes.subarray(0, 20)],
    ["of another version", (bytes: Buffer) => Buffer.concat([Buffer.from("SLC\u0001"), bytes.subarray(4)])],
    ["of another key", (_bytes: Buffer, other: Buffer) => other],
    ["of nobody's making", () => Buffer.from("<html>who knows</html>")],
    ["of nothing", () => Buffer.from("")],
    [
      "with a head of another length",
      (bytes: Buffer) => Buffer.concat([bytes.subarray(0, 4), Buffer.from([255, 255, 255, 255]), bytes.subarray(8)]),
    ],
    [
      "without a status",
      (bytes: Buffer) => relength(bytes, bytes.toString("latin1").replace('"status":200', '"status":null')),
    ],
    [
      "with fields that are none",
      (bytes: Buffer) => relength(bytes, bytes.toString("latin1").replace(/"fields":\[\[/, '"fields":[1,[')),
    ],
    ["with a field that has no name", spoilt('"date"', '"da te"')],
    ["with a field that is two lines", spoilt('"date","', '"date","x\\r\\n')],
    ["with a cookie", spoilt('"date"', '"set-cookie"')],
    ["that was made in a time to come", (bytes: Buffer) => number(bytes, "generatedAt", "99999999999999")],
    ["from a time to come", (bytes: Buffer) => number(bytes, "requestedAt", String(Date.now() + 3_600_000))],
    [
      "from before all purges that are remembered",
      (bytes: Buffer) => number(bytes, "bytesRequestedAt", "1600000000000"),
    ],
  ])("%s is never given to anybody", async (what, spoil) => {
    const path = `/${tier}/spoilt-${what.replaceAll(/\W/g, "-")}`;
    const other = `/${tier}/other`;
    for (const one of [path, other]) {
      await get(one);
      await inTier(one, tier);
    }
    const name = async (one: string) => `sluice-cache/${(await entryOf(one)).key}`;
    const bytes = await byHand(`get ${tier} ${await name(path)}`);
    const foreign = await byHand(`get ${tier} ${await name(other)}`);
    await byHand(`put ${tier} ${await name(path)}`, { body: spoil(bytes, foreign) });
    const got = await get(path);
    expect([from(got), textOf(got)]).toEqual(["MISS", "2"]);
  });
});

it("an index from a time to come keeps nobody from what is fetched now", async () => {
  const path = "/r2/index";
  const asking = { headers: { "accept-language": "de" } };
  origin.on(path, { headers: { vary: "accept-language" } });
  await get(path, asking);
  const name = `sluice-cache/${(await inTier(path, "r2", 1)).key}`;
  const bytes = await byHand(`get r2 ${name}`);
  const text = bytes.toString("latin1").replace(/"since":\d+/, `"since":${Date.now() + 3_600_000}`);
  await byHand(`put r2 ${name}`, { body: Buffer.from(text, "latin1") });
  expect(from(await get(path, asking))).toBe("MISS");
  await until(
    "another index",
    () => get(path, asking),
    (got) => from(got) === "r2",
  );
});

describe("a purge", () => {
  const languages = ["de", "en", "fr"];
  const askings = languages.map((language) => ({ headers: { "accept-language": language } }));

  it("that is hard kills every variant in every isolate and tier within 2 s, also where it is planted by hand", async () => {
    const ids = ["kv", "r2", "all"];
    const paths = ids.map((id) => `/${id}/purged`);
    let era = "old";
    for (const path of paths) {
      origin.on(path, ({ headers }) => ({
        headers: { vary: "accept-language" },
        body: `${era} ${headers["accept-language"]}`,
      }));
      for (const asking of askings) await get(path, asking);
      const kept = ({ tiers: { kv, r2 } }: Entry) => (kv?.variants?.length ?? 0) + (r2?.variants?.length ?? 0);
      await until(
        "every variant",
        () => entryOf(path),
        (entry) => kept(entry) === languages.length,
      );
    }
    await byHand("save");
    era = "new";
    for (const id of ids) await admin(`/cache-invalidate?tag=${id}`, "POST");
    const asked = paths.flatMap((path) => askings.flatMap((asking) => ISOLATES.map((at) => ({ path, asking, at }))));
    // As often as there is time: a copy of before is as dead on top of what was fetched since.
    for (const clock = client.runningClock(); ;) {
      const isDue = clock() > 2_000;
      await byHand("plant");
      const given = await Promise.all(asked.map(({ path, asking, at }) => get(path, asking, at)));
      if (!isDue) continue;
      return expect(given.map(textOf)).toEqual(asked.map(({ asking }) => `new ${asking.headers["accept-language"]}`));
    }
  });

  it("that is soft leaves what lies in KV and R2 to be confirmed, in every isolate within 2 s", async () => {
    const tiers = ["kv", "r2"];
    const paths = tiers.map((tier) => `/${tier}/soft`);
    for (const [place, path] of paths.entries()) {
      origin.on(path, ({ headers }) =>
        headers["if-none-match"] === '"1"' ? { status: 304, body: "" } : { headers: { etag: '"1"' }, body: "first" },
      );
      await get(path);
      await inTier(path, tiers[place] ?? "");
    }
    await byHand("save");
    for (const tier of tiers) await admin(`/cache-invalidate?tag=${tier}&soft=true`, "POST");
    const asked = paths.flatMap((path) => ISOLATES.map((at) => ({ path, at })));
    for (const clock = client.runningClock(); ;) {
      const isDue = clock() > 2_000;
      await byHand("plant");
      const given = await Promise.all(asked.map(({ path, at }) => get(path, {}, at)));
      expect(new Set(given.map(textOf))).toEqual(new Set(["first"]));
      if (isDue) return expect(new Set(given.map(from))).toEqual(new Set(["REVALIDATED"]));
    }
  });
});

describe("a tier that", () => {
  const states = ["colo", "kv", "r2"].flatMap((tier) => TIER_FAULTS.map((fault) => [tier, fault] as const));

  it.each(states)("is %s and made to %s takes nobody his answer", async (tier, fault) => {
    const path = `/quick/${tier}-${fault}`;
    origin.on(path, { body: "the answer" });
    await byHand(`fault ${tier} ${fault}`);
    const got = [await get(path), await get(path), await get(`${path}?another`)];
    await byHand(`fault ${tier} none`);
    expect(got.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(new Set(got.map(textOf))).toEqual(new Set(["the answer"]));
  });

  it("hangs is named in the log", async () => {
    const told = () => gateway.logs().flatMap(({ degraded }) => (Array.isArray(degraded) ? degraded : []));
    await until(
      "its name",
      async () => new Set(told()),
      (names) => ["cache-colo", "cache-kv", "cache-r2"].every((one) => names.has(one)),
    );
  });
});
