import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { beginHandshake, openSocket, shakeHands } from "../support/web-socket/client.ts";
import { eventually, startRelayed, type Relayed } from "../support/web-socket/relayed.ts";

let relayed: Relayed;

beforeAll(async () => {
  const routes = {
    splice: true,
    bridge: { mode: "bridge", closeTimeout: "300ms" },
    two: { mode: "bridge", closeTimeout: "300ms", sessionsPerAddress: 2 },
    held: { held: { hold: "300ms" }, closeTimeout: "300ms", sessionsPerAddress: 2 },
    tiny: {
      fromUpstream: { bytesPerSecond: "1KiB", byteBurst: "64KiB" },
      maxBuffered: "16KiB",
    },
    told: { origins: ["https://app.example.com"], rejectAfterUpgrade: true, closeTimeout: "300ms" },
    one: { mode: "bridge", sessionsPerAddress: 1 },
  };
  relayed = await startRelayed(routes, {}, "tests/support/relay-entry.ts");
});

afterAll(() => relayed?.stop());

interface Summary {
  readonly routes: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

async function ask<T>(path: string): Promise<T> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the admin API's own answer
  return (await relayed.admin("GET", path)) as T;
}

/** How many objects there have been. */
async function objects(): Promise<number> {
  const answer = await fetch(relayed.gateway.url, { headers: { "x-test-births": "of all" } });
  return Number(await answer.text());
}

describe.each(["splice", "bridge"])("a %s", (route) => {
  it.each([{ "Content-Length": "5" }, { "Transfer-Encoding": "chunked" }])(
    "is no handshake that brings a body: %o",
    async (headers) => {
      const before = relayed.origin.seen.length;
      const came = await shakeHands(relayed.gateway.url, { path: `/${route}/held`, headers });
      expect([came.status, relayed.origin.seen.length]).toEqual([400, before]);
    },
  );

  it("lets no client say which session it is", async () => {
    const { client, upstream } = await relayed.open(route, {
      headers: { "X-WS-Session": "another", "X-WS-Reconnect": "1" },
    });
    const names = relayed.origin.seen.at(-1)?.headers.map(([name]) => name.toLowerCase());
    expect(names?.filter((name) => name.startsWith("x-ws-"))).toEqual([]);
    client.destroy();
    upstream.destroy();
  });

  it("counts a client that has left as nobody's failure", async () => {
    const socket = await beginHandshake(relayed.gateway.url, { path: `/${route}/hang` });
    await eventually("the dial", () => Promise.resolve(relayed.origin.hanging > 0 || undefined));
    socket.resetAndDestroy();
    const counts = await eventually("the count", async () => {
      const { [route]: found } = (await ask<Summary>("sockets?summary=true")).routes;
      return found?.["handshakes.client-left"] === undefined ? undefined : found;
    });
    expect(counts).toMatchObject({ "handshakes.client-left": 1 });
    expect(counts).not.toHaveProperty("handshakes.upstream-timeout");
  });
});

it.each(["two", "held"])("%s: a client that answers no close leaves a line, no place and no entry", async (route) => {
  const { client, upstream } = await relayed.open(route);
  const listed = () => ask<{ readonly sessions: readonly { readonly id: string }[] }>(`sockets?route=${route}`);
  const id = await eventually("the session", async () => (await listed()).sessions[0]?.id);
  upstream.behave().close(4000);
  expect(await client.ended()).toMatchObject({ code: 4000 });
  expect(await relayed.line("web-socket", ({ session }) => session === id)).toMatchObject({
    endedBy: "upstream",
    closeCode: 4000,
  });
  await eventually("an empty list", async () => ((await listed()).sessions.length === 0 ? true : undefined));
  const two = [await relayed.open(route), await relayed.open(route)];
  expect((await shakeHands(relayed.gateway.url, { path: `/${route}/held` })).status).toBe(429);
  for (const one of two) for (const peer of [one.client, one.upstream]) peer.destroy();
});

it("refuses who has all places, and comes again and again, without an object for each time", async () => {
  const { client, upstream } = await relayed.open("one");
  const before = await objects();
  for (let n = 0; n < 100; n++) {
    expect((await shakeHands(relayed.gateway.url, { path: "/one/held" })).status).toBe(429);
  }
  expect((await objects()) - before).toBeLessThan(50);
  await eventually("a count of each", async () => {
    const { routes } = await ask<Summary>("sockets?summary=true");
    return routes["one"]?.["handshakes.too-many-connections"] === 100 || undefined;
  });
  client.destroy();
  upstream.destroy();
});

it("who is told a refusal by a close code, and does not answer it, is dropped", async () => {
  const peer = await openSocket(relayed.gateway.url, {
    path: "/told/held",
    headers: { Origin: "http://evil.example" },
  });
  expect(await peer.ended()).toMatchObject({ code: 4403, reason: "origin-not-allowed" });
});

it("a flood of empty messages ends the session like one of large ones", async () => {
  const { client, upstream } = await relayed.open("tiny");
  client.behave();
  upstream.behave();
  for (let n = 0; n < 1_000; n++) upstream.text("");
  expect([(await upstream.ended()).code, (await client.ended()).code]).toEqual([1013, 1013]);
});
