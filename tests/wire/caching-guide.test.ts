import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parseConfig } from "../../schemas/index.ts";
import { parseJsonc } from "../../schemas/document/parse-jsonc.ts";
import * as client from "../support/cache-client.ts";
import { startCountingOrigin, type CountingOrigin } from "../support/counting-origin.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";

const guide = readFileSync(new URL("../../docs/guide/caching.md", import.meta.url), "utf8");
const configs = [...guide.matchAll(/```jsonc\n([^`]*)```/g)].map(([, config = ""]) => config);
const talks = [...guide.matchAll(/```http\n([^`]*)```/g)].map(([, talk = ""]) => talk);

let origin: CountingOrigin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await startCountingOrigin();
  const routes = configs.flatMap((text) => documentOf(text).routes);
  gateway = await startGateway({ config: { allowPrivateTargets: true, routes } });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

/** A document of the guide, with a target of ours. */
function documentOf(text: string): { routes: unknown[] } {
  const parsed = parseJsonc(text.replaceAll(/https:\/\/[\w-]+\.example\.com/g, origin.url));
  if (parsed.problems.length > 0) throw new Error(`a document of the guide is no JSONC: ${text}`);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the gateway refuses to start with anything else
  return parsed.value as { routes: unknown[] };
}

it("shows documents that load without a warning", () => {
  expect(configs.length).toBe(4);
  for (const text of configs) {
    const result = parseConfig({ allowPrivateTargets: true, ...documentOf(text) });
    expect(result).toMatchObject({ ok: true, warnings: [] });
  }
});

it("shows what clients get", async () => {
  expect(talks.length).toBe(2);
  for (const talk of talks) {
    const [request = "", answer = ""] = talk.split("\n\n");
    const [method = "", path = ""] = request.split(" ");
    const [status = "", ...fields] = answer.trim().split("\n");
    const isHit = answer.includes("X-Cache: HIT");
    const got = isHit ? await client.kept(gateway.url, path) : await client.get(gateway.url, path, { method });
    expect(got.status).toBe(Number(status.split(" ")[1]));
    for (const field of fields) {
      const [name = "", value = ""] = field.split(": ");
      expect(timeless(String(got.headers[name.toLowerCase()]))).toBe(timeless(value));
    }
  }
});

/** What is left of a time depends on when it is asked. */
function timeless(value: string): string {
  return value.replace(/ttl=\d+/, "ttl").replace(/^\d$/, "age");
}
