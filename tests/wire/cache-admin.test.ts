import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as client from "../support/cache-client.ts";
import { startCountingOrigin, type CountingOrigin } from "../support/counting-origin.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";

const PATIENCE_MS = 15_000;
const PATIENT = { deadline: "5s" };

let origin: CountingOrigin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await startCountingOrigin();
  const tiers = { colo: PATIENT, kv: PATIENT, r2: PATIENT };
  gateway = await startGateway({
    isolates: 2,
    config: {
      allowPrivateTargets: true,
      routes: [
        { id: "kept", prefix: "/kept", target: `${origin.url}/kept`, cache: { ttl: 600, tags: ["mine"], tiers } },
        { id: "none", prefix: "/none", target: origin.url },
      ],
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

const base = (isolate: number) => gateway.urls[isolate] ?? "";
const urlOf = (path: string) => `http://gateway.test${path}`;

async function admin(path: string, body?: unknown): Promise<{ status: number; told: Record<string, unknown> }> {
  const response = await fetch(`${gateway.url}/admin${path}`, {
    method: body === undefined ? "GET" : "POST",
    headers: { authorization: `Bearer ${gateway.adminToken}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the admin API answers objects
  return { status: response.status, told: (await response.json()) as Record<string, unknown> };
}

/** Asks until what is told is so: it is written behind an answer's back. */
async function until(path: string, isSo: (told: Record<string, unknown>) => boolean): Promise<Record<string, unknown>> {
  for (const end = Date.now() + PATIENCE_MS; ;) {
    const { told } = await admin(path);
    if (isSo(told)) return told;
    if (Date.now() > end) throw new Error(`it goes on with ${JSON.stringify(told)}`);
  }
}

const entry = (path: string) => `/cache/entry?url=${encodeURIComponent(urlOf(path))}`;

describe.each([
  ["GET", "/cache-stats"],
  ["POST", "/cache-invalidate?all=true"],
  ["GET", `/cache/entry?url=${encodeURIComponent(urlOf("/kept/a"))}`],
  ["POST", "/cache/warm"],
  // Whoever has no token learns nothing of what there is.
  ["GET", "/cache/nothing"],
])("%s /admin%s", (method, path) => {
  it.each<[string, Record<string, string>]>([
    ["without a token", {}],
    ["with a wrong token", { authorization: "Bearer wrong" }],
    ["with a wrong key", { "x-admin-key": "wrong" }],
  ])("is refused %s, as all of the admin API is", async (_what, headers) => {
    const refused = await fetch(`${gateway.url}/admin${path}`, { method, headers });
    expect([refused.status, refused.headers.get("www-authenticate"), await refused.json()]).toEqual([
      401,
      'Bearer realm="sluice admin"',
      expect.objectContaining({ code: "unauthorized" }),
    ]);
  });
});

describe("the statistics", () => {
  // First: what others do counts too.
  it("are of all isolates, by tier, and tell how long it takes to find something", async () => {
    const reached = await client.get(base(0), "/kept/counted");
    await until(entry("/kept/counted"), ({ tiers }) => JSON.stringify(tiers).includes('"r2":{"kind":"response"'));
    const again = [];
    for (const isolate of [0, 0, 1]) again.push(await client.get(base(isolate), "/kept/counted"));
    await client.get(base(1), "/kept/counted", { headers: { cookie: "a=b" } });
    expect([reached, ...again].map(({ cache }) => cache)).toEqual(["MISS", "HIT", "HIT", "HIT"]);
    // The other isolate tells it when it asks for purges, which it does behind an answer after 1.4 s.
    const told = await until("/cache-stats", ({ requests }) => {
      void client.get(base(1), "/kept/counted");
      return JSON.stringify(requests).includes('"bypasses":1');
    });
    expect(told).toMatchObject({
      requests: { hits: expect.any(Number), stale: 0, revalidated: 0, misses: 1, bypasses: 1 },
      hitRate: expect.any(Number),
      tiers: {
        colo: { isBound: true, hits: expect.any(Number), misses: 1, failures: 0 },
        kv: { isBound: true, hits: 0, misses: 1, failures: 0 },
        r2: { isBound: true, hits: 0, misses: 1, failures: 0 },
      },
    });
    const { hits, counts } = coloOf(told);
    expect(hits).toBeGreaterThanOrEqual(3);
    expect(Object.values(counts).reduce((sum, count) => sum + count, 0)).toBe(hits);
  });

  function coloOf({ tiers }: Record<string, unknown>): { hits: number; counts: Record<string, number> } {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as the admin API documents it
    const { colo } = tiers as { colo: { hits: number; foundWithinMs: { counts: Record<string, number> } } };
    return { hits: colo.hits, counts: colo.foundWithinMs.counts };
  }
});

describe("an entry", () => {
  it("tells what each tier has of it, without a body", async () => {
    origin.on("/kept/entry", { headers: { "cache-tag": "a" }, body: "secret body" });
    await client.get(base(0), "/kept/entry");
    const told = await until(entry("/kept/entry"), ({ tiers }) =>
      JSON.stringify(tiers).includes('"r2":{"kind":"response"'),
    );
    const response = {
      kind: "response",
      variant: "",
      state: "fresh",
      status: 200,
      bodyBytes: 11,
      tags: ["a", "mine"],
      fields: ["cache-tag", "content-length", "date"],
    };
    expect(told).toMatchObject({
      url: urlOf("/kept/entry"),
      route: "kept",
      arePurgesKnown: true,
      tiers: { colo: response, kv: { kind: "nothing" }, r2: response },
    });
    expect(JSON.stringify(told)).not.toContain("secret body");
  });

  it("tells its variants", async () => {
    origin.on("/kept/varied", { headers: { vary: "accept-language" } });
    for (const language of ["de", "en"]) {
      await client.get(base(0), "/kept/varied", { headers: { "accept-language": language } });
    }
    const told = await until(entry("/kept/varied"), ({ tiers }) =>
      /"colo":.*language2:de.*language2:en.*"kv":/.test(JSON.stringify(tiers)),
    );
    expect(told).toMatchObject({ tiers: { colo: { kind: "variants", vary: ["accept-language"] } } });
  });

  it("that was purged is said to be dead", async () => {
    await client.get(base(0), "/kept/dead");
    await until(entry("/kept/dead"), ({ tiers }) => JSON.stringify(tiers).includes('"state":"fresh"'));
    await admin(`/cache-invalidate?key=${encodeURIComponent(urlOf("/kept/dead"))}`, {});
    await until(entry("/kept/dead"), ({ tiers }) => JSON.stringify(tiers).includes('"state":"dead"'));
  });

  it.each([
    ["", 400, "invalid-request"],
    ["?url=kept", 400, "invalid-request"],
    ["?url=http%3A%2F%2Fgateway.test%2Fnone", 404, "not-found"],
  ])("of %j is refused", async (query, status, code) => {
    const refused = await admin(`/cache/entry${query}`);
    expect([refused.status, refused.told["code"]]).toEqual([status, code]);
  });
});

describe("warming", () => {
  it("fetches each URL through its route, and says what came of it", async () => {
    origin.on("/kept/gone", { isGone: true });
    origin.on("/kept/private", { headers: { "cache-control": "private" } });
    const urls = ["/kept/warm", "/kept/private", "/kept/gone"].map(urlOf);
    const { status, told } = await admin("/cache/warm", { urls });
    expect([status, told]).toMatchObject([
      200,
      {
        results: [
          {
            url: urls[0],
            status: 200,
            cache: "MISS",
            cacheStatus: "sluice;fwd=uri-miss;fwd-status=200;stored",
            bytes: 1,
          },
          { url: urls[1], status: 200, cache: "MISS", cacheStatus: "sluice;fwd=uri-miss;detail=private" },
          { url: urls[2], code: "upstream-unreachable" },
        ],
      },
    ]);
    expect((await client.kept(base(1), "/kept/warm")).body.toString()).toBe("1");
    expect(origin.asked("/kept/warm").length).toBe(1);
  });

  it("fetches the variant that its fields ask for", async () => {
    origin.on("/kept/warm-varied", ({ headers }) => ({
      headers: { vary: "accept-language" },
      body: headers["accept-language"] ?? "",
    }));
    await admin("/cache/warm", { urls: [urlOf("/kept/warm-varied")], headers: { "accept-language": "fr" } });
    const got = await client.kept(base(0), "/kept/warm-varied", { headers: { "accept-language": "fr" } });
    expect([got.body.toString(), origin.asked("/kept/warm-varied").length]).toEqual(["fr", 1]);
  });

  it.each([
    ["nothing", {}, 400, "invalid-request"],
    ["no URLs", { urls: [] }, 400, "invalid-request"],
    ["too many", { urls: Array.from({ length: 51 }, () => "http://gateway.test/kept/x") }, 400, "invalid-request"],
    ["what is no URL", { urls: ["kept"] }, 400, "invalid-request"],
    [
      "fields that are none",
      { urls: ["http://gateway.test/kept/x"], headers: { a: "b\r\nc: d" } },
      400,
      "invalid-request",
    ],
    ["what no route keeps", { urls: ["http://gateway.test/none/a"] }, 404, "not-found"],
  ])("of %s is refused, and nothing is sent", async (_what, body, status, code) => {
    const refused = await admin("/cache/warm", body);
    expect([refused.status, refused.told["code"]]).toEqual([status, code]);
    expect(origin.asked("/kept/x")).toEqual([]);
  });
});
