import { afterAll, beforeAll, expect, it } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { send } from "../support/origin/act.ts";
import { Origin } from "../support/origin/origin.ts";
import { ask } from "../support/raw-client.ts";

/** Whether a 503 with this is a plea for less, which opens no breaker, or a failure. */
const RETRY_AFTER: readonly (readonly [lines: string, meaning: "plea" | "failure"])[] = [
  ["Retry-After: 120", "plea"],
  ["Retry-After: 0", "plea"],
  ["Retry-After: Fri, 31 Dec 2100 23:59:59 GMT", "plea"],
  ["X-Other: 1", "failure"],
  ["Retry-After: soon", "failure"],
  ["Retry-After:", "failure"],
  ["Retry-After: -1", "failure"],
  ["Retry-After: 1\r\nRetry-After: 2", "failure"],
];

let origin: Origin;
let gateway: Gateway;

beforeAll(async () => {
  origin = await Origin.start();
  for (const [index, [lines]] of RETRY_AFTER.entries()) {
    origin.answer(`/${index}/busy`, send(`HTTP/1.1 503 Busy\r\n${lines}\r\nContent-Length: 0\r\n\r\n`));
  }
  gateway = await startGateway({
    config: {
      allowPrivateTargets: true,
      circuitBreaker: { failureThreshold: 1 },
      routes: RETRY_AFTER.map((_, index) => ({ prefix: `/${index}`, target: `${origin.url}/${index}` })),
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await origin?.stop();
});

it.each(RETRY_AFTER.map(([lines, meaning], index) => ({ lines: JSON.stringify(lines), meaning, index })))(
  "a 503 with $lines is a $meaning",
  async ({ meaning, index }) => {
    expect((await ask(gateway.url, { target: `/${index}/busy` })).status).toBe(503);
    const { status } = await ask(gateway.url, { target: `/${index}/other` });
    expect(status).toBe(meaning === "plea" ? 200 : 503);
  },
);
