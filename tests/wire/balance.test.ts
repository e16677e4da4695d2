import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { valueOf, valuesOf } from "../support/message-head.ts";
import { Origin, refusingUrl } from "../support/origin/origin.ts";
import { ask, RawClient, type RawAnswer } from "../support/raw-client.ts";
import { request } from "../support/raw-request.ts";

/** The longest that a request of a vanished client counts as in flight. */
const TOTAL_MS = 1_500;

let origins: readonly Origin[];
let dying: Origin;
let gateway: Gateway;

beforeAll(async () => {
  origins = await Promise.all([Origin.start(), Origin.start(), Origin.start()]);
  dying = await Origin.start();
  const dead = await refusingUrl();
  gateway = await startGateway({ config: config(dead) });
});

afterAll(async () => {
  await gateway?.stop();
  await Promise.all([...(origins ?? []), dying].map((origin) => origin?.stop()));
});

/** Backends of their own targets: what is known of a target is known of its URL. */
function config(dead: string): unknown {
  const at = (path: string) => origins.map(({ url }) => ({ url: `${url}${path}` }));
  const quick = { failureThreshold: 1, timeout: "1m" };
  const retry = { budget: { ratio: 1 } };
  const backends = {
    cookie: { targets: at("/cookie"), sticky: { name: "at" } },
    header: { targets: at("/header"), sticky: "header" },
    least: { targets: at("/least").slice(0, 2), balance: "least-requests" },
    dead: { targets: [{ url: `${dead}/dead`, weight: 9 }, ...at("/dead").slice(0, 1)], sticky: "cookie", retry },
    dying: {
      targets: [
        { url: `${dying.url}/dying` },
        { url: `${origins[0]?.url}/dying`, weight: 0 },
        ...at("/dying").slice(1),
      ],
      sticky: "cookie",
      retry,
      circuitBreaker: quick,
    },
  };
  const routes = Object.keys(backends).map((name) => ({
    id: name,
    prefix: `/${name}`,
    backend: name,
    timeouts: { total: TOTAL_MS, headers: TOTAL_MS },
  }));
  return { allowPrivateTargets: true, routes, backends };
}

/** The origin that received the only request for this target, by its place; -1: none. */
function receiverOf(target: string): number {
  return origins.findIndex((origin) => origin.seenAt(target).length === 1);
}

function headersOf(target: string): Origin["seen"][number]["headers"] {
  return origins.flatMap((origin) => origin.seenAt(target))[0]?.headers ?? [];
}

function cookieOf(answer: RawAnswer): string {
  const [cookie = ""] = valuesOf(answer.headers, "set-cookie");
  return cookie.split(";", 1)[0] ?? "";
}

test("a client stays with the target that it met, by a cookie that the origin never sees", async () => {
  const first = await ask(gateway.url, { target: "/cookie/0" });
  const bound = cookieOf(first);
  expect(valuesOf(first.headers, "set-cookie").map((line) => line.replace(bound, "at=TOKEN"))).toEqual([
    "at=TOKEN; Path=/; Max-Age=82800; HttpOnly; SameSite=Lax",
  ]);
  for (let again = 1; again <= 8; again++) {
    const target = `/cookie/${again}`;
    const answer = await ask(gateway.url, { target, headers: [`Cookie: a=1; ${bound}; b=2`] });
    expect(valuesOf(answer.headers, "set-cookie")).toEqual([]);
    expect(receiverOf(target)).toBe(receiverOf("/cookie/0"));
    expect(valueOf(headersOf(target), "cookie")).toBe("a=1; b=2");
  }
});

test("a client stays with its target by a header that the origin never sees", async () => {
  const first = await ask(gateway.url, { target: "/header/0" });
  const token = valueOf(first.headers, "x-sluice-target") ?? "";
  for (let again = 1; again <= 8; again++) {
    const target = `/header/${again}`;
    await ask(gateway.url, { target, headers: [`X-Sluice-Target: ${token}`] });
    expect(receiverOf(target)).toBe(receiverOf("/header/0"));
    expect(valueOf(headersOf(target), "x-sluice-target")).toBeUndefined();
  }
});

test("a target that is busy with one request gets no other while there is an idle one", async () => {
  const waiting = await RawClient.open(gateway.url);
  await waiting.send(request({ target: "/least/held" }));
  await vi.waitUntil(() => receiverOf("/least/held") !== -1, { timeout: 15_000 });
  const busy = receiverOf("/least/held");
  for (let each = 0; each < 12; each++) {
    await ask(gateway.url, { target: `/least/${each}` });
    expect(receiverOf(`/least/${each}`)).toBe(1 - busy);
  }
  // A client that vanishes frees it.
  waiting.reset();
  let next = 0;
  await vi.waitUntil(
    async () => {
      next += 1;
      await ask(gateway.url, { target: `/least/after/${next}` });
      return receiverOf(`/least/after/${next}`) === busy;
    },
    { timeout: 15_000 },
  );
});

test("a new client is bound to the target that answered, not to one that was tried", async () => {
  for (let each = 0; each < 10; each++) {
    const answer = await ask(gateway.url, { target: `/dead/${each}` });
    expect(answer.status).toBe(200);
    const again = await ask(gateway.url, { target: `/dead/${each}/again`, headers: [`Cookie: ${cookieOf(answer)}`] });
    expect([again.status, valuesOf(again.headers, "set-cookie")]).toEqual([200, []]);
  }
});

test("a client whose target dies is answered by another one and stays with that", async () => {
  let bound = "";
  await vi.waitUntil(
    async () => {
      bound = cookieOf(await ask(gateway.url, { target: "/dying/first" }));
      return dying.seenAt("/dying/first").length > 0;
    },
    { timeout: 15_000 },
  );
  await dying.stop();
  const moved = await ask(gateway.url, { target: "/dying/moved", headers: [`Cookie: ${bound}`] });
  expect(moved.status).toBe(200);
  const rebound = cookieOf(moved);
  expect(rebound).toMatch(/^sluice_target=/);
  for (let again = 0; again < 6; again++) {
    const target = `/dying/again/${again}`;
    const answer = await ask(gateway.url, { target, headers: [`Cookie: ${rebound}`] });
    expect([answer.status, valuesOf(answer.headers, "set-cookie")]).toEqual([200, []]);
    expect(receiverOf(target)).toBe(receiverOf("/dying/moved"));
  }
});
