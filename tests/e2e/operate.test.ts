import { createServer, type Server } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startGateway, type Gateway } from "../support/gateway.ts";

let origin: Server;
let originUrl: string;
let gateway: Gateway;

beforeAll(async () => {
  origin = createServer((_request, response) => response.setHeader("content-length", "2").end("ok"));
  await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
  const address = origin.address();
  if (address === null || typeof address === "string") throw new Error("the origin has no port");
  originUrl = `http://127.0.0.1:${address.port}`;
  gateway = await startGateway({
    config: {
      allowPrivateTargets: true,
      rateLimit: {
        requestsPerWindow: 10,
        windowSeconds: 3600,
        by: ["header:x-client"],
        mode: "strict",
        deadline: "20s",
      },
      routes: [
        { id: "api", prefix: "/api", target: originUrl },
        { id: "gone", prefix: "/gone", target: "http://127.0.0.1:1" },
      ],
    },
  });
});

afterAll(async () => {
  await gateway.stop();
  origin.closeAllConnections();
  origin.close();
});

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

async function get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(gateway.url + path, { headers });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text.startsWith("{") ? JSON.parse(text) : text };
}

function asOperator(path: string): Promise<Answer> {
  return get(path, { authorization: `Bearer ${gateway.adminToken}` });
}

/** The log line of one exchange, once the gateway has printed it. */
async function logLine(requestId: string): Promise<Record<string, unknown>> {
  return expect
    .poll(() => gateway.logs().find((line) => line["requestId"] === requestId), { timeout: 20_000 })
    .toBeDefined()
    .then(() => {
      const line = gateway.logs().find((each) => each["requestId"] === requestId);
      if (line === undefined) throw new Error(`no line for ${requestId}`);
      return line;
    });
}

