import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { parseConfig } from "../../schemas/index.ts";
import { admin } from "../../worker/admin/index.ts";
import { compileConfig } from "../../worker/config/compile.ts";
import { problemResponse } from "../../worker/problem.ts";

/** Objects outlive a test: each has targets of its own. */
let host = "";
let tests = 0;

beforeEach(() => {
  tests += 1;
  host = `https://t${tests}.example`;
});

interface Answer {
  readonly status: number;
  readonly allow: string | null;
  readonly body: unknown;
}

/** What an operator is answered, under a configuration with every kind of target. */
async function ask(method: string, path: string, body?: unknown): Promise<Answer> {
  const url = new URL(path, "http://gateway.test");
  const headers = { "x-admin-key": "token" };
  const request = new Request(url, { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) });
  const canonical = { method, scheme: "http", host: url.host, path: url.pathname, query: url.search.slice(1) } as const;
  const known = { ...env, SLUICE_ADMIN_TOKEN: "token" };
  const answer = admin(request, canonical, known, active(), createExecutionContext());
  const response = await answer.catch((error: unknown) => problemResponse(error, "id"));
  return { status: response.status, allow: response.headers.get("allow"), body: await response.json() };
}

function active() {
  const document = {
    backends: {
      pair: {
        targets: [{ url: `${host}/a` }, { url: `${host}/b`, weight: 3 }],
        circuitBreaker: { failureThreshold: 5 },
        healthCheck: { path: "/health" },
      },
      checked: { targets: [{ url: `${host}/checked` }], healthCheck: { path: "/health" }, circuitBreaker: false },
      spare: { targets: [{ url: `${host}/spare` }], circuitBreaker: { failureThreshold: 7 } },
      plain: { targets: [{ url: `${host}/plain` }], circuitBreaker: false },
    },
    routes: [
      { id: "all", prefix: "/", backend: "pair" },
      { prefix: "/in/line", target: `${host}/a`, circuitBreaker: false },
      { id: "checked", prefix: "/checked", backend: "checked" },
      { id: "plain", prefix: "/plain", backend: "plain" },
    ],
  };
  const result = parseConfig(document);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return compileConfig(result.config, { version: 1, source: "default", text: "{}", warnings: [], platform: "socket" });
}

const CLOSED = {
  state: "closed",
  since: null,
  remainingMs: null,
  openings: 0,
  probes: 0,
  isolates: 0,
  window: { ok: 0, failed: 0, slow: 0 },
};
const UNCHECKED = { isDown: false, since: null, isChecked: false, checks: 0, lastCheck: null };

function quiet(url: string) {
  return { url, drain: false, owner: "answered", isDraining: false, breaker: CLOSED, health: UNCHECKED };
}

describe("the list of backends", () => {
  it("shows every one of the configuration, with the routes that use it and its targets as they are", async () => {
    const { status, body } = await ask("GET", "/admin/backends");
    expect([status, body]).toEqual([
      200,
      {
        backends: [
          {
            name: "pair",
            routes: ["all"],
            balance: "weighted-random",
            targets: [
              { ...quiet(`${host}/a`), weight: 1 },
              { ...quiet(`${host}/b`), weight: 3 },
            ],
          },
          {
            name: "checked",
            routes: ["checked"],
            balance: "weighted-random",
            targets: [{ ...quiet(`${host}/checked`), weight: 1, breaker: null }],
          },
          {
            name: "spare",
            routes: [],
            balance: "weighted-random",
            targets: [{ url: `${host}/spare`, drain: false, weight: 1, owner: "none", breaker: null, health: null }],
          },
          {
            name: "plain",
            routes: ["plain"],
            balance: "weighted-random",
            targets: [{ url: `${host}/plain`, drain: false, weight: 1, owner: "none", breaker: null, health: null }],
          },
          {
            name: "route:/in/line",
            routes: ["/in/line"],
            balance: "weighted-random",
            targets: [{ ...quiet(`${host}/a`), weight: 1 }],
          },
        ],
      },
    ]);
  });

  it("shows one target the same under each backend that has it", async () => {
    await ask("POST", "/admin/backends/route:%2Fin%2Fline/open");
    const forced = { ...quiet(`${host}/a`), weight: 1, breaker: { ...CLOSED, state: "forced-open", since: TIME } };
    expect((await ask("GET", "/admin/backends")).body).toMatchObject({
      backends: [{ targets: [forced, { breaker: CLOSED }] }, {}, {}, {}, { targets: [forced] }],
    });
  });
});

