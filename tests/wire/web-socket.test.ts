import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { shakeHands } from "../support/web-socket/client.ts";
import { beginHandshake } from "../support/web-socket/client.ts";
import { eventually, startRelayed, type Relayed } from "../support/web-socket/relayed.ts";

const KIB = 1024;
const MIB = KIB * KIB;

let relayed: Relayed;

beforeAll(async () => {
  relayed = await startRelayed(
    {
      splice: { maxLifetime: "1h" },
      bridge: { mode: "bridge", closeTimeout: "600ms" },
      small: { fromClient: { maxMessage: 1000 }, fromUpstream: { maxMessage: 2000 }, closeTimeout: "600ms" },
      few: { fromClient: { messagesPerSecond: 1, messageBurst: 5 } },
      slow: {
        fromClient: { bytesPerSecond: "1MiB", byteBurst: "2MiB", messagesPerSecond: false },
        fromUpstream: { bytesPerSecond: "1MiB", byteBurst: "2MiB" },
        maxBuffered: "1MiB",
        // Until then who is flooding has to have read why: what is cut after that takes it away.
        closeTimeout: "5s",
      },
      held: { mode: "held" },
      patient: { mode: "bridge", closeTimeout: "30s" },
      waiting: { mode: "bridge", handshakeTimeout: "3s" },
      shared: { shared: { linger: "100ms" } },
      idle: { idle: "400ms" },
      short: { mode: "bridge", maxLifetime: "400ms" },
      cut: { mode: "splice", maxLifetime: "400ms" },
    },
    {},
    "tests/support/relay-entry.ts",
  );
});

afterAll(() => relayed?.stop());

async function sessions(): Promise<readonly Record<string, unknown>[]> {
  const told: { sessions: Record<string, unknown>[] } = JSON.parse(
    JSON.stringify(await relayed.admin("GET", "sockets")),
  );
  return told.sessions;
}

describe("what one side may send", () => {
  const cases = [
    ["small", "client", 1000, 1009, 1001],
    ["small", "upstream", 2000, 1009, 1001],
  ] as const;
  it.each(cases)(
    "%s: a message of the %s that is too large ends the session",
    async (route, from, most, own, other) => {
      const ends = await relayed.open(route);
      const taker = from === "client" ? ends.upstream : ends.client;
      const sender = ends[from];
      // In UTF-8: 500 letters of two bytes fit where 501 don't.
      sender.text("ü".repeat(most / 2));
      expect(await taker.hear()).toMatchObject({ kind: "text", text: "ü".repeat(most / 2) });
      ends.client.behave();
      ends.upstream.behave();
      sender.text("ü".repeat(most / 2 + 1));
      expect([(await sender.ended()).code, (await taker.ended()).code]).toEqual([own, other]);
    },
  );

  it("a client that sends too many messages is closed with 1008", async () => {
    const { client, upstream } = await relayed.open("few");
    client.behave();
    upstream.behave();
    for (let n = 0; n < 8; n++) client.text(String(n));
    expect([(await client.ended()).code, (await upstream.ended()).code]).toEqual([1008, 1001]);
    expect(upstream.frames.filter(({ opcode }) => opcode === 1).length).toBeGreaterThanOrEqual(5);
    expect(upstream.frames.filter(({ opcode }) => opcode === 1).length).toBeLessThan(8);
  });

  it.each(["client", "upstream"] as const)(
    "what the %s sends beyond its rate waits, and none of it is lost or overtaken",
    async (from) => {
      const ends = await relayed.open("slow");
      const [sender, taker] = [ends[from], from === "client" ? ends.upstream : ends.client];
      for (let n = 0; n < 11; n++) sender.binary(Buffer.alloc(250 * KIB, n));
      sender.behave().close(1000);
      taker.behave();
      await taker.ended();
      expect(taker.frames.filter(({ opcode }) => opcode === 2).map(({ payload }) => payload[9])).toEqual([
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
      ]);
    },
  );

  it.each(["client", "upstream"] as const)(
    "a peer that reads nothing of what the %s sends ends the session, and no other: both are told, however much comes",
    async (from) => {
      const other = await relayed.open("slow");
      const ends = await relayed.open("slow");
      const [sender, taker] = [ends[from], from === "client" ? ends.upstream : ends.client];
      taker.socket.pause();
      void sender.behave().flood(48 * MIB, MIB / 4);
      expect((await sender.ended()).code).toBe(1013);
      other.client.text("still here");
      expect(await other.upstream.hear()).toEqual({ kind: "text", text: "still here" });
      taker.socket.resume();
      expect((await taker.behave().ended()).code).toBe(1013);
      other.client.destroy();
      other.upstream.destroy();
    },
  );
});

