import { createServer } from "node:net";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { startCountingOrigin, type CountingOrigin } from "../support/counting-origin.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";
import { valueOf } from "../support/message-head.ts";
import { ask } from "../support/raw-client.ts";

/** What happens after an answer comes some time after it. */
const PATIENCE = { timeout: 15_000 };

let origin: CountingOrigin;
let shadow: CountingOrigin;
let gateway: Gateway;

beforeAll(async () => {
  [origin, shadow] = await Promise.all([startCountingOrigin(), startCountingOrigin()]);
  const targets = [{ url: origin.url }];
  const mirror = { backend: "shadow" };
  gateway = await startGateway({
    config: {
      allowPrivateTargets: true,
      batch: true,
      backends: {
        plain: { targets },
        tried: { targets, retry: true, circuitBreaker: true },
        one: { targets, concurrency: 1 },
        shadow: { targets: [{ url: `${shadow.url}/below` }] },
        dead: { targets: [{ url: `http://127.0.0.1:${await closedPort()}` }] },
      },
      routes: [
        { prefix: "/bare", backend: "plain" },
        { prefix: "/copied", backend: "plain", mirror: { ...mirror, removeHeaders: ["Authorization", "cookie"] } },
        { prefix: "/tried", backend: "tried", mirror },
        { prefix: "/one", backend: "one", mirror },
        { prefix: "/kept", backend: "plain", cache: { ttl: "1h" }, mirror },
        { prefix: "/reads", backend: "plain", mirror: { ...mirror, methods: ["GET"], maxBodySize: 10 } },
        { prefix: "/short", backend: "plain", mirror: { ...mirror, maxBodySize: 10 } },
        { prefix: "/few", backend: "plain", mirror: { ...mirror, maxInFlight: 2, timeout: "500ms" } },
        { prefix: "/dead", backend: "plain", mirror: { backend: "dead" } },
      ],
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await Promise.all([origin?.stop(), shadow?.stop()]);
});

/** A port on which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("a TCP server has a port");
  return address.port;
}

async function mirrorOf(route: string): Promise<Record<string, unknown> | undefined> {
  const response = await fetch(`${gateway.url}/admin/egress`, {
    headers: { authorization: `Bearer ${gateway.adminToken}` },
  });
  const { mirrors }: { mirrors: readonly Record<string, unknown>[] } = JSON.parse(await response.text());
  return mirrors.find((mirror) => mirror["route"] === route);
}

/** How the log says that requests for a path were copied. */
async function logged(path: string, count: number): Promise<readonly unknown[]> {
  return vi.waitFor(() => {
    const lines = gateway.logs().filter((line) => line["path"] === path);
    expect(lines).toHaveLength(count);
    return lines.map(({ mirror }) => mirror ?? "none");
  }, PATIENCE);
}

describe("a copy", () => {
  it("is the request that the origin gets, marked, without the fields that it must not have", async () => {
    origin.on("/a/b", { body: "answer" });
    const headers = [
      "Authorization: Bearer secret",
      "Cookie: a=b",
      "X-Mine: mine",
      "X-Sluice-Mirror: forged",
      "X-Request-ID: one-request",
      "Content-Length: 4",
    ];
    await ask(gateway.url, { method: "PUT", target: "/copied/a/b?c=d", headers, body: "body" });
    await shadow.until("/below/a/b", 1);
    const [seen] = origin.asked("/a/b");
    const [copy] = shadow.asked("/below/a/b");
    expect([seen?.method, seen?.url, copy?.method, copy?.url]).toEqual(["PUT", "/a/b?c=d", "PUT", "/below/a/b?c=d"]);
    const { host, authorization, cookie, ...rest } = seen?.headers ?? {};
    expect([authorization, cookie, rest["x-sluice-mirror"]]).toEqual(["Bearer secret", "a=b", undefined]);
    expect(host).not.toBe(copy?.headers.host);
    expect(copy?.headers).toEqual({ ...rest, host: copy?.headers.host, "x-sluice-mirror": "1" });
    expect(await logged("/copied/a/b", 1)).toEqual(["sent"]);
  });

  it.each(["copied", "tried"])("is sent once the head of the answer is there (%s)", async (route) => {
    const { promise: opened, resolve: open } = Promise.withResolvers<void>();
    let isOpen = false;
    const whenCopied: boolean[] = [];
    origin.on(`/late-${route}`, { after: opened });
    shadow.on(`/below/late-${route}`, () => {
      whenCopied.push(isOpen);
      return {};
    });
    const asking = fetch(`${gateway.url}/${route}/late-${route}`);
    await origin.until(`/late-${route}`, 1);
    isOpen = true;
    open();
    expect((await asking).status).toBe(200);
    await shadow.until(`/below/late-${route}`, 1);
    expect(whenCopied).toEqual([true]);
  });

  it("is made of a request that its origin fails, and of none that was not sent or was answered by the cache", async () => {
    origin.on("/fails", { isGone: true });
    expect((await fetch(`${gateway.url}/copied/fails`)).status).toBe(502);
    await shadow.until("/below/fails", 1);
    const { promise: opened, resolve: open } = Promise.withResolvers<void>();
    origin.on("/held", { after: opened });
    const held = fetch(`${gateway.url}/one/held`);
    await origin.until("/held", 1);
    expect((await fetch(`${gateway.url}/one/shed`)).status).toBe(503);
    open();
    await held;
    expect(await logged("/one/shed", 1)).toEqual(["none"]);
    origin.on("/kept", { headers: { "cache-control": "max-age=3600" }, body: "kept" });
    const caches: unknown[] = [];
    for (let asked = 0; asked < 2; asked += 1) {
      const response = await fetch(`${gateway.url}/kept/kept`);
      await response.text();
      caches.push(response.headers.get("x-cache"));
      if (asked === 0) await shadow.until("/below/kept", 1);
    }
    expect(caches).toEqual(["MISS", "HIT"]);
    expect(await logged("/kept/kept", 2)).toEqual(["sent", "none"]);
  });

  it("is sent after all of a batch, whose requests share what an invocation may wait for", async () => {
    const { promise: opened, resolve: open } = Promise.withResolvers<void>();
    const count = 12;
    let isOpen = false;
    const whenCopied: boolean[] = [];
    origin.on("/last", { after: opened });
    shadow.on("/below/batched", () => {
      whenCopied.push(isOpen);
      return { after: opened };
    });
    const requests = Array.from({ length: count }, (_, index) => ({
      path: index === 0 ? "/copied/last" : `/copied/batched?${index}`,
    }));
    const asking = fetch(`${gateway.url}/batch`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ requests }),
    });
    expect(await logged("/copied/batched", count - 1)).toEqual(Array.from({ length: count - 1 }, () => "sent"));
    isOpen = true;
    open();
    expect((await asking).status).toBe(200);
    await shadow.until("/below/batched", count - 1);
    expect(whenCopied).toEqual(Array.from({ length: count - 1 }, () => true));
    await vi.waitFor(async () => expect(await mirrorOf("/copied")).toMatchObject({ inFlight: 0 }), PATIENCE);
  });

  it.each<[string, string, RequestInit, string]>([
    ["a method that is not copied", "/reads/method", { method: "POST", body: "x" }, "method"],
    ["a body that is too long", "/short/long", { method: "POST", body: "x".repeat(11) }, "body-too-long"],
    ["a body that is not kept", "/copied/large", { method: "POST", body: "x".repeat(100_000) }, "body-not-kept"],
  ])("is not made of %s", async (_, path, init, why) => {
    expect((await fetch(`${gateway.url}${path}`, init)).status).toBe(200);
    expect(await logged(path, 1)).toEqual([why]);
  });
});

