import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { addresses } from "../../objects/address.ts";
import type { LimitKey } from "../../schemas/index.ts";
import type { Exchange } from "../../worker/exchange.ts";
import { clientAddress } from "../../worker/limits/client-address.ts";
import { readFields } from "../../worker/request-fields.ts";
import { exchangeFor } from "./exchange.ts";

const SECRET = "0123456789abcdef";

interface Sent {
  readonly headers?: Record<string, string>;
  readonly identified?: Pick<Exchange, "consumer" | "claims"> & { readonly principal?: string };
}

const cookie = { kind: "cookie", name: "sid" } as const;
const key = { kind: "header", name: "x-api-key" } as const;
const tenant = { kind: "claim", name: "tenant" } as const;
const principal = { kind: "principal" } as const;
const consumer = { kind: "consumer" } as const;
const ip = { kind: "ip" } as const;
const route = { kind: "route" } as const;

it.each<[string, readonly LimitKey[], Sent, readonly string[]]>([
  ["address", [ip], {}, ["ip", "192.0.2.1"]],
  ["cookie", [cookie], { headers: { cookie: "x=1; sid=abc" } }, ["cookie:sid", "abc"]],
  ["absent cookie", [cookie], { headers: { cookie: "x=1" } }, ["no-cookie:sid", "192.0.2.1"]],
  ["header", [key], { headers: { "x-api-key": "k" } }, ["header:x-api-key", "k"]],
  ["empty header", [key], { headers: { "x-api-key": "" } }, ["no-header:x-api-key", "192.0.2.1"]],
  [
    "header that stays with the gateway",
    [key],
    { headers: { "x-api-key": "k", connection: "x-api-key" } },
    ["no-header:x-api-key", "192.0.2.1"],
  ],
  [
    "composed keys in their order",
    [route, cookie],
    { headers: { cookie: "sid=abc" } },
    ["route", "r", "cookie:sid", "abc"],
  ],
  [
    "composed keys in another order",
    [cookie, route],
    { headers: { cookie: "sid=abc" } },
    ["cookie:sid", "abc", "route", "r"],
  ],
  ["principal", [principal], { identified: { principal: "key:7" } }, ["principal", "key:7"]],
  ["consumer", [consumer], { identified: { consumer: "acme" } }, ["consumer", "acme"]],
  ["text claim", [tenant], { identified: { claims: { tenant: "t1" } } }, ["claim:tenant", "t1"]],
  ["number claim", [tenant], { identified: { claims: { tenant: 7 } } }, ["claim:tenant", "7"]],
])("a client is told apart by its %s", async (_, by, sent, parts) => {
  const expected = await addresses(SECRET).addressClient({ parts, clients: "own", continent: undefined });
  const pooled = await addresses(SECRET).addressClient({ parts, clients: "pooled", continent: undefined });
  expect(await clientAddress(sendingAs(sent), by, "own")).toEqual(expected);
  expect(await clientAddress(sendingAs(sent), by, "pooled")).toEqual(pooled);
});

it.each<[string, readonly LimitKey[], Sent, readonly string[]]>([
  ["principal", [principal], {}, ["no-principal", "192.0.2.1"]],
  ["consumer", [consumer], {}, ["no-consumer", "192.0.2.1"]],
  ["claim", [tenant], { identified: { claims: {} } }, ["no-claim:tenant", "192.0.2.1"]],
  [
    "claim of its own",
    [{ kind: "claim", name: "toString" }],
    { identified: { claims: {} } },
    ["no-claim:toString", "192.0.2.1"],
  ],
  ["claim that is a list", [tenant], { identified: { claims: { tenant: ["t1"] } } }, ["no-claim:tenant", "192.0.2.1"]],
  [
    "principal beside a header",
    [key, principal],
    { headers: { "x-api-key": "k" } },
    ["header:x-api-key", "k", "no-principal", "192.0.2.1"],
  ],
])(
  "a client without the %s it should have is its address, and pooled whatever is configured",
  async (_, by, sent, parts) => {
    const expected = await addresses(SECRET).addressClient({ parts, clients: "pooled", continent: undefined });
    expect(await clientAddress(sendingAs(sent), by, "own")).toEqual(expected);
  },
);

it("a client that is its address is counted on its continent, any other everywhere", async () => {
  const european = { cf: { continent: "EU" } };
  const placed = async (by: readonly LimitKey[], headers: Record<string, string>) => {
    const exchange = sendingAs({ headers }, european);
    return (await clientAddress(exchange, by, "pooled")).locationHint;
  };
  expect(await placed([ip], {})).toBe("weur");
  expect(await placed([cookie], {})).toBe("weur");
  expect(await placed([cookie], { cookie: "sid=abc" })).toBeUndefined();
});

function sendingAs({ headers = {}, identified = {} }: Sent, init: RequestInit = {}): Exchange {
  const request: Exchange["request"] = new Request("http://gateway.test/", { headers, ...init });
  const exchange = exchangeFor({ prefix: "/" }, { ...env, NAMING_SECRET: SECRET });
  return { ...exchange, request, fields: readFields(request.headers), ...identified };
}