describe("how long a session may last", () => {
  it.each([
    ["idle", 4408],
    ["short", 1012],
  ])("%s: closed with %d", async (route, code) => {
    const { client, upstream } = await relayed.open(route);
    expect([await client.behave().ended(), await upstream.behave().ended()]).toMatchObject([{ code }, { code }]);
    await relayed.line("web-socket", (line) => line["route"] === route && line["closeCode"] === code);
  });

  it.each([
    ["bridge", 4401],
    ["held", 4401],
    // It may have other clients.
    ["shared", 1001],
  ])("until the credentials of its client end, also when something passes: %s", async (route, upstreams) => {
    const { client, upstream } = await relayed.open(route, { headers: { "X-Test-Valid-Ms": "2000" } });
    client.behave().text("in time");
    expect(await upstream.behave().hear()).toEqual({ kind: "text", text: "in time" });
    expect([await client.ended(), await upstream.ended()]).toMatchObject([
      { code: 4401, reason: "credentials expired", by: "fin" },
      { code: upstreams },
    ]);
  });

  it.each([
    ["cut", {}],
    ["splice", { "X-Test-Valid-Ms": "1500" }],
  ])("a splice is cut, without a Close frame: %s", async (route, headers) => {
    const { client, upstream } = await relayed.open(route, { headers });
    expect([(await client.ended()).code, (await upstream.ended()).code]).toEqual([1006, 1006]);
  });
});

