import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseJsonc } from "../../schemas/document/parse-jsonc.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { valueOf } from "../support/message-head.ts";
import { send, type Act } from "../support/origin/act.ts";
import { Origin } from "../support/origin/origin.ts";
import { ask } from "../support/raw-client.ts";

/** More requests than it takes to open any breaker of the guide. */
const MANY = 20;
const WELL = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const BROKEN = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno";
const BUSY = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno";

const guide = readFileSync(new URL("../../docs/guide/backends.md", import.meta.url), "utf8");
const hosts = [...new Set(guide.match(/https:\/\/[\w-]+\.example\.com/g))];
const configs = [...guide.matchAll(/```jsonc\n([^`]*)```/g)].map(([, config = ""]) => config);
const talks = [...guide.matchAll(/```http\n([^`]*)```/g)].map(([, talk = ""]) => [talk.split("\n")[0] ?? "", talk]);

/** One for each host that the guide names. */
const origins = new Map<string, Origin>();
let gateway: Gateway;

beforeAll(async () => {
  const flaky = onceBusy();
  for (const host of hosts) {
    const origin = await Origin.start();
    origins.set(host, origin);
    origin.answer("/failing", send(host.includes("mirror") ? WELL : BROKEN));
    origin.answer("/flaky", flaky);
  }
  const parts = configs.map(partsOf);
  const routes = parts.flatMap((part) => part.routes);
  const named = parts.flatMap((part) => Object.entries(part.backends ?? {}));
  expect(new Set(named.map(([name]) => name)).size).toBe(named.length);
  gateway = await startGateway({
    config: { allowPrivateTargets: true, backends: Object.fromEntries(named), routes },
  });
});

afterAll(async () => {
  await gateway?.stop();
  for (const origin of origins.values()) await origin.stop();
});

test.each(talks)("%s is answered as the guide says", async (_, talk) => {
  const [asked = "", shown = ""] = talk.split("\n\n");
  const [statusLine = "", ...fields] = shown.trim().split("\n");
  const [, target = ""] = asked.split(" ");
  const status = Number(statusLine.split(" ")[1]);

  let answer = await ask(gateway.url, { target });
  for (let more = 0; more < MANY && target.endsWith("/failing") && answer.status !== status; more += 1) {
    expect(answer.status).toBe(500);
    answer = await ask(gateway.url, { target });
  }

  const told = fields.map((field) => {
    const [name = ""] = field.split(":");
    return withoutVariables(`${name}: ${valueOf(answer.headers, name.toLowerCase()) ?? ""}`);
  });
  expect([answer.status, ...told]).toEqual([status, ...fields]);
});

test("what is tried again is told in the log, and reaches an origin twice", async () => {
  const seen = [...origins.values()].flatMap((origin) => origin.seenAt("/flaky"));
  expect(seen).toHaveLength(2);
  await expect
    .poll(() => gateway.logs().find(({ path }) => path === "/prices/flaky"), { timeout: 15_000 })
    .toMatchObject({ status: 200, tries: 2, retried: ["503"] });
});

test("the guide's commands show backends and steer them", async () => {
  const headers = [`X-Admin-Key: ${gateway.adminToken}`];
  const commands = [
    ...guide.matchAll(/^curl -s (?:-X (\w+) )?-H "[^"]+" "http:\/\/127\.0\.0\.1:8787([^"]+)"(?: -d '([^']+)')?$/gm),
  ];
  const outcomes = [];
  for (const [, method = "GET", target = "", body] of commands) {
    const asked = { method, target, headers };
    const answer = await ask(gateway.url, body === undefined ? asked : { ...asked, body: inFront(body) });
    outcomes.push([method, target, answer.status]);
  }
  expect(outcomes).toEqual([
    ["GET", "/admin/backends", 200],
    ["GET", "/admin/backends/shop", 200],
    ["GET", "/admin/circuit-breaker-status", 200],
    ["POST", "/admin/backends/shop/drain", 200],
    ["POST", "/admin/backends/shop/open", 200],
    ["POST", "/admin/backends/shop/close", 200],
    ["POST", "/admin/backends/shop/auto", 200],
    ["POST", "/admin/circuit-breaker-reset?backend=shop", 200],
  ]);
});

/** Busy for the first request that any of the origins gets. */
function onceBusy(): Act {
  let isBusy = true;
  return (peer) => {
    const answer = isBusy ? BUSY : WELL;
    isBusy = false;
    return peer.send(answer);
  };
}

function partsOf(config: string): { readonly backends?: Record<string, unknown>; readonly routes: readonly unknown[] } {
  return JSON.parse(inFront(JSON.stringify(parseJsonc(config).value)));
}

/** With this test's origins for the guide's. */
function inFront(text: string): string {
  return text.replaceAll(/https:\/\/[\w-]+\.example\.com/g, (host) => origins.get(host)?.url ?? host);
}

/** What differs from run to run, as the guide leaves it out. */
function withoutVariables(field: string): string {
  return field.replace(/^(Retry-After): \d+$/, "$1: ...").replace(/sluice_target=[^;]+/, "sluice_target=...");
}
