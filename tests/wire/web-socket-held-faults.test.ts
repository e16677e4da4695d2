import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { shakeHands } from "../support/web-socket/client.ts";
import type { Peer } from "../support/web-socket/peer.ts";
import { CutWire } from "../support/web-socket/cut-wire.ts";
import { openHeld } from "../support/web-socket/held-client.ts";
import { numbered } from "../support/web-socket/storm.ts";
import { eventually, startRelayed, type Relayed } from "../support/web-socket/relayed.ts";

const ANY_RATE = { fromClient: { messagesPerSecond: false, maxMessage: "4MiB" }, sessionsPerAddress: false };
const TOLD = {
  mode: "held",
  rejectAfterUpgrade: true,
  newSessions: { requestsPerWindow: 1, windowSeconds: 1 },
  ...ANY_RATE,
};
const BEHIND_A_PROXY = { header: "x-real-ip", trustedProxies: ["127.0.0.0/8"] };
const QUICK = { minDelay: "20ms", maxDelay: "5s", giveUp: "3s" };

let relayed: Relayed;

beforeAll(async () => {
  const routes = {
    held: { mode: "held", closeTimeout: "600ms", ...ANY_RATE },
    dropped: { mode: "held", closeTimeout: "2s", ...ANY_RATE },
    patient: { mode: "held", ...ANY_RATE },
    again: { held: { upstreamReconnect: QUICK }, ...ANY_RATE },
    "told-false": TOLD,
    "told-true": TOLD,
    idle: { mode: "held", idle: "1300ms", ...ANY_RATE },
    replayed: { held: { upstreamReconnect: { ...QUICK, replayFirst: 1 } }, ...ANY_RATE },
    stored: { held: { durable: true, upstreamReconnect: { ...QUICK, replayFirst: 1 } }, ...ANY_RATE },
  };
  relayed = await startRelayed(routes, { clientIp: BEHIND_A_PROXY }, "tests/support/relay-entry.ts");
});

afterAll(async () => {
  await relayed?.stop();
});

async function open(route: string, headers: Readonly<Record<string, string>> = {}, more = "") {
  const sid = randomBytes(16).toString("base64url");
  const path = `/${route}/held?mark=${sid}.&_ws_session=${sid}${more}`;
  const [made, upstream] = await Promise.all([
    shakeHands(relayed.gateway.url, { path, headers }),
    relayed.origin.accept(`${sid}.`),
  ]);
  if (made.kind !== "open") throw new Error(made.body);
  const [, id = ""] = made.headers.find(([name]) => name.toLowerCase() === "x-ws-session") ?? [];
  return { sid, id, client: made.peer, upstream };
}

async function resume(route: string, sid: string, recv: number, more = ""): Promise<Peer> {
  const path = `/${route}/held?_ws_session=${sid}&_ws_recv=${recv}${more}`;
  const made = await shakeHands(relayed.gateway.url, { path });
  if (made.kind !== "open") throw new Error(made.body);
  return made.peer;
}

describe("an end that its client does not hear of", () => {
  it.each([
    ["its connection is lost", "lost"],
    ["another connection takes over", "taken over"],
    ["its connection answers nothing for as long as a close may take", "silent"],
  ])("is told again, after what was said before it: %s", async (_how, fate) => {
    const { sid, client, upstream } = await open("held");
    upstream.text("last words");
    upstream.behave().close(4001, "done");
    // Whether it came nobody knows who is not told so.
    expect([(await client.hear()).kind, (await client.hear()).kind]).toEqual(["text", "close"]);
    if (fate === "lost") client.reset();
    if (fate !== "taken over") expect(await upstream.ended()).toMatchObject({ code: 4001 });
    const back = await resume("held", sid, 0);
    expect(await back.hear()).toEqual({ kind: "text", text: "last words" });
    expect(await back.behave().ended()).toMatchObject({ code: 4001, reason: "done" });
    expect(await upstream.ended()).toMatchObject({ code: 4001 });
    expect((await (await resume("held", sid, 1)).behave().ended()).code).toBe(4410);
    client.destroy();
  });
});

it.each([false, true])(
  "what the origin says before it closes comes all, and then its close (control frames: %s)",
  async (control) => {
    const mark = `mark=all-${control}.`;
    const client = await openHeld(`${relayed.gateway.url}/patient/held?${mark}`, { control });
    const upstream = await relayed.origin.accept(mark);
    for (let n = 1; n <= 3_000; n += 1) upstream.text(`s${n}`);
    upstream.behave().close(4000, "that was all");
    await client.until(() => client.socket.readyState === 3);
    expect(client.got).toEqual(numbered("s", 3_000));
    // Who acknowledges too slowly for the time of a close has had to come back.
    const told = client.told.filter((what) => what !== "reconnecting" && what !== "resumed");
    expect(told).toEqual(["open", "close 4000 that was all"]);
  },
);

