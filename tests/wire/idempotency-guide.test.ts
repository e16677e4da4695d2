import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it, test } from "vitest";
import { parseConfigText } from "../../schemas/index.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { valueOf } from "../support/message-head.ts";
import { type Act, send } from "../support/origin/act.ts";
import { Origin } from "../support/origin/origin.ts";
import { ask } from "../support/raw-client.ts";

const guide = readFileSync(new URL("../../docs/guide/idempotency.md", import.meta.url), "utf8");
const configs = [...guide.matchAll(/```json\n([^`]*)```/g)].map(([, config = ""]) => config);
const talks = [...guide.matchAll(/```http\n([^`]*)```/g)].map(([, talk = ""]) => [talk]);

let origin: Origin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await Origin.start();
  origin.answer("/orders", numbered());
  const [first = ""] = configs;
  const config: Record<string, unknown> = JSON.parse(first.replace("https://shop.example.com", origin.url));
  gateway = await startGateway({ config: { allowPrivateTargets: true, ...config } });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

/** Each order has a number of its own. */
function numbered(): Act {
  let orders = 0;
  return (peer) => {
    orders += 1;
    return send(`HTTP/1.1 201 Created\r\nLocation: /orders/${orders}\r\nContent-Length: 0\r\n\r\n`)(peer);
  };
}

test.each(configs.map((config) => [config]))("a configuration of the guide loads:\n%s", (config) => {
  const result = parseConfigText(config);
  const noRoutes = { path: "routes", message: expect.stringContaining("no routes") };
  expect(result).toEqual({
    ok: true,
    config: expect.anything(),
    warnings: config.includes("routes") ? [] : [noRoutes],
  });
});

it("the guide's command makes one order, however often it is given", async () => {
  const [, target = "", header = "", body = ""] =
    /^curl -i -X POST http:\/\/127\.0\.0\.1:8787(\S+) -H '([^']+)' -d '([^']+)'$/m.exec(guide) ?? [];
  const first = await ask(gateway.url, { method: "POST", target, headers: [header], body });
  expect([first.status, valueOf(first.headers, "idempotent-replayed")]).toEqual([201, undefined]);
});

test.each(talks)("is answered as the guide says:\n%s", async (talk) => {
  const [head = "", body = "", shown = ""] = talk.split("\n\n");
  const [requestLine = "", ...headers] = head.split("\n");
  const [method = "", target = ""] = requestLine.split(" ");
  const [statusLine = "", ...fields] = shown.trim().split("\n");
  const answer = await ask(gateway.url, { method, target, headers, body });
  const told = fields.map((field) => {
    const [name = ""] = field.split(":");
    return `${name}: ${valueOf(answer.headers, name) ?? ""}`;
  });
  expect([answer.status, ...told]).toEqual([Number(statusLine.split(" ")[1]), ...fields]);
  expect(origin.seen).toHaveLength(1);
});
