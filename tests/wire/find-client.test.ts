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

const KEYS_WANTED =
  "wanted by=ip, header:NAME, cookie:NAME, claim:NAME, route, principal or consumer with a value, " +
  "no-header:NAME and the like with an address, or all alone.";
const PAIRS_WANTED = "wanted a value after each by, and by=all alone without one.";

test.each([
  ["", `Got no by, ${KEYS_WANTED}`],
  ["by=ip", `Got 1 by and 0 value, ${PAIRS_WANTED}`],
  ["by=ip&value=nobody", 'value: got "nobody", wanted an IP address.'],
  ["by=no-cookie:SID&value=s1", 'value: got "s1", wanted an IP address.'],
  ["by=user&value=u1", `Got by=user, ${KEYS_WANTED}`],
  ["by=header:&value=t1", `Got by=header:, ${KEYS_WANTED}`],
  ["by=all&value=x", `Got by=all, ${KEYS_WANTED}`],
  ["by=ip&value=127.0.0.1&by=all", `Got 2 by and 1 value, ${PAIRS_WANTED}`],
])("?%s finds nobody, and says why: %s", async (query, detail) => {
  const answer = await find(query);
  expect(answer.status).toBe(400);
  expect(JSON.parse(answer.body.toString("utf8"))).toMatchObject({ code: "invalid-request", detail });
});

test("who is looked for by what no limit tells clients apart by is not found, with a note of what they do", async () => {
  const composed = "header:x-tenant, cookie:SID, ip";
  const note = (keys: string) =>
    `No limit tells clients apart by ${keys}. Limits do by: ip; all; route; header:x-tenant; cookie:SID; principal; ${composed}.`;
  expect(await found("by=cookie:sid&value=s1")).toEqual({ clients: [], note: note("cookie:sid") });
  expect(await found("by=ip&value=127.0.0.1&by=no-header:x-tenant&value=127.0.0.1")).toEqual({
    clients: [],
    note: note("ip, header:x-tenant"),
  });
  expect(await found("by=cookie:SID&value=never-seen")).toEqual({ clients: [] });
});

async function found(query: string): Promise<unknown> {
  return JSON.parse((await find(query)).body.toString("utf8"));
}

function find(query: string) {
  const headers = [`Authorization: Bearer ${gateway.adminToken}`];
  return ask(gateway.url, { target: `/admin/clients?${query}`, headers });
}