describe.each([false, true])("a client of this project (control frames: %s)", (control) => {
  const PATIENT = { control, minDelayMs: 300, maxDelayMs: 300, random: () => 0.99 };

  it("that comes back to what has ended gets what was said before, and the end", async () => {
    const wire = await CutWire.start(Number(new URL(relayed.gateway.url).port));
    const mark = `mark=ended-${control}.`;
    let closed: Promise<void> | undefined;
    class Watched extends WebSocket {
      constructor(url: string, protocols?: string | string[]) {
        super(url, protocols);
        closed = new Promise((resolve) => this.addEventListener("close", () => resolve()));
      }
    }
    let gets = 0;
    // The answer comes after the end of the connection that it is about.
    const slow: typeof fetch = async (...args) => {
      gets += 1;
      if (gets > 1) await closed;
      return fetch(...args);
    };
    const how = { ...PATIENT, WebSocket: Watched, fetch: slow };
    const client = await openHeld(`ws://127.0.0.1:${wire.port}/held/held?${mark}`, how);
    const upstream = await relayed.origin.accept(mark);
    upstream.text("first");
    await client.until(() => client.got.length === 1);
    wire.reset();
    await client.until(() => client.told.includes("reconnecting"));
    upstream.text("last words");
    upstream.behave().close(4001, "done");
    await upstream.ended();
    await client.until(() => client.socket.readyState === 3);
    expect(client.got).toEqual(["first", "last words"]);
    expect(client.told).toEqual(["open", "reconnecting", "resumed", "close 4001 done"]);
    await wire.stop();
  });

  it("that is refused by a close code comes back later: its session is still there", async () => {
    const mark = `mark=refused-${control}.`;
    const client = await openHeld(`${relayed.gateway.url}/told-${control}/held?${mark}`, { ...PATIENT, minDelayMs: 1 });
    const upstream = await relayed.origin.accept(mark);
    client.socket.reconnect();
    await client.until(() => client.told.includes("resumed") || client.socket.readyState === 3);
    upstream.text("still here");
    await client.until(() => client.got.length === 1 || client.socket.readyState === 3);
    const told = client.told.filter((what, index, all) => what !== all[index - 1]);
    expect([client.got, told]).toEqual([["still here"], ["open", "reconnecting", "resumed"]]);
    client.socket.close();
  });
});

it("a client that is slow to acknowledge that is asked to come back, and told the rest then", async () => {
  const { sid, client, upstream } = await open("held", {}, "&_ws_ctl=1");
  for (let n = 1; n <= 600; n += 1) upstream.text(`s${n}`);
  upstream.behave().close(4000, "that was all");
  expect(await client.behave().ended()).toMatchObject({ code: 1012 });
  const texts = client.frames.map(({ payload }) => payload.toString()).filter((text) => /^s\d+$/.test(text));
  expect(texts.length).toBeLessThan(600);
  const back = await resume("held", sid, texts.length, "&_ws_ctl=1");
  expect(await back.behave().ended()).toMatchObject({ code: 4000, reason: "that was all" });
  const rest = back.frames.map(({ payload }) => payload.toString()).filter((text) => /^s\d+$/.test(text));
  expect([...texts, ...rest]).toEqual(numbered("s", 600));
});

it("messages that are all but empty are not kept without end for a client that acknowledges nothing", async () => {
  const { client, upstream } = await open("held", {}, "&_ws_ctl=1");
  for (let n = 0; n < 6_000; n += 1) upstream.text("");
  expect((await client.behave().ended()).code).toBe(1013);
  expect((await upstream.behave().ended()).code).toBe(1013);
});