describe("what is left when something ends", () => {
  it("lists a session while it is open, with what passed, and logs one line when it has ended", async () => {
    const { client, upstream, id } = await relayed.open("bridge", {
      headers: { Origin: undefined, "Sec-WebSocket-Protocol": "chat" },
    });
    client.text("12345");
    await upstream.next();
    upstream.text("123");
    await client.next();
    await listed(id);
    const time: unknown = expect.any(Number);
    expect(await relayed.admin("GET", `sockets/${id}`)).toEqual({
      id,
      route: "bridge",
      principal: null,
      address: "127.0.0.1",
      origin: null,
      protocol: "chat",
      extensions: null,
      mode: "bridge",
      state: "open",
      openedAt: time,
      lastInAt: time,
      lastOutAt: time,
      messagesIn: 1,
      messagesOut: 1,
      bytesIn: 5,
      bytesOut: 3,
      queuedBytes: 0,
      resumes: 0,
      replayed: 0,
      reconnects: 0,
      upstream: relayed.origin.url,
      closeCode: null,
    });
    upstream.behave();
    client.behave().close(4321, "not in the log");
    await client.ended();
    const line = await relayed.line("web-socket", ({ session }) => session === id);
    expect(line).toMatchObject({
      route: "bridge",
      mode: "bridge",
      endedBy: "client",
      closeCode: 4321,
      messagesIn: 1,
      messagesOut: 1,
      bytesIn: 5,
      bytesOut: 3,
      target: relayed.origin.url,
    });
    expect(JSON.stringify(line)).not.toContain("not in the log");
    await eventually("the listing without it", async () =>
      (await sessions()).some((one) => one["id"] === id) ? undefined : true,
    );
  });

  it.each(["bridge", "held"])(
    "shows that a %s waits for its origin, and closes it as soon as it is open",
    async (route) => {
      const gate = Promise.withResolvers<void>();
      relayed.origin.gates.set("/held", gate.promise);
      const opening = relayed.open(route);
      const [shown] = await eventually("the session", async () => {
        const found = (await sessions()).filter(({ state }) => state === "connecting");
        return found.length === 1 ? found : undefined;
      });
      expect(shown).toMatchObject({ route, mode: route, state: "connecting", messagesIn: 0, upstream: null });
      expect(await relayed.admin("GET", `sockets/${String(shown?.["id"])}`)).toEqual(shown);
      await relayed.admin("DELETE", `sockets/${String(shown?.["id"])}?code=4000&reason=late`);
      gate.resolve();
      const { client, upstream } = await opening;
      relayed.origin.gates.clear();
      upstream.behave();
      expect((await client.behave().ended()).code).toBe(4000);
      expect((await sessions()).some(({ state }) => state === "connecting")).toBe(false);
    },
  );

  it("shows nothing of a session any more that has come to nothing", async () => {
    const knock = await beginHandshake(relayed.gateway.url, { path: "/waiting/hang" });
    const connecting = async () => (await sessions()).some(({ state }) => state === "connecting");
    await eventually("the session", async () => (await connecting()) || undefined);
    knock.destroy();
    await eventually("its end", async () => !(await connecting()) || undefined);
  });

  it("a side that answers no close is dropped, so that the other one is closed in time", async () => {
    const { client, upstream } = await relayed.open("bridge");
    client.behave().close(1000);
    expect(await client.ended()).toMatchObject({ code: 1000 });
    expect((await upstream.ended()).code).toBe(1000);
  });

  it("shows that a session is closing, and with what, until both sides have answered", async () => {
    const { client, upstream, id } = await relayed.open("patient");
    await listed(id);
    client.close(4321);
    await eventually("a session that is closing", async () => {
      const told: Record<string, unknown> = JSON.parse(JSON.stringify(await relayed.admin("GET", `sockets/${id}`)));
      return (told["state"] === "closing" && told["closeCode"] === 4321) || undefined;
    });
    upstream.close(4321);
    expect((await client.ended()).code).toBe(4321);
  });

  it("a client that answers no close is dropped too", async () => {
    const { client, upstream } = await relayed.open("small");
    upstream.behave();
    upstream.text("a".repeat(3000));
    expect((await client.ended()).code).toBe(1001);
    expect((await upstream.ended()).code).toBe(1009);
  });

  it("both sides of a bridge see at once that their object is gone", async () => {
    const { client, upstream, id } = await relayed.open("bridge");
    client.text("before");
    await upstream.next();
    await listed(id);
    await fetch(relayed.gateway.url, { headers: { "x-test-abort": id } });
    expect([(await client.ended()).code, (await upstream.ended()).code]).toEqual([1006, 1006]);
  });

  it("a splice whose peer reads nothing slows no other one in the same object", async () => {
    const other = await relayed.open("splice");
    const stalled = await relayed.open("splice");
    stalled.upstream.socket.pause();
    const flooding = stalled.client.flood(64 * MIB, MIB / 4);
    for (let n = 0; n < 20; n++) {
      other.client.text(String(n));
      expect(await other.upstream.hear()).toEqual({ kind: "text", text: String(n) });
    }
    for (const peer of [stalled.client, stalled.upstream, other.client, other.upstream]) peer.destroy();
    await flooding;
  });

  it("a splice outlives its object", async () => {
    const { client, upstream, id } = await relayed.open("splice");
    await listed(id);
    await fetch(relayed.gateway.url, { headers: { "x-test-abort": id } });
    client.text("after");
    expect(await upstream.hear()).toEqual({ kind: "text", text: "after" });
    client.destroy();
    await upstream.ended();
  });

  it("splices go to another object when theirs fails", async () => {
    const before = await relayed.open("splice");
    const broken = await shakeHands(relayed.gateway.url, { path: "/splice/held", headers: { "X-Test-Break": "1" } });
    expect(broken.status).toBe(503);
    const after = await relayed.open("splice");
    for (const { client, upstream } of [before, after]) {
      client.text("hello");
      expect(await upstream.hear()).toEqual({ kind: "text", text: "hello" });
      client.destroy();
    }
  });

  it("kicks sessions with a code, or cuts them", async () => {
    const bridged = await relayed.open("bridge");
    bridged.client.behave();
    bridged.upstream.behave();
    await listed(bridged.id);
    await relayed.admin("DELETE", `sockets/${bridged.id}?code=4000&reason=bye`);
    expect(await bridged.client.ended()).toEqual({ code: 4000, reason: "bye", by: "fin" });
    expect(await bridged.upstream.ended()).toMatchObject({ code: 4000 });
    const spliced = await relayed.open("splice");
    await listed(spliced.id);
    await relayed.admin("DELETE", `sockets/${spliced.id}`);
    expect([(await spliced.client.ended()).code, (await spliced.upstream.ended()).code]).toEqual([1006, 1006]);
  });

  /** Resolves once operators can find a session: an order reaches those that are listed. */
  async function listed(id: string): Promise<Record<string, unknown>> {
    return eventually("the session", async () => (await sessions()).find((one) => one["id"] === id));
  }
});

it("counts sessions that were closed for a limit", async () => {
  await eventually("what was counted", async () => {
    const told: { routes: Record<string, Record<string, number>> } = JSON.parse(
      JSON.stringify(await relayed.admin("GET", "sockets?summary=true")),
    );
    const counts = [told.routes["few"]?.["rateLimited"], told.routes["slow"]?.["budgetClosed"]];
    return (counts[0] === 1 && counts[1] === 2) || undefined;
  });
});

it("both sides see at once that the runtime was killed", async () => {
  const other = await startRelayed({ bridge: { mode: "bridge" } });
  const { client, upstream } = await other.open("bridge");
  client.text("before");
  await upstream.next();
  await other.gateway.kill();
  expect([(await client.ended()).code, (await upstream.ended()).code]).toEqual([1006, 1006]);
  await other.origin.stop();
});
