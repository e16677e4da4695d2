import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { startCountingOrigin, type CountingOrigin } from "../support/counting-origin.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";

/** Log lines and figures come some time after the answers. */
const PATIENCE = { timeout: 15_000 };

let origin: CountingOrigin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await startCountingOrigin();
  const targets = [{ url: origin.url }];
  gateway = await startGateway({
    config: {
      allowPrivateTargets: true,
      backends: {
        five: { targets, concurrency: 5 },
        shadowed: { targets, concurrency: { limit: 1, shadow: true } },
        said: { targets, concurrency: { limit: 5, shares: { normal: 0.4, low: 0.2 } } },
        one: { targets, concurrency: 1 },
        again: { targets, concurrency: 1, retry: { backoff: { base: "1ms", max: "1ms" } } },
        adaptive: { targets, concurrency: { minimum: 2, initial: 2, maximum: 2 } },
        free: { targets, concurrency: false },
      },
      concurrency: 2,
      routes: [
        { prefix: "/five", backend: "five" },
        { prefix: "/critical", backend: "five", priority: "critical" },
        { prefix: "/low", backend: "five", priority: "low" },
        { prefix: "/shadowed", backend: "shadowed" },
        { prefix: "/said", backend: "said", priority: { default: "low", header: "X-Class" } },
        { prefix: "/one", backend: "one", timeouts: { headers: "2s" } },
        { prefix: "/patient", backend: "one" },
        { prefix: "/again", backend: "again" },
        { prefix: "/kept", backend: "one", cache: { ttl: "1s", staleIfError: "1h" } },
        { prefix: "/adaptive", backend: "adaptive" },
        { prefix: "/own", target: origin.url },
        { prefix: "/free", backend: "free" },
      ],
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

/** Something that the test lets happen. */
function latch(): { readonly opened: Promise<void>; readonly open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}

function ask(path: string, init?: RequestInit): Promise<Response> {
  return fetch(`${gateway.url}${path}`, init);
}

async function statusOf(path: string, init?: RequestInit): Promise<number> {
  const response = await ask(path, init);
  await response.arrayBuffer();
  return response.status;
}

/** Sends so many requests that are held at the origin, and resolves once those that pass are there. */
async function hold(path: string, count: number, passing = count): Promise<readonly Promise<Response>[]> {
  const target = `/${path.split("/").slice(2).join("/")}`;
  const before = origin.asked(target).length;
  const asking = Array.from({ length: count }, () => ask(path));
  await origin.until(target, before + passing);
  return asking;
}

async function statuses(asking: readonly Promise<Response>[]): Promise<readonly number[]> {
  const answers = await Promise.all(asking);
  return answers.map(({ status }) => status).toSorted((a, b) => a - b);
}

async function gateOf(backend: string): Promise<Record<string, unknown> | undefined> {
  const response = await ask("/admin/egress", { headers: { authorization: `Bearer ${gateway.adminToken}` } });
  const { gates }: { gates: readonly Record<string, unknown>[] } = JSON.parse(await response.text());
  return gates.find((gate) => gate["backend"] === backend);
}

describe("a limit of five", () => {
  it("lets each class have its part, sheds the rest with 503, and leaves admin and health alone", async () => {
    const { opened, open } = latch();
    origin.on("/held", { after: opened });
    const normal = await hold("/five/held", 4);
    const shed = await ask("/five/held");
    expect([shed.status, shed.headers.get("proxy-status"), await shed.json()]).toEqual([
      503,
      "sluice; error=connection_limit_reached",
      expect.objectContaining({
        code: "overloaded",
        type: "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
      }),
    ]);
    expect(Number(shed.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
    expect(await statusOf("/low/held")).toBe(503);
    const critical = await hold("/critical/held", 1);
    expect(await statusOf("/critical/held")).toBe(503);
    const own = ["/readyz", "/healthz", "/health"].map((path) => statusOf(path));
    expect(await Promise.all(own)).toEqual([200, 200, 200]);
    expect(await gateOf("five")).toEqual({
      backend: "five",
      limit: 5,
      inFlight: 5,
      admitted: 5,
      shed: { critical: 1, normal: 1, low: 1 },
    });
    open();
    expect(await statuses([...normal, ...critical])).toEqual([200, 200, 200, 200, 200]);
    expect(await statusOf("/low/held")).toBe(200);
    await vi.waitFor(() => {
      const lines = gateway.logs().filter(({ code }) => code === "overloaded");
      expect(lines.map(({ route, priority, refused }) => [route, priority, refused])).toEqual([
        ["/five", "normal", "overloaded"],
        ["/low", "low", "overloaded"],
        ["/critical", "critical", "overloaded"],
      ]);
    }, PATIENCE);
  });

  it("is never passed, however many ask, and never sheds what its reserve is for", async () => {
    let waiting = 0;
    let most = 0;
    origin.on("/busy", () => {
      waiting += 1;
      most = Math.max(most, waiting);
      const after = new Promise<void>((resolve) => {
        setTimeout(() => {
          waiting -= 1;
          resolve();
        }, 5);
      });
      return { after };
    });
    /** One client after another answer, whatever it is. */
    async function client(path: string): Promise<readonly number[]> {
      const seen: number[] = [];
      for (let made = 0; made < 30; made += 1) seen.push(await statusOf(path));
      return seen;
    }
    const clients = Array.from({ length: 15 }, () => client("/five/busy"));
    const [critical, ...others] = await Promise.all([client("/critical/busy"), ...clients]);
    expect(new Set(critical)).toEqual(new Set([200]));
    expect(new Set(others.flat())).toEqual(new Set([200, 503]));
    expect(most).toBeLessThanOrEqual(5);
  });
});

describe("a limit", () => {
  it("holds for each backend that has none of its own where the top level has one", async () => {
    const { opened, open } = latch();
    origin.on("/top", { after: opened });
    const held = await hold("/own/top", 1);
    expect(await statusOf("/own/top")).toBe(503);
    const free = await hold("/free/top", 5);
    open();
    expect(await statuses([...held, ...free])).toEqual(Array.from({ length: 6 }, () => 200));
  });

  it("goes by the class that a header says where the route lets it", async () => {
    const { opened, open } = latch();
    origin.on("/class", { after: opened });
    const low = await hold("/said/class", 1);
    const asked = (value: string) => statusOf("/said/class", { headers: { "x-class": value } });
    expect([await asked("low"), await asked("urgent"), await asked("critical, critical")]).toEqual([503, 503, 503]);
    const said = asked("normal");
    await origin.until("/class", 2);
    expect(await asked("normal")).toBe(503);
    const critical = ["critical", "critical", "critical"].map(asked);
    await origin.until("/class", 5);
    open();
    expect([...(await statuses(low)), await said, ...(await Promise.all(critical))]).toEqual([200, 200, 200, 200, 200]);
    const elsewhere = latch();
    origin.on("/five-class", { after: elsewhere.opened });
    const full = await hold("/five/five-class", 4);
    expect(await statusOf("/five/five-class", { headers: { "x-class": "critical" } })).toBe(503);
    elsewhere.open();
    expect(await statuses(full)).toEqual([200, 200, 200, 200]);
  });

  it("in shadow mode refuses nothing, and says what it would have", async () => {
    const { opened, open } = latch();
    origin.on("/seen", { after: opened });
    const held = await hold("/shadowed/seen", 3);
    open();
    expect(await statuses(held)).toEqual([200, 200, 200]);
    await vi.waitFor(() => {
      const lines = gateway.logs().filter(({ route }) => route === "/shadowed");
      expect(lines.flatMap(({ shadowed }) => shadowed ?? [])).toEqual(["concurrency", "concurrency"]);
      expect(lines).toHaveLength(3);
    }, PATIENCE);
  });

  it("that is found by latency begins as it is told", async () => {
    const { opened, open } = latch();
    origin.on("/found", { after: opened });
    const held = await hold("/adaptive/found", 1);
    expect(await statusOf("/adaptive/found")).toBe(503);
    open();
    expect(await statuses(held)).toEqual([200]);
  });

  it("is no reason to refuse what a cache still has, where stale answers may be given", async () => {
    const { opened, open } = latch();
    origin.on("/doc", { body: "kept" });
    expect(await statusOf("/kept/doc")).toBe(200);
    origin.on("/full", { after: opened });
    const full = await hold("/patient/full", 1);
    await vi.waitFor(async () => {
      const answer = await ask("/kept/doc");
      expect([answer.status, await answer.text(), answer.headers.get("x-cache")]).toEqual([200, "kept", "STALE"]);
    }, PATIENCE);
    open();
    expect(await statuses(full)).toEqual([200]);
  });

  it("is asked again by a retry, which ends with the failure where there is no room", async () => {
    const { opened, open } = latch();
    origin.on("/fails", { status: 503, headers: { "retry-after": "3" }, body: "failed" });
    origin.on("/in-between", { after: opened });
    const failing = ask("/again/fails");
    await origin.until("/fails", 1);
    // The place is free while a retry waits, and another request has it when the wait is over.
    await vi.waitFor(async () => expect((await gateOf("again"))?.["inFlight"]).toBe(0), PATIENCE);
    const between = await hold("/again/in-between", 1);
    const failed = await failing;
    expect([failed.status, await failed.text(), origin.asked("/fails").length]).toEqual([503, "failed", 1]);
    open();
    expect(await statuses(between)).toEqual([200]);
    await vi.waitFor(() => {
      const line = gateway.logs().find(({ path }) => path === "/again/fails");
      expect([line?.["retryStop"], line?.["code"]]).toEqual(["overloaded", undefined]);
    }, PATIENCE);
  });
});

describe("a place is free again", () => {
  it.each<[string, () => void, number]>([
    ["an answer", () => origin.on("/way", { body: "whole" }), 200],
    ["a failure", () => origin.on("/way", { status: 500, body: "failed" }), 500],
    ["a connection that breaks", () => origin.on("/way", { isGone: true }), 502],
    [
      "a body that breaks",
      () => origin.on("/way", { headers: { "content-length": "100" }, body: "x".repeat(100), cutAfter: 10 }),
      502,
    ],
    ["a silence that is too long", () => origin.on("/way", { after: new Promise(() => {}) }), 504],
  ])("after %s", async (_, answer, status) => {
    answer();
    expect(await statusOf("/one/way")).toBe(status);
    origin.on("/after", { body: "next" });
    expect(await statusOf("/one/after")).toBe(200);
  });

  it("after a client that left", async () => {
    origin.on("/left", { after: new Promise(() => {}) });
    const leaving = new AbortController();
    const left = ask("/one/left", { signal: leaving.signal }).catch(() => "left");
    const before = origin.asked("/left").length;
    await origin.until("/left", Math.max(1, before));
    leaving.abort();
    expect(await left).toBe("left");
    await vi.waitFor(async () => expect((await gateOf("one"))?.["inFlight"]).toBe(0), PATIENCE);
  });

  it("after the last byte of a body that is streamed, and not before", async () => {
    const { opened, open } = latch();
    origin.on("/streamed", { body: "x".repeat(200_000), held: { after: 100_000, until: opened } });
    const streaming = await ask("/one/streamed");
    expect(await statusOf("/one/after")).toBe(503);
    open();
    expect((await streaming.arrayBuffer()).byteLength).toBe(200_000);
    await vi.waitFor(async () => expect(await statusOf("/one/after")).toBe(200), PATIENCE);
  });
});
