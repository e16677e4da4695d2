import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseJsonc } from "../../schemas/document/parse-jsonc.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { valueOf } from "../support/message-head.ts";
import { send } from "../support/origin/act.ts";
import { Origin } from "../support/origin/origin.ts";
import { ask } from "../support/raw-client.ts";

/** More requests than any limit of the guide that is shown refusing lets through. */
const MANY = 20;

const guide = readFileSync(new URL("../../docs/guide/limits.md", import.meta.url), "utf8");
/** A configuration, and right after it a request with what its client is told. */
const pairs = [...guide.matchAll(/```jsonc\n([^`]*)```\n\n```http\n([^`]*)```/g)].map(
  ([, config = "", talk = ""]) => [config, talk] as const,
);

let origin: Origin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await Origin.start();
  const routes = pairs.flatMap(([config]) => routesOf(config));
  gateway = await startGateway({ config: { allowPrivateTargets: true, routes } });
  origin.answer("/wrong", send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"));
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

/** In front of this test's origin; only owners decide, however busy the machine is. */
function routesOf(config: string): readonly unknown[] {
  const text = JSON.stringify(parseJsonc(config).value)
    .replaceAll(/https:\/\/\w+\.example\.com/g, origin.url)
    .replaceAll(/"(?=requestsPerWindow|maxConcurrent)/g, '"deadline":"20s","');
  const { routes }: { routes: readonly unknown[] } = JSON.parse(text);
  return routes;
}

test.each(pairs.map(([, talk]) => [talk.split("\n")[0] ?? "", talk]))(
  "%s is answered as the guide says",
  async (_, talk) => {
    const [asked = "", shown = ""] = talk.split("\n\n");
    const [requestLine = "", ...headers] = asked.trim().split("\n");
    const [statusLine = "", ...fields] = shown.trim().split("\n");
    const [, target = ""] = requestLine.split(" ");
    const status = Number(statusLine.split(" ")[1]);

    let answer = await ask(gateway.url, { target, headers });
    for (let more = 0; more < MANY && answer.status !== status; more += 1) {
      answer = await ask(gateway.url, { target, headers });
    }

    const told = fields.map((field) => {
      const [name = ""] = field.split(":");
      return `${name}: ${valueOf(answer.headers, name.toLowerCase()) ?? ""}`;
    });
    expect([answer.status, ...told.map(withoutVariables)]).toEqual([status, ...fields]);
  },
);

test("the guide's commands find a client and steer it", async () => {
  const headers = [`X-Admin-Key: ${gateway.adminToken}`];
  const limits = valueOf((await ask(gateway.url, { target: "/search/a" })).headers, "ratelimit") ?? "";
  const [, handle = ""] = /pk=:(\w+):/.exec(limits) ?? [];
  const commands = [
    ...guide.matchAll(/^curl -s (?:-X (\w+) )?-H "[^"]+" "http:\/\/127\.0\.0\.1:8787([^"]+)"(?: -d '([^']+)')?$/gm),
  ];
  const outcomes = [];
  for (const [, method = "GET", path = "", body] of commands) {
    const asked = { method, target: path.replace("$ID", handle), headers };
    const answer = await ask(gateway.url, body === undefined ? asked : { ...asked, body });
    outcomes.push([method, path.split("?")[0], answer.status]);
  }
  expect(outcomes).toEqual([
    ["GET", "/admin/clients/$ID", 200],
    ["GET", "/admin/clients", 200],
    ["GET", "/admin/clients", 200],
    ["POST", "/admin/clients/$ID/grant", 200],
    ["POST", "/admin/clients/$ID/reset", 200],
    ["POST", "/admin/clients/$ID/ban", 200],
    ["POST", "/admin/clients/$ID/unban", 200],
  ]);
});

/** What differs from run to run, as the guide leaves it out. */
function withoutVariables(field: string): string {
  return field
    .replaceAll(/pk=:\w{24}:/g, "pk=:...:")
    .replaceAll(/;t=\d+/g, ";t=...")
    .replace(/^(Retry-After): \d+$/, "$1: ...");
}