describe("a mirror", () => {
  it("changes neither a byte nor a field of an answer", async () => {
    const fields = { "content-type": "text/x", etag: '"1"', "set-cookie": ["a=1", "b=2"], "x-some": "thing" };
    origin.on("/bytes", { status: 203, headers: fields, body: Buffer.from([0, 1, 2, 0xff, 0x0d, 0x0a]) });
    origin.on("/streamed", { headers: fields, body: "x".repeat(200_000) });
    const own = new Set(["x-request-id", "x-response-time", "date"]);
    for (const path of ["/bytes", "/streamed"]) {
      const seen = [];
      for (const route of ["/bare", "/copied", "/dead"]) {
        const { status, headers, body } = await ask(gateway.url, { target: `${route}${path}` });
        seen.push({ status, headers: headers.filter(([name]) => !own.has(name.toLowerCase())), body });
      }
      expect([seen[1], seen[2]]).toEqual([seen[0], seen[0]]);
    }
  });

  it("that is dead changes nothing, and is counted", async () => {
    origin.on("/fine", { body: "fine" });
    for (let asked = 0; asked < 5; asked += 1) {
      const response = await fetch(`${gateway.url}/dead/fine`);
      expect([response.status, await response.text()]).toEqual([200, "fine"]);
    }
    await vi.waitFor(async () => {
      expect(await mirrorOf("/dead")).toMatchObject({ backend: "dead", inFlight: 0, answered: 0 });
    }, PATIENCE);
    const report = await mirrorOf("/dead");
    expect(report?.["failed"]).toBe(report?.["sent"]);
  });

  it("that is silent holds no more places than it may, and each for its time", async () => {
    shadow.on("/below/silent", { after: new Promise(() => {}) });
    for (let asked = 0; asked < 4; asked += 1) {
      expect((await fetch(`${gateway.url}/few/silent`)).status).toBe(200);
      if (asked < 2) await shadow.until("/below/silent", asked + 1);
    }
    expect((await logged("/few/silent", 4)).slice(0, 2)).toEqual(["sent", "sent"]);
    await vi.waitFor(async () => expect(await mirrorOf("/few")).toMatchObject({ inFlight: 0 }), PATIENCE);
    const report = await mirrorOf("/few");
    expect(report?.["failed"]).toBe(report?.["sent"]);
    shadow.on("/below/well", { body: "well" });
    expect((await fetch(`${gateway.url}/few/well`)).status).toBe(200);
    await shadow.until("/below/well", 1);
  });

  it("keeps no connection for what it answers", async () => {
    shadow.on("/below/endless", {
      body: "x".repeat(200_000),
      held: { after: 100_000, until: new Promise(() => {}) },
    });
    expect((await fetch(`${gateway.url}/copied/endless`)).status).toBe(200);
    await shadow.until("/below/endless", 1);
    await vi.waitFor(() => expect(shadow.asked("/below/endless")[0]?.socket.destroyed).toBe(true), PATIENCE);
  });

  it("has what follows an answer to itself: the head says nothing of it", async () => {
    const { headers } = await ask(gateway.url, { target: "/copied/fine" });
    expect(valueOf(headers, "x-sluice-mirror")).toBeUndefined();
  });
});