describe("connections that were taken over and are not closed", () => {
  it("hold no more of what was sent again than a few rings, whoever takes over again and again", async () => {
    const { sid, client, upstream } = await open("patient");
    upstream.binary(Buffer.alloc(1_000_000));
    await client.receive(1_000_000);
    const path = `/patient/held?_ws_session=${sid}&_ws_recv=0`;
    const left: Peer[] = [client];
    for (;;) {
      const made = await shakeHands(relayed.gateway.url, { path });
      if (made.kind === "refused") {
        expect([made.status, JSON.parse(made.body).code]).toEqual([429, "too-many-connections"]);
        break;
      }
      // Read it has: whether its connection is closed nobody knows who is not answered.
      left.push(made.peer);
    }
    expect(left.length).toBe(11);
    for (const peer of left) peer.destroy();
    const back = await eventually("a place", () => resume("patient", sid, 1).catch(() => undefined));
    upstream.text("still here");
    expect(await back.hear()).toEqual({ kind: "text", text: "still here" });
    back.destroy();
  });

  it("may each have something on their way that comes too late", async () => {
    const { sid, client, upstream } = await open("held");
    let before = client;
    for (let n = 0; n < 10; n += 1) {
      const next = await resume("held", sid, 0);
      before.binary(Buffer.alloc(1_000_000));
      // All of it was read when the connection is closed.
      expect((await before.behave().ended()).code).toBe(4409);
      before = next;
    }
    before.text("in time");
    expect(await upstream.hear()).toEqual({ kind: "text", text: "in time" });
    before.destroy();
  });

  it("are dropped when their session has ended, though it is opened anew at once", async () => {
    const { sid, client, upstream } = await open("dropped");
    const back = await resume("dropped", sid, 0);
    back.behave().close(4000, "enough");
    await upstream.behave().ended();
    await back.ended();
    const path = `/dropped/held?mark=${sid}.&_ws_session=${sid}`;
    const again = await shakeHands(relayed.gateway.url, { path });
    expect([again.status, again.kind === "refused" && JSON.parse(again.body)]).toMatchObject([
      429,
      { code: "too-many-connections" },
    ]);
    expect((await client.ended()).code).toBe(4409);
    const next = await eventually("another session", async () => {
      const made = await shakeHands(relayed.gateway.url, { path });
      return made.kind === "open" ? made.peer : undefined;
    });
    (await relayed.origin.accept(`${sid}.`)).destroy();
    next.destroy();
  });

  it("are not read for ever: who floods one loses the session", async () => {
    const { sid, client, upstream } = await open("patient");
    const back = await resume("patient", sid, 0);
    void client.flood(64 * 2 ** 20, 65_536);
    expect(await back.ended()).toMatchObject({ code: 1006 });
    expect(await upstream.ended()).toMatchObject({ code: 1006 });
    expect((await (await resume("patient", sid, 0)).behave().ended()).code).toBe(4410);
    client.destroy();
  });
});

describe("an origin that takes sessions and lets them go at once", () => {
  it("is dialled ever more rarely, and given up in the end", async () => {
    const { sid, client, upstream } = await open("again");
    upstream.behave().close(1013);
    const end = client.behave().ended();
    for (;;) {
      const next = await Promise.race([relayed.origin.accept(`${sid}.`), end]);
      if ("code" in next) break;
      next.behave().close(1013);
    }
    expect((await end).code).toBe(1014);
    expect(relayed.origin.seen.filter(({ target }) => target.includes(`${sid}.`)).length).toBeLessThan(12);
  });
});

async function status(route: string, sid: string): Promise<{ readonly status: number; readonly body: unknown }> {
  const url = `${relayed.gateway.url}/${route}/held?_ws_session=${sid}`;
  const response = await fetch(url, { headers: { accept: "application/json" } });
  return { status: response.status, body: await response.json() };
}

it("an origin that is told again who a client is, and takes its time, hears nothing else before it has answered", async () => {
  const { sid, client, upstream } = await open("replayed");
  client.text("I am");
  expect(await upstream.hear()).toEqual({ kind: "text", text: "I am" });
  upstream.reset();
  client.text("two");
  const next = await relayed.origin.accept(`${sid}.`);
  expect(await next.hear()).toEqual({ kind: "text", text: "I am" });
  // Longer than an answer that nobody expects is waited for.
  const idle = await open("idle");
  expect((await idle.client.behave().ended()).code).toBe(4408);
  next.text("welcome");
  expect(await next.hear()).toEqual({ kind: "text", text: "two" });
  next.text("A");
  expect(await client.hear()).toEqual({ kind: "text", text: "A" });
  client.destroy();
});

describe("a first message that is too large to be said again", () => {
  it.each(["stored", "replayed"])("%s: passes, and its session ends with its origin", async (route) => {
    const { sid, client, upstream } = await open(route);
    client.binary(Buffer.alloc(3_000_000));
    client.text("two");
    await upstream.receive(3_000_003);
    expect((await status(route, sid)).body).toMatchObject({ recv: 2, live: true });
    upstream.reset();
    expect((await client.behave().ended()).code).toBe(1014);
  });

  it("is not stored, so a session that dies with its object is gone", async () => {
    const { sid, id, client, upstream } = await open("stored");
    expect((await status("stored", sid)).status).toBe(200);
    client.binary(Buffer.alloc(3_000_000));
    await upstream.receive(3_000_000);
    expect((await status("stored", sid)).body).toMatchObject({ recv: 1, live: true });
    await fetch(relayed.gateway.url, { headers: { "x-test-abort": id } });
    await client.ended();
    expect((await status("stored", sid)).status).toBe(404);
    expect((await (await resume("stored", sid, 0)).behave().ended()).code).toBe(4410);
  });
});

