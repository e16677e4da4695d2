import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { valueOf } from "../support/message-head.ts";
import { send } from "../support/origin/act.ts";
import { Origin } from "../support/origin/origin.ts";
import { ask } from "../support/raw-client.ts";

/** Log lines come over a pipe, some time after the answers. */
const PATIENCE_MS = 15_000;
// Nothing comes back while a test runs, and only the owner may decide, however busy the machine is.
const one = { name: "one", requestsPerWindow: 1, windowSeconds: 31_536_000, onError: "closed", deadline: "20s" };
const other = { ...one, name: "other", by: "all", requestsPerWindow: 100 };

/** A limit of one in shadow mode, by every way to decide, alone and beside a limit that is in force. */
const LIMITS: Readonly<Record<string, readonly object[]>> = {
  leased: [{ ...one, shadow: true }],
  strict: [{ ...one, mode: "strict", shadow: true }],
  sliding: [{ ...one, algorithm: "sliding-window", shadow: true }],
  approximate: [{ ...one, algorithm: "approximate-sliding-window", shadow: true }],
  quota: [{ ...one, algorithm: "fixed-window", shadow: true }],
  counted: [{ ...one, countWhen: "2xx", shadow: true }],
  settled: [{ ...one, settle: { header: "X-Tokens" }, shadow: true }],
  beside: [
    { ...one, shadow: true },
    { ...other, by: "ip" },
  ],
  "beside-another-owner": [{ ...one, shadow: true }, other],
  "beside-asked": [
    { ...one, mode: "strict", shadow: true },
    { ...other, mode: "strict" },
  ],
};

let origin: Origin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await Origin.start();
  origin.answer("/ok", send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  const routes = Object.entries(LIMITS).map(([id, rateLimits]) => ({
    id,
    prefix: `/${id}`,
    target: origin.url,
    rateLimits,
  }));
  const keys = { id: "keys", prefix: "/keys", target: origin.url, idempotency: { required: true, shadow: true } };
  gateway = await startGateway({ config: { allowPrivateTargets: true, routes: [...routes, keys] } });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

test.each(Object.keys(LIMITS))(
  "a limit in shadow mode (%s) reports what it would have refused, and is not seen",
  async (id) => {
    const answers = [];
    for (let index = 0; index < 4; index += 1) answers.push(await ask(gateway.url, { target: `/${id}/ok` }));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    const told = answers.map(({ headers }) => valueOf(headers, "ratelimit")?.match(/"\w+";r=\d+/g) ?? []);
    const inForce = id.startsWith("beside") ? ['"other";r=99', '"other";r=98', '"other";r=97', '"other";r=96'] : [];
    expect(told.flat()).toEqual(inForce);
    await vi.waitFor(() => {
      const logged = gateway.logs().filter(({ path }) => path === `/${id}/ok`);
      const policy = `route:${id}:one`;
      expect(logged.map(({ shadowed }) => shadowed ?? "no")).toEqual(["no", [policy], [policy], [policy]]);
    }, PATIENCE_MS);
  },
);

test("idempotency keys in shadow mode are reported, and every request is sent", async () => {
  const post = (key: string | undefined, body: string) =>
    ask(gateway.url, {
      method: "POST",
      target: "/keys/ok",
      headers: key === undefined ? [] : [`Idempotency-Key: ${key}`],
      body,
    });
  const seen = origin.seen.length;
  const answers = [];
  const asked = [
    [undefined, "a"],
    ['"k"', "a"],
    ['"k"', "a"],
    ['"k"', "b"],
    ['"broken', "a"],
  ] as const;
  for (const [key, body] of asked) answers.push(await post(key, body));
  expect(answers.map(({ status, headers }) => [status, valueOf(headers, "idempotent-replayed")])).toEqual(
    asked.map(() => [200, undefined]),
  );
  expect(origin.seen.length - seen).toBe(5);
  await vi.waitFor(() => {
    const logged = gateway.logs().filter(({ path }) => path === "/keys/ok");
    expect(logged.map(({ shadowed }) => shadowed ?? "no")).toEqual([
      ["idempotency-key-missing"],
      "no",
      ["idempotency-replayed"],
      ["idempotency-key-reused"],
      ["idempotency-invalid-request"],
    ]);
  }, PATIENCE_MS);
});
