import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { startCountingOrigin, type CountingOrigin } from "../support/counting-origin.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";

/** Log lines and figures come some time after the answers. */
const PATIENCE = { timeout: 15_000 };
const ORIGIN_MS = 100;

let origin: CountingOrigin;
let other: CountingOrigin;
let gateway: Gateway;

beforeAll(async () => {
  [origin, other] = await Promise.all([startCountingOrigin(), startCountingOrigin()]);
  gateway = await startGateway({
    config: {
      allowPrivateTargets: true,
      batch: { maxBodySize: "64KiB", maxAnswerSize: "64KiB" },
      backends: {
        plain: { targets: [{ url: origin.url }] },
        tried: { targets: [{ url: origin.url }], retry: { statuses: [599] } },
        hung: { targets: [{ url: other.url }] },
      },
      routes: [
        { id: "plain", prefix: "/plain", backend: "plain" },
        { id: "tried", prefix: "/tried", backend: "tried" },
        { id: "hung", prefix: "/hung", backend: "hung", timeouts: { headers: "5s" } },
        {
          id: "limited",
          prefix: "/limited",
          backend: "plain",
          rateLimit: { requestsPerWindow: 2, windowSeconds: 31_536_000, onError: "closed", deadline: "20s" },
        },
      ],
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  await Promise.all([origin?.stop(), other?.stop()]);
});

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly encoding?: string;
}

function post(requests: readonly object[], headers: Readonly<Record<string, string>> = {}): Promise<Response> {
  return fetch(`${gateway.url}/batch`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ requests }),
  });
}

async function batch(requests: readonly object[], headers?: Readonly<Record<string, string>>) {
  const response = await post(requests, headers);
  expect([response.status, response.headers.get("content-type")]).toEqual([200, "application/json"]);
  const { responses }: { responses: readonly Answer[] } = await response.json();
  return responses;
}

/** What an isolate's pools came to, of one backend. */
async function poolOf(backend: string): Promise<Record<string, unknown> | undefined> {
  const response = await fetch(`${gateway.url}/admin/egress`, {
    headers: { authorization: `Bearer ${gateway.adminToken}` },
  });
  const { pools }: { pools: readonly Record<string, unknown>[] } = await response.json();
  return pools.find((pool) => pool["backend"] === backend);
}

/** Answers a path after a while, and tells how many waited for that at once, at most. */
function slowly(path: string, ms: number): { readonly most: () => number } {
  let waiting = 0;
  let most = 0;
  origin.on(path, () => {
    waiting += 1;
    most = Math.max(most, waiting);
    const after = new Promise<void>((resolve) => {
      setTimeout(() => {
        waiting -= 1;
        resolve();
      }, ms);
    });
    return { after, body: "slow" };
  });
  return { most: () => most };
}

describe("50 requests in one", () => {
  it.each(["plain", "tried"])("never have more than six waiting for heads at a backend that is %s", async (backend) => {
    const { most } = slowly(`/${backend}`, ORIGIN_MS);
    const requests = Array.from({ length: 50 }, (_, index) => ({ path: `/${backend}/${backend}?${index}` }));
    const answers = await batch(requests);
    expect(answers.map(({ status, body }) => `${status} ${String(body)}`)).toEqual(
      Array.from({ length: 50 }, () => "200 slow"),
    );
    expect(origin.asked(`/${backend}`)).toHaveLength(50);
    expect(most()).toBeLessThanOrEqual(6);
    expect(most()).toBeGreaterThanOrEqual(4);
  });
});