const TIME: unknown = expect.any(Number);

describe("one backend", () => {
  it("is shown with its settings, how its targets are judged, and what happened to them", async () => {
    await ask("POST", "/admin/backends/pair/drain", { target: `${host}/b` });
    await ask("POST", `/admin/backends/pair/open?target=${host}/b`);
    const { body } = await ask("GET", "/admin/backends/pair");
    expect(body).toMatchObject({
      name: "pair",
      routes: ["all"],
      settings: {
        balance: { algorithm: "weighted-random" },
        sticky: null,
        healthCheck: { path: "/health", intervalMs: 10_000 },
        retry: null,
        hedge: null,
      },
      targets: [
        { ...quiet(`${host}/a`), events: [], circuitBreaker: null },
        {
          url: `${host}/b`,
          isDraining: true,
          breaker: { state: "forced-open" },
          circuitBreaker: { failureThreshold: 5, timeoutMs: 60_000, halfOpenRequests: 3 },
          events: [
            { at: TIME, kind: "circuit", from: "closed", to: "forced-open", cause: "operator", by: "admin" },
            { at: TIME, kind: "drain", from: "off", to: "on", cause: "operator", by: "admin" },
          ],
        },
      ],
    });
  });

  it.each([
    ["/admin/backends/pari", 'Got "pari", wanted the name of a backend: did you mean "pair"?'],
    [
      "/admin/backends/%FF",
      'Got "%FF", wanted the name of a backend: one of "pair", "checked", "spare", "plain", "route:/in/line".',
    ],
  ])("is not found as %s, with what was probably meant", async (path, detail) => {
    expect(await ask("GET", path)).toMatchObject({ status: 404, body: { code: "not-found", detail } });
  });
});

describe("an order", () => {
  it.each([
    ["open", "forced-open"],
    ["close", "forced-closed"],
  ])("to %s reaches every target of a backend, until auto", async (order, state) => {
    const carried = (target: string, breaker: unknown) => ({
      url: host + target,
      result: "done",
      owner: "answered",
      isDraining: false,
      breaker,
      health: UNCHECKED,
    });
    const forced = { ...CLOSED, state, since: TIME };
    expect(await ask("POST", `/admin/backends/pair/${order}`)).toMatchObject({
      status: 200,
      body: { backend: "pair", order, targets: [carried("/a", forced), carried("/b", forced)] },
    });
    const closed = { ...CLOSED, since: TIME };
    expect((await ask("POST", "/admin/backends/pair/auto")).body).toMatchObject({
      targets: [carried("/a", closed), carried("/b", closed)],
    });
  });

  it("for one target by the query or the body leaves the others alone", async () => {
    const inQuery = await ask("POST", `/admin/backends/pair/drain?target=${host}/a`);
    expect(inQuery.body).toMatchObject({ targets: [{ url: `${host}/a`, result: "done", isDraining: true }] });
    const inBody = await ask("POST", "/admin/backends/pair/open", { target: `${host}/b` });
    expect(inBody.body).toMatchObject({ targets: [{ url: `${host}/b`, breaker: { state: "forced-open" } }] });
    expect((await ask("GET", "/admin/backends/pair")).body).toMatchObject({
      targets: [
        { isDraining: true, breaker: { state: "closed" } },
        { isDraining: false, breaker: { state: "forced-open" } },
      ],
    });
  });

  it.each([
    ["/admin/backends/plain/open", "no request meets a circuit breaker here; configure circuitBreaker first."],
    ["/admin/backends/spare/close", "no request meets a circuit breaker here; configure circuitBreaker first."],
    ["/admin/backends/checked/open", "no request meets a circuit breaker here; configure circuitBreaker first."],
    ["/admin/backends/plain/drain", "it is the only target of its backend, so nobody else can take its new clients."],
    ["/admin/circuit-breaker-reset?backend=plain", "it has neither a circuit breaker nor a health check to forget."],
  ])("that changes nothing is refused: POST %s", async (path, detail) => {
    const { status, body } = await ask("POST", path);
    expect([status, body]).toMatchObject([
      400,
      {
        code: "invalid-request",
        detail: expect.stringMatching(new RegExp(`^https://t\\d+\\.example/\\w+: ${detail}$`)),
        targets: [{ result: "not-applicable", owner: "none" }],
      },
    ]);
  });

  it.each([
    [
      "target=https://other.example",
      undefined,
      /^target: got "https:\/\/other\.example", wanted the URL of a target of pair: one of "https:.*"\.$/,
    ],
    ["", { target: "" }, /^target: got .*, wanted the URL of a target, as the configuration writes it\.$/],
    ["", { targets: [] }, /^targets: got .*, wanted a known key; did you mean "target"\?$/],
    ["target=x", { target: "y" }, /^target: got "x" in the query and "y" in the body, wanted one\.$/],
    // Taken for none, either would be an order for every target.
    ["tagret=x", undefined, /^query: got "tagret", wanted "target" alone\.$/],
    ["target=x&target=y", undefined, /^target: got 2 in the query, wanted one\.$/],
  ])("with the query %j and the body %j is refused and says why", async (query, body, detail) => {
    const answer = await ask("POST", `/admin/backends/pair/open?${query}`, body);
    expect(answer).toMatchObject({
      status: 400,
      body: { code: "invalid-request", detail: expect.stringMatching(detail) },
    });
  });

  it("says which URL was meant by one that is written otherwise", async () => {
    const { body } = await ask("POST", `/admin/backends/pair/open?target=${host.toUpperCase()}:443/a`);
    expect(body).toMatchObject({ detail: expect.stringContaining(`did you mean "${host}/a"?`) });
  });

  it("of another name is not found, and it is said where those are that there are", async () => {
    const { status, body } = await ask("POST", "/admin/backends/pair/opn");
    expect([status, body]).toMatchObject([404, { detail: "Nothing is here; GET /admin lists what there is." }]);
    expect((await ask("GET", "/admin")).status).toBe(200);
  });

  it.each(["open", "close", "auto", "drain"])("to %s is a POST", async (order) => {
    const { status, allow, body } = await ask("GET", `/admin/backends/pair/${order}`);
    expect([status, allow, body]).toMatchObject([405, "POST", { code: "method-not-allowed" }]);
  });
});

