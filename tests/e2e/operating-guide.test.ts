import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { eventually } from "../support/backend-fleet.ts";
import { type FickleOrigin, startFickleOrigin } from "../support/failing-target-owner.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";

const guide = readFileSync(new URL("../../docs/guide/operating.md", import.meta.url), "utf8");

let origin: FickleOrigin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await startFickleOrigin();
  gateway = await startGateway({
    config: {
      allowPrivateTargets: true,
      backends: {
        shop: {
          // Answers 500 to requests, and 200 to checks.
          targets: [{ url: `${origin.url}/fail` }],
          healthCheck: { path: "/healthz" },
          circuitBreaker: { failureThreshold: 5 },
        },
      },
      routes: [{ id: "shop", prefix: "/shop", backend: "shop" }],
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

it("the operating guide shows what is answered about a backend", async () => {
  let answer: unknown;
  await eventually("the breaker to open and the target to be checked", async () => {
    await (await fetch(`${gateway.url}/shop`)).text();
    const path = "/admin/backends/shop";
    const response = await fetch(gateway.url + path, { headers: { "x-admin-key": gateway.adminToken } });
    const text = await response.text();
    answer = JSON.parse(text);
    return /"state": "open"/.test(text) && /"status": 200/.test(text);
  });
  const [, example = ""] = /### Backends[^]*?```json\n([^]*?)```/.exec(guide) ?? [];
  expect(typesIn(answer)).toEqual(typesIn(JSON.parse(example)));
});

/** The same with its type in the place of each value, but for settings and states, which are to be right. */
function typesIn(value: unknown): unknown {
  const isVolatile = (key: string) => /^(?:url|at|since|remainingMs|isolates|window|durationMs|checks)$/.test(key);
  return JSON.parse(JSON.stringify(value), (key, held: unknown) => (isVolatile(key) ? typeof held : held));
}
