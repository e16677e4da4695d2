import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../support/backend-fleet.ts";
import { startGateway, type Gateway } from "../support/gateway.ts";
import { mostIn, startQuotaUpstream, type QuotaUpstream } from "../support/quota-upstream.ts";

/** How the owner fails of the quota that has the name. */
const FAULTS = ["hang", "throw", "abort", "overloaded"] as const;
/** An owner that is restarted while requests wait for it. */
const RESTARTED = "abort-restarted";
const WINDOW_MS = 3_000;

let upstream: QuotaUpstream;
let gateway: Gateway;

beforeAll(async () => {
  upstream = await startQuotaUpstream();
  const policies = FAULTS.flatMap((fault) =>
    ["closed", "open"].map((onError) => ({ name: `${fault}-${onError}`, onError })),
  );
  gateway = await startGateway({
    entry: fileURLToPath(new URL("../support/faulty-entry.ts", import.meta.url)),
    config: {
      allowPrivateTargets: true,
      backends: {
        ...Object.fromEntries(
          policies.map(({ name, onError }) => [name, backend(name, { window: "1h", maxWait: "3s", onError })]),
        ),
        [RESTARTED]: backend(RESTARTED, { window: WINDOW_MS }),
      },
      routes: [...policies.map(({ name }) => name), RESTARTED].map((name) => ({
        id: name,
        prefix: `/${name}`,
        backend: name,
      })),
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  upstream?.stop();
});

function backend(name: string, quota: object) {
  return { targets: [{ url: `${upstream.url}/${name}` }], quota: { requests: 1, ...quota } };
}

interface Shown {
  readonly quota: string;
  readonly owner: string;
  readonly problem?: string;
  readonly counts?: unknown;
}

async function shown(name: string): Promise<Partial<Shown>> {
  const response = await fetch(`${gateway.url}/admin/egress`, { headers: { "x-admin-key": gateway.adminToken } });
  const { quotas }: { quotas: Shown[] } = JSON.parse(await response.text());
  return quotas.find(({ quota }) => quota === name) ?? {};
}

/** Lets owners fail, or not. */
async function arm(isArmed: boolean): Promise<void> {
  await fetch(gateway.url, { headers: { "x-test-arm": isArmed ? "yes" : "no" } });
}

/** Asks twice at once: more than the quota would allow. */
async function askTwice(name: string): Promise<readonly (readonly [number, unknown, boolean])[]> {
  return Promise.all(
    [1, 2].map(async () => {
      const response = await fetch(`${gateway.url}/${name}`);
      const text = await response.text();
      const { code }: { code?: unknown } = response.status === 503 ? JSON.parse(text) : {};
      return [response.status, code, response.headers.has("retry-after")] as const;
    }),
  );
}

async function logged(name: string): Promise<readonly Record<string, unknown>[]> {
  let lines: readonly Record<string, unknown>[] = [];
  await eventually(`the lines about ${name}`, () => {
    lines = gateway.logs().filter(({ route }) => route === name);
    return Promise.resolve(lines.length >= 2);
  });
  return lines;
}

it("serves those who wait though the owner is restarted meanwhile, none too many", async () => {
  await arm(false);
  const statuses = Promise.all([1, 2, 3].map(async () => (await fetch(`${gateway.url}/${RESTARTED}`)).status));
  await upstream.whenArrived(RESTARTED, 1);
  await arm(true);
  expect((await shown(RESTARTED)).owner).toBe("silent");
  await arm(false);
  expect(await statuses).toEqual([200, 200, 200]);
  expect(mostIn(upstream.arrivals(RESTARTED), WINDOW_MS / 2)).toBe(1);
  // Of the first it knows only that it was granted.
  expect((await shown(RESTARTED)).counts).toMatchObject({ granted: 2 });
  await arm(true);
});

describe.concurrent("while the owner of a quota is silent", () => {
  it("refuses when the wait is over, and calls nobody", async () => {
    const names = FAULTS.map((fault) => `${fault}-closed`);
    const refused = [503, "egress-queue-full", true];
    expect(await Promise.all(names.map(askTwice))).toEqual(names.map(() => [refused, refused]));
    expect(names.map((name) => upstream.arrivals(name).length)).toEqual([0, 0, 0, 0]);
    const lines = (await Promise.all(names.map(logged))).flat();
    expect(lines.map(({ egress, degraded }) => [egress, degraded])).toEqual(
      Array.from({ length: 8 }, () => ["no-owner", undefined]),
    );
  });

  it("lets requests pass uncounted, and says so, where the configuration prefers that", async () => {
    const names = FAULTS.map((fault) => `${fault}-open`);
    const passed = [200, undefined, false];
    expect(await Promise.all(names.map(askTwice))).toEqual(names.map(() => [passed, passed]));
    const lines = (await Promise.all(names.map(logged))).flat();
    expect(lines.map(({ egress, degraded }) => [egress, degraded])).toEqual(
      Array.from({ length: 8 }, () => [undefined, ["egress"]]),
    );
  });
});

// After those: an owner that nobody has asked by its name answers that it is unused.
it("shows an operator who is silent", async () => {
  const { owner, problem } = await shown("throw-closed");
  expect([owner, problem]).toEqual(["silent", expect.stringContaining("injected")]);
});
