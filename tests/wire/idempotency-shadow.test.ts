import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { afterAll, beforeAll, expect, it } from "vitest";
import { get } from "../support/cache-client.ts";
import { startCountingOrigin, type CountingOrigin } from "../support/counting-origin.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";

let origin: CountingOrigin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await startCountingOrigin();
  const idempotency = { shadow: true, required: true };
  const routes = [{ id: "shadow", prefix: "/shadow", target: `${origin.url}/shadow`, idempotency }];
  gateway = await startGateway({ config: { allowPrivateTargets: true, routes } });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

const post = (path: string, key: string | undefined, body: string) =>
  get(gateway.url, path, { method: "POST", body, headers: key === undefined ? {} : { "idempotency-key": key } });

it("sends everything, and names in the log what would not have been", async () => {
  const path = "/shadow/all";
  origin.on(path, (_request, nth) => ({ status: nth === 1 ? 201 : 200, body: `made ${nth}` }));
  const shadowed = () =>
    gateway.logs().flatMap((line) => (line["path"] === path ? [JSON.stringify(line["shadowed"] ?? [])] : []));
  const first = await post(path, "k", "a");
  // What came of it is told behind the answer.
  const again = async () => (await post(path, "k", "a"), shadowed());
  await expect.poll(again, { timeout: 20_000 }).toContain('["idempotency-replayed"]');
  const others = [await post(path, "k", "b"), await post(path, undefined, "a")];
  expect([first, ...others].map(({ status, headers }) => [status, headers["idempotent-replayed"]])).toEqual([
    [201, undefined],
    [200, undefined],
    [200, undefined],
  ]);
  await expect
    .poll(shadowed, { timeout: 20_000 })
    .toEqual(expect.arrayContaining(["[]", '["idempotency-key-reused"]', '["idempotency-key-missing"]']));
});

it("gives an answer as it comes", async () => {
  const path = "/shadow/streamed";
  const { promise: until, resolve: end } = Promise.withResolvers<void>();
  origin.on(path, { held: { after: 5, until }, headers: { "content-type": "text/event-stream" }, body: "first, last" });
  const headers = { host: "gateway.test", "idempotency-key": "streamed" };
  const asking = httpRequest(gateway.url + path, { method: "POST", headers, agent: false });
  asking.end("a");
  const [answer]: IncomingMessage[] = await once(asking, "response");
  if (answer === undefined) throw new Error("there is no answer");
  const [begun]: Buffer[] = await once(answer, "data");
  expect(begun?.toString()).toBe("first");
  end();
  let rest = "";
  for await (const chunk of answer) rest += String(chunk);
  expect(rest).toBe(", last");
});
