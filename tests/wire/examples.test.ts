import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { parseJsonc } from "../../schemas/document/parse-jsonc.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { valueOf } from "../support/message-head.ts";
import { send } from "../support/origin/act.ts";
import { Origin } from "../support/origin/origin.ts";
import { ask, RawClient, type RawAnswer } from "../support/raw-client.ts";
import { request } from "../support/raw-request.ts";

const FOLDER = new URL("../../examples/limits/", import.meta.url);
/** What travels after an answer takes a while on a busy machine. */
const PATIENCE_MS = 15_000;
const KEY = ["X-Api-Key: k1"];

let origin: Origin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await Origin.start();
  gateway = await startGateway({ config: together() });
  origin.answer("/wrong", send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"));
  origin.answer("/chat", send("HTTP/1.1 200 OK\r\nX-Tokens-Used: 1234\r\nContent-Length: 2\r\n\r\nhi"));
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

/** All examples in one document, in front of this test's origin. Only owners decide, however busy the machine is. */
function together(): unknown {
  const documents = readdirSync(FOLDER).map((file) => readFileSync(new URL(file, FOLDER), "utf8"));
  const merged: Record<string, unknown> = {};
  const routes: unknown[] = [];
  for (const text of documents) {
    const parsed: unknown = JSON.parse(
      JSON.stringify(parseJsonc(text).value)
        .replaceAll("http://127.0.0.1:9000", origin.url)
        .replaceAll('"requestsPerWindow"', '"deadline":"20s","requestsPerWindow"')
        .replaceAll('"maxConcurrent"', '"deadline":"20s","maxConcurrent"'),
    );
    if (typeof parsed !== "object" || parsed === null || !("routes" in parsed) || !Array.isArray(parsed.routes)) {
      throw new Error("an example without routes");
    }
    routes.push(...parsed.routes);
    Object.assign(merged, parsed);
  }
  return { ...merged, routes };
}

test("a steady rate starts with its burst, and the shadowed limit stays unseen", async () => {
  const answer = await ask(gateway.url, { target: "/steady/a" });
  expect(limitsIn(answer)).toEqual(['"address";r=29']);
});

test.each(["never-more", "about"])("of a minute's 20, %s lets no 21st through", async (prefix) => {
  const statuses: number[] = [];
  for (let index = 0; index < 21; index += 1) {
    statuses.push((await ask(gateway.url, { target: `/${prefix}/a` })).status);
  }
  expect(statuses).toEqual([...Array.from({ length: 20 }, () => 200), 429]);
});

test("a plan has its month and its second, by API key", async () => {
  const [one, other] = [
    await ask(gateway.url, { target: "/plan/a", headers: KEY }),
    await ask(gateway.url, { target: "/plan/a", headers: ["X-Api-Key: k2"] }),
  ];
  for (const answer of [one, other]) {
    const [month = "", second = ""] = limitsIn(answer);
    expect(month).toMatch(/^"month";r=99999;t=\d+$/);
    expect(second).toBe('"second";r=4');
  }
});

test("two reports run at once for a session, and a third for another", async () => {
  const session = (name: string) => ({ target: "/reports/held", headers: [`Cookie: theme=dark; session=${name}`] });
  const running = [await RawClient.open(gateway.url), await RawClient.open(gateway.url)];
  for (const client of running) await client.send(request(session("one")));
  await origin.until("two reports run", () => origin.seenAt("/held").length === 2);
  const refused = await ask(gateway.url, { ...session("one"), target: "/reports/more" });
  const elsewhere = await ask(gateway.url, { ...session("two"), target: "/reports/more" });
  for (const client of running) client.reset();
  expect([refused.status, elsewhere.status]).toEqual([429, 200]);
});

test("five wrong passwords lock a login out", async () => {
  for (let index = 1; index <= 5; index += 1) {
    const answer = await ask(gateway.url, { target: "/login/wrong" });
    expect(answer.status).toBe(401);
    await left(answer, "route:/login", 5 - index);
  }
  expect((await ask(gateway.url, { target: "/login/right" })).status).toBe(429);
});

test("a model's tokens are settled by the answer, which does not show them", async () => {
  const answer = await ask(gateway.url, { target: "/model/chat", headers: KEY });
  expect(valueOf(answer.headers, "x-tokens-used")).toBeUndefined();
  await left(answer, "route:/model", 50_000 - 1_234);
});

test("a download costs its bytes, and its limit is told in bytes", async () => {
  const answer = await ask(gateway.url, { target: "/downloads/bytes/16777216" });
  expect(valueOf(answer.headers, "ratelimit-policy")).toMatch(/^"traffic";q=1073741824;qu="content-bytes";w=3600;pk=/);
  const used = await vi.waitFor(async () => {
    const { remaining, outstanding } = await counterOf(answer, "route:/downloads");
    expect(outstanding).toBe(0);
    return 1_048_576 - Number(remaining);
  }, PATIENCE_MS);
  // 16 MiB of 1 KiB a token, of which 291 a second have come back.
  expect(used).toBeLessThanOrEqual(16_384);
  expect(used).toBeGreaterThan(16_384 - (291 * PATIENCE_MS) / 1000);
});

test("one budget is shared by routes that cost differently", async () => {
  const left: number[] = [];
  for (const route of ["read", "search", "ping", "ping"]) {
    const [item = ""] = limitsIn(await ask(gateway.url, { target: `/shared/${route}/a` }));
    left.push(Number(/^"default";r=(\d+)$/.exec(item)?.[1]));
  }
  const [read = 0, search = 0, ping = 0, again = 0] = left;
  expect(read).toBe(99);
  // A token and a half come back each second.
  expect(search).toBeGreaterThanOrEqual(89);
  expect(search).toBeLessThan(95);
  expect(ping).toBeGreaterThanOrEqual(search - 1);
  expect(again).toBeGreaterThanOrEqual(search - 1);
});

/** The items of `RateLimit`, without partition keys. */
function limitsIn({ headers }: RawAnswer): readonly string[] {
  return (valueOf(headers, "ratelimit") ?? "").split(", ").map((item) => item.replace(/;pk=:\w{24}:$/, ""));
}

/** Resolves once the owner of this counter has exactly so many tokens left for the client of an answer. */
async function left(answer: RawAnswer, policy: string, remaining: number): Promise<void> {
  await vi.waitFor(async () => expect(await counterOf(answer, policy)).toMatchObject({ remaining }), PATIENCE_MS);
}

/** What the owner says of one limit of the client of an answer. */
async function counterOf({ headers }: RawAnswer, policy: string): Promise<Record<string, unknown>> {
  const [, handle = ""] = /pk=:(\w{24}):/.exec(valueOf(headers, "ratelimit") ?? "") ?? [];
  const authorization = [`Authorization: Bearer ${gateway.adminToken}`];
  const answer = await ask(gateway.url, { target: `/admin/clients/${handle}`, headers: authorization });
  const { policies }: { policies: Record<string, unknown>[] } = JSON.parse(answer.body.toString("utf8"));
  const counter = policies.find((one) => one["policy"] === policy);
  if (counter === undefined) throw new Error(`nothing is known of ${policy}`);
  return counter;
}
