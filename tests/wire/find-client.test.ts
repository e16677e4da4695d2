import { afterAll, beforeAll, expect, test } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { valueOf } from "../support/message-head.ts";
import { Origin } from "../support/origin/origin.ts";
import { ask } from "../support/raw-client.ts";

const KEYS = {
  address: "ip",
  everybody: "all",
  route: "route",
  header: "header:X-Tenant",
  cookie: "cookie:SID",
  principal: "principal",
  composed: ["header:X-Tenant", "cookie:SID", "ip"],
};

let origin: Origin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await Origin.start();
  const limit = { requestsPerWindow: 100, windowSeconds: 3600, mode: "strict", onError: "closed", deadline: "20s" };
  const routes = Object.entries(KEYS).flatMap(([id, by]) =>
    (["pooled", "own"] as const).map((clients) => {
      const rateLimit = { name: "found", by, clients };
      return {
        id: `${id}-${clients}`,
        prefix: `/${id}/${clients}`,
        target: origin.url,
        rateLimit: Object.assign(rateLimit, limit),
      };
    }),
  );
  gateway = await startGateway({ config: { allowPrivateTargets: true, routes } });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

const TENANT = "X-Tenant: t1";
const SESSION = "Cookie: SID=s1";

test.each([
  ["address/pooled", [], "by=ip&value=127.0.0.1"],
  ["address/own", [], "by=ip&value=::ffff:127.0.0.1"],
  ["everybody/pooled", [], "by=all"],
  ["route/pooled", [], "by=route&value=route-pooled"],
  ["header/pooled", [TENANT], "by=header:x-TENANT&value=t1"],
  ["header/own", [TENANT], "by=header:X-Tenant&value=t1"],
  ["header/own", [], "by=no-header:X-Tenant&value=127.0.0.1"],
  ["cookie/pooled", [SESSION], "by=cookie:SID&value=s1"],
  ["cookie/pooled", [], "by=no-cookie:SID&value=127.0.0.1"],
  ["principal/own", [], "by=no-principal&value=127.0.0.1"],
  ["composed/pooled", [TENANT, SESSION], "by=header:x-tenant&value=t1&by=cookie:SID&value=s1&by=ip&value=127.0.0.1"],
])("a client of %s with %j is found by ?%s", async (path, headers, query) => {
  const answer = await ask(gateway.url, { target: `/${path}/a`, headers });
  const [, handle] = /pk=:(\w{24}):/.exec(valueOf(answer.headers, "ratelimit") ?? "") ?? [];
  const found = await find(query);
  expect(found.status).toBe(200);
  const { clients }: { clients: object[] } = JSON.parse(found.body.toString("utf8"));
  expect(clients).toContainEqual(expect.objectContaining({ client: handle }));
});

test.each([
  "",
  "by=ip",
  "by=ip&value=nobody",
  "by=no-cookie:SID&value=s1",
  "by=user&value=u1",
  "by=header:&value=t1",
  "by=all&value=x",
  "by=ip&value=127.0.0.1&by=all",
])("?%s finds nobody, and says what is wanted", async (query) => {
  const answer = await find(query);
  expect(answer.status).toBe(400);
  expect(JSON.parse(answer.body.toString("utf8"))).toMatchObject({
    code: "invalid-request",
    detail: expect.stringMatching(/wanted/i),
  });
});

function find(query: string) {
  const headers = [`Authorization: Bearer ${gateway.adminToken}`];
  return ask(gateway.url, { target: `/admin/clients?${query}`, headers });
}