describe("an operator", () => {
  it("learns that the process lives and that it is ready to serve", async () => {
    expect(await get("/healthz")).toMatchObject({ status: 200, body: { status: "ok" } });
    expect(await get("/readyz")).toMatchObject({
      status: 200,
      body: { status: "ready", checks: { rateLimiter: "ok" } },
    });
  });

  it("sees details of the health that the public does not", async () => {
    const forEveryone = await get("/health");
    expect(forEveryone).toMatchObject({ status: 200, body: { status: "pass" } });
    expect(Object.keys(forEveryone.body ?? {})).toEqual(["status"]);
    expect(forEveryone.headers.get("content-type")).toBe("application/health+json");
    expect((await asOperator("/health")).body).toMatchObject({
      status: "pass",
      checks: { "configuration:version": [{ source: "file" }] },
    });
  });

  it("reads one client's live counters by the handle that the client is shown", async () => {
    const [, pk] =
      /pk=:(\w+):/.exec((await get("/api/x", { "x-client": "alice" })).headers.get("ratelimit") ?? "") ?? [];
    await get("/api/x", { "x-client": "alice" });
    await get("/api/x", { "x-client": "bob" });
    const report = {
      client: pk,
      policies: [{ policy: "default", tokensPerWindow: 10, windowMs: 3_600_000, burst: 10, remaining: 8 }],
    };
    expect(await asOperator(`/admin/clients/${pk}`)).toMatchObject({ status: 200, body: report });
    expect(await asOperator("/admin/clients?by=header:x-client&value=alice")).toMatchObject({
      body: { clients: [report] },
    });
  });

  it.each([
    ["/admin/clients/nonsense", 404, "not-found"],
    ["/admin/clients/AAAAAAAAAAAAAAAAAAAAAAAA", 404, "not-found"],
    ["/admin/clients?by=ip&value=nonsense", 400, "invalid-request"],
    ["/admin/clients", 400, "invalid-request"],
    ["/admin/nothing", 404, "not-found"],
  ])("is told what is wrong with %s", async (path, status, code) => {
    expect(await asOperator(path)).toMatchObject({ status, body: { code } });
  });

  it.each(["/admin/config", "/healthz", "/readyz", "/health"])("is told which methods %s has", async (path) => {
    const response = await fetch(gateway.url + path, {
      method: "DELETE",
      headers: { "x-admin-key": gateway.adminToken },
    });
    expect([response.status, response.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });

  it.each(["/admin/config", "/healthz", "/readyz", "/health"])("may ask %s for its head alone", async (path) => {
    const response = await fetch(gateway.url + path, {
      method: "HEAD",
      headers: { "x-admin-key": gateway.adminToken },
    });
    expect([response.status, await response.text()]).toEqual([200, ""]);
  });

  it("finds what the admin API has", async () => {
    const listed = {
      resources: [
        "/backends",
        "/backends/{name}",
        "POST /backends/{name}/open?target=",
        "POST /backends/{name}/close?target=",
        "POST /backends/{name}/auto?target=",
        "POST /backends/{name}/drain?target=",
        "/bans?filter=&limit=&cursor=",
        "/canary",
        "/canary/{route}",
        "POST /canary/{route}/promote",
        "POST /canary/{route}/abort",
        "POST /canary/{route}/reset",
        "/cache/entry?url=",
        "POST /cache/warm",
        "POST /cache-invalidate?prefix=&tag=&key=&route=&all=&soft=",
        "/cache-stats",
        "/circuit-breaker-status",
        "POST /circuit-breaker-reset?backend=",
        "/clients?by=&value=",
        "/clients/{id}",
        "POST /clients/{id}/ban",
        "POST /clients/{id}/unban",
        "POST /clients/{id}/reset",
        "POST /clients/{id}/grant",
        "/config",
        "/dedup-stats",
        "/sockets?route=&principal=&address=&state=&mode=&limit=&cursor=",
        "/sockets?summary=true",
        "/sockets/{id}",
        "DELETE /sockets/{id}?code=&reason=",
        "POST /sockets/{id}/send",
        "/sockets/{id}/tap?direction=&sample=&bytes=&redact=",
        "POST /sockets/broadcast?route=&principal=&address=&state=&mode=&all=",
        "POST /sockets/close?route=&principal=&address=&state=&mode=&all=&code=&reason=&spread=",
        "POST /sockets/drain?route=&principal=&address=&state=&mode=&all=&spread=&refuseNew=&reason=",
        "/egress",
      ],
    };
    expect(await asOperator("/admin")).toMatchObject({ status: 200, body: listed });
    expect(await asOperator("/admin/")).toMatchObject({ status: 200, body: listed });
  });

  it("reads the configuration that is active and where it came from", async () => {
    expect(await asOperator("/admin/config")).toMatchObject({
      status: 200,
      body: { source: "file", routes: ["api", "gone"], warnings: [] },
    });
  });

  it("finds each exchange in the log, with its reason and without its secrets", async () => {
    const secret = "s3cr3t-canary";
    const headers = {
      "x-client": "carol",
      "x-request-id": "trace-me-0001",
      authorization: `Bearer ${secret}`,
      cookie: `sid=${secret}`,
    };
    const answer = await get(`/gone/x?token=${secret}`, headers);
    expect(answer).toMatchObject({ status: 502, body: { code: "upstream-unreachable", requestId: "trace-me-0001" } });
    const line = await logLine("trace-me-0001");
    expect(line).toMatchObject({
      message: "exchange",
      level: "error",
      method: "GET",
      path: "/gone/x",
      route: "gone",
      status: 502,
      code: "upstream-unreachable",
      client: "127.0.0.1",
    });
    // An expected failure is told in messages; a stack would show the bundle's insides to no end.
    expect(line["error"]).toMatch(/^No response head came from the origin.* <- \w*Error: [^\n]*$/);
    expect(JSON.stringify(gateway.logs())).not.toContain(secret);
  });
});

describe("a client", () => {
  it("gets its request id back when it is safe, another one when it is not, and the time it took", async () => {
    expect((await get("/api/x", { "x-request-id": "my-trace-0042" })).headers.get("x-request-id")).toBe(
      "my-trace-0042",
    );
    const { headers } = await get("/api/x", { "x-request-id": 'evil" onload=1' });
    expect(headers.get("x-request-id")).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}$/);
    expect(headers.get("x-response-time")).toMatch(/^\d+$/);
  });

  it("is told what is left of its limit, and when to come back from a refusal", async () => {
    const answers = [];
    for (let sent = 0; sent < 11; sent += 1) answers.push(await get("/api/x", { "x-client": "dave" }));
    expect(answers.map(({ status }) => status)).toEqual([...Array.from({ length: 10 }, () => 200), 429]);
    expect(answers[0]?.headers.get("ratelimit")).toMatch(/^"default";r=9;pk=:\w{24}:$/);
    expect(answers[0]?.headers.get("ratelimit-policy")).toMatch(/^"default";q=10;w=3600;pk=:\w{24}:$/);
    const refused = answers[10];
    // A token comes every 360 s, counted from the first request.
    const wait = Number(refused?.headers.get("retry-after"));
    expect([wait > 300, wait <= 360]).toEqual([true, true]);
    expect(refused?.headers.get("ratelimit")?.replace(/pk=:\w{24}:$/, "")).toBe(`"default";r=0;t=${wait};`);
    expect(refused?.headers.get("cache-control")).toBe("no-store");
    expect(refused?.body).toMatchObject({
      type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
      status: 429,
      code: "quota-exceeded",
      "violated-policies": ["default"],
    });
  });
});
