import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { parseConfig } from "../../schemas/index.ts";
import { admin } from "../../worker/admin/index.ts";
import { compileConfig } from "../../worker/config/compile.ts";
import { problemResponse } from "../../worker/problem.ts";

function active() {
  const target = "https://shop.example.com";
  const targets = [{ url: target }];
  const result = parseConfig({
    backends: { one: { targets }, two: { targets }, three: { targets } },
    routes: [
      { id: "kept", prefix: "/kept", target, cache: true },
      { id: "tried", prefix: "/tried", backend: "one", canary: { variants: [{ backend: "two", percent: 5 }] } },
      {
        id: "several",
        prefix: "/several",
        backend: "one",
        canary: { variants: ["two", "three"].map((backend) => ({ backend, percent: 5 })) },
      },
    ],
  });
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return compileConfig(result.config, { version: 1, source: "default", text: "{}", warnings: [], platform: "socket" });
}

/** What an operator is told. */
async function told(method: string, path: string, body?: string): Promise<unknown> {
  const url = new URL(path, "http://gateway.test");
  const request = new Request(url, {
    method,
    headers: { "x-admin-key": "token" },
    ...(body === undefined ? {} : { body }),
  });
  const canonical = { method, scheme: "http", host: url.host, path: url.pathname, query: url.search } as const;
  const answer = admin(request, canonical, { ...env, SLUICE_ADMIN_TOKEN: "token" }, active(), createExecutionContext());
  const response = await answer.catch((error: unknown) => problemResponse(error, "id"));
  const { detail } = await response.json<{ detail?: string }>();
  return [response.status, detail];
}

const URL_WANTED =
  "wanted a whole URL of a route that keeps responses, such as https://shop.example.com/shoes?size=43: the request target is not a URL.";
const ONE_WANTED = 'wanted exactly one of prefix, tag, key, route, all, and "soft" beside it if need be.';

it.each<[string, string | undefined, number, string]>([
  ["GET /admin/cache/entry", undefined, 400, `url: got nothing, ${URL_WANTED}`],
  ["GET /admin/cache/entry?url=/kept", undefined, 400, `url: got "/kept", ${URL_WANTED}`],
  ["POST /admin/cache/warm", '{"urls": ["/kept"]}', 400, `urls: got "/kept", ${URL_WANTED}`],
  ["POST /admin/cache/warm", "x", 400, "the body: got text that is not JSON, wanted a JSON object."],
  [
    "POST /admin/cache/warm",
    '{"urls": ["/kept"], "Headers": {}}',
    400,
    'Headers: got the key "Headers", wanted a known key; did you mean "headers"?',
  ],
  ["POST /admin/cache-invalidate", undefined, 400, `query: got nothing, ${ONE_WANTED}`],
  ["POST /admin/cache-invalidate?tag=a&tag=b", undefined, 400, `query: got tag, tag, ${ONE_WANTED}`],
  [
    "POST /admin/cache-invalidate?prefix=get::/a",
    undefined,
    400,
    'prefix: got "get::/a", wanted METHOD:HOST:PATH, such as GET::/api or GET:shop.example.com:/api, the method in capitals.',
  ],
  [
    "POST /admin/cache-invalidate?route=keep",
    undefined,
    404,
    'Got "keep", wanted the id of a route; GET /admin/config shows them.',
  ],
  [
    "POST /admin/canary/several/promote",
    undefined,
    400,
    'variant: got nothing, wanted one of "control", "two", "three".',
  ],
  [
    "POST /admin/canary/tried/promote",
    '{"variant": "three"}',
    400,
    'variant: got "three", wanted one of "control", "two".',
  ],
  [
    "POST /admin/canary/tried/reset",
    '{"variant": "two"}',
    400,
    'variant: got the key "variant", wanted no variant: a reset is one of all of them.',
  ],
])("%s %s is told what was wanted", async (order, body, status, detail) => {
  const [method = "", path = ""] = order.split(" ");
  expect(await told(method, path, body)).toEqual([status, detail]);
});