it("a stored session that cannot be resumed so is refused, and no origin is dialled for it", async () => {
  const { sid, id, client, upstream } = await open("stored");
  client.text("I am");
  await upstream.next();
  expect((await status("stored", sid)).body).toMatchObject({ recv: 1 });
  await fetch(relayed.gateway.url, { headers: { "x-test-abort": id } });
  await client.ended();
  const before = relayed.origin.seen.length;
  const again = await shakeHands(relayed.gateway.url, { path: `/stored/held?_ws_session=${sid}` });
  expect(again.kind === "open" && (await again.peer.behave().ended()).code).toBe(4409);
  expect(relayed.origin.seen).toHaveLength(before);
  const back = await resume("stored", sid, 0);
  expect(await (await relayed.origin.accept()).hear()).toEqual({ kind: "text", text: "I am" });
  back.destroy();
});

it("what the origin says after its client has closed still comes to that, before the close is answered", async () => {
  const { client, upstream } = await open("held");
  client.close(4000, "enough");
  expect(await upstream.hear()).toMatchObject({ kind: "close", code: 4000 });
  upstream.text("still this");
  upstream.close(4000, "enough");
  expect(await client.hear()).toEqual({ kind: "text", text: "still this" });
  expect(await client.hear()).toMatchObject({ kind: "close", code: 4000 });
  client.destroy();
  upstream.destroy();
});

it("a client that comes back from elsewhere is there, for operators and for its origin", async () => {
  const { sid, id, client, upstream } = await open("again", { "X-Real-IP": "192.0.2.1" });
  const told = () => relayed.admin("GET", `sockets/${id}`);
  expect(await told()).toMatchObject({ address: "192.0.2.1" });
  const path = `/again/held?mark=${sid}.&_ws_session=${sid}&_ws_recv=0`;
  const back = await shakeHands(relayed.gateway.url, { path, headers: { "X-Real-IP": "192.0.2.2" } });
  expect(await told()).toMatchObject({ address: "192.0.2.2" });
  const listed = await relayed.admin("GET", "sockets?address=192.0.2.2");
  expect(listed).toMatchObject({ sessions: [{ id }] });
  upstream.reset();
  const next = await relayed.origin.accept(`${sid}.`);
  const fields = new Map(relayed.origin.seen.at(-1)?.headers.map(([name, value]) => [name.toLowerCase(), value]));
  expect(fields.get("x-forwarded-for")).toBe("192.0.2.2, 127.0.0.1");
  for (const peer of [client, next, ...(back.kind === "open" ? [back.peer] : [])]) peer.destroy();
});

describe("credentials", () => {
  const as = (fields: Readonly<Record<string, string>>, sid: string) =>
    shakeHands(relayed.gateway.url, {
      path: `/again/held?mark=${sid}.&_ws_session=${sid}&_ws_recv=0`,
      headers: fields,
    });

  it("that end while nobody is connected end the session, as whoever comes back is told", async () => {
    const { sid, client, upstream } = await open("again", { "X-Test-Valid-Ms": "1500" });
    client.reset();
    expect((await upstream.behave().ended()).code).toBe(4401);
    const back = await as({}, sid);
    expect(back.kind === "open" && (await back.peer.behave().ended()).code).toBe(4401);
  });

  it("of whoever comes back are what counts from then on: until when, and for the origin that is dialled anew", async () => {
    const { sid, client, upstream } = await open("again", {
      "X-Test-Valid-Ms": "3600000",
      Authorization: "Bearer old",
    });
    const back = await as({ "X-Test-Valid-Ms": "2000", Authorization: "Bearer new" }, sid);
    upstream.reset();
    const next = await relayed.origin.accept(`${sid}.`);
    const fields = relayed.origin.seen.at(-1)?.headers.filter(([name]) => name.toLowerCase() === "authorization");
    expect(fields?.map(([, value]) => value)).toEqual(["Bearer new"]);
    expect((await next.behave().ended()).code).toBe(4401);
    expect(back.kind === "open" && (await back.peer.behave().ended()).code).toBe(4401);
    client.destroy();
  });
});

it("control frames are read for as long as they say something new", async () => {
  const { client, upstream } = await open("held", {}, "&_ws_ctl=1");
  // As many as there may be before the first is acknowledged, and a hello.
  for (let n = 1; n <= 400; n += 1) upstream.text("x");
  for (let n = 0; n <= 400; n += 1) {
    await client.next();
    client.text(`\u0000fg:ack{"n":${n}}`);
  }
  client.text("still here");
  expect(await upstream.hear()).toEqual({ kind: "text", text: "still here" });
  for (let n = 0; n < 300; n += 1) client.text('\u0000fg:ack{"n":400}');
  expect(await client.behave().ended()).toMatchObject({ code: 1002 });
  expect(await upstream.behave().ended()).toMatchObject({ code: 1002 });
});