describe("the breakers", () => {
  it("are listed by the URL that each belongs to, with the backends that share it", async () => {
    await ask("POST", `/admin/backends/pair/open?target=${host}/b`);
    expect((await ask("GET", "/admin/circuit-breaker-status")).body).toEqual({
      breakers: [
        { target: `${host}/a`, backends: ["pair", "route:/in/line"], owner: "answered", ...CLOSED },
        { target: `${host}/b`, backends: ["pair"], owner: "answered", ...CLOSED, state: "forced-open", since: TIME },
      ],
    });
  });

  it.each([
    ["the name of a backend", () => "pair", ["/a", "/b"]],
    ["the URL of a target", () => `${host}/b`, ["/b"]],
  ])("are reset by %s", async (_, backend, targets) => {
    await ask("POST", "/admin/backends/pair/open");
    const answer = await ask("POST", `/admin/circuit-breaker-reset?backend=${encodeURIComponent(backend())}`);
    const reset = targets.map((target) => ({
      url: host + target,
      result: "done",
      breaker: { ...CLOSED, since: TIME },
    }));
    expect(answer).toMatchObject({ status: 200, body: { backend: backend(), order: "reset", targets: reset } });
    expect((await ask("POST", "/admin/circuit-breaker-reset", { backend: backend() })).status).toBe(200);
  });

  it.each([
    ["", 400, /^backend: got nothing, wanted the name of a backend or the URL of a target, .*\.$/],
    ["?backend=pair&target=x", 400, /^query: got "target", wanted "backend" alone\.$/],
    ["?backend=pari", 404, /^backend: got "pari", wanted the name of a backend or .*: did you mean "pair"\?$/],
  ])("are not reset by %j", async (query, status, detail) => {
    const answer = await ask("POST", `/admin/circuit-breaker-reset${query}`);
    expect(answer).toMatchObject({ status, body: { detail: expect.stringMatching(detail) } });
  });

  it("are read and reset by one method each", async () => {
    const [status, reset] = await Promise.all([
      ask("POST", "/admin/circuit-breaker-status"),
      ask("GET", "/admin/circuit-breaker-reset?backend=pair"),
    ]);
    expect([status, reset].map((answer) => [answer.status, answer.allow])).toEqual([
      [405, "GET, HEAD"],
      [405, "POST"],
    ]);
  });
});
