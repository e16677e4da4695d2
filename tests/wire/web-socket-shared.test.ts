import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { beginHandshake, shakeHands, type HandshakeOptions } from "../support/web-socket/client.ts";
import { OPCODES } from "../support/web-socket/frames.ts";
import type { Peer } from "../support/web-socket/peer.ts";
import { eventually, startRelayed, type Relayed } from "../support/web-socket/relayed.ts";

let relayed: Relayed;
let made = 0;

beforeAll(async () => {
  const free = { sessionsPerAddress: false, closeTimeout: "600ms" };
  relayed = await startRelayed({
    fan: { ...free, shared: { between: "anyone", linger: "2s" } },
    own: { ...free, shared: { linger: 0 } },
    few: { ...free, shared: { maxClients: 2, clientMessages: "drop", linger: 0 } },
    window: { ...free, maxBuffered: "4KiB", shared: { window: "8KiB", linger: 0 } },
    newest: { ...free, maxBuffered: "4KiB", shared: { window: "8KiB", overflow: "drop-oldest", linger: 0 } },
    small: { ...free, fromClient: { maxMessage: 10 }, shared: { linger: 0 } },
    back: { ...free, fromClient: { messagesPerSecond: false }, shared: { reconnect: true, linger: 0 } },
    slow: { ...free, handshakeTimeout: "2s", shared: { linger: 0 } },
    two: { sessionsPerAddress: 2, shared: { linger: 0 } },
    idle: { ...free, idle: "400ms", shared: { linger: 0 } },
  });
});

afterAll(() => relayed?.stop());

/** A room that nobody has been in. */
function room(route: string): {
  join: (options?: HandshakeOptions) => Promise<Peer>;
  upstream: () => Promise<Peer>;
  dials: () => number;
} {
  const name = `room=${(made += 1)}.`;
  const path = `/${route}/held?${name}`;
  return {
    async join(options) {
      const handshake = await shakeHands(relayed.gateway.url, { path, ...options });
      if (handshake.kind === "refused") throw new Error(`refused: ${handshake.status} ${handshake.body}`);
      return handshake.peer.behave();
    },
    upstream: () => relayed.origin.accept(name),
    dials: () => relayed.origin.seen.filter(({ target }) => target.includes(name)).length,
  };
}

async function texts(peer: Peer, count: number): Promise<readonly string[]> {
  const seen: string[] = [];
  while (seen.length < count) {
    const heard = await peer.hear();
    if (heard.kind === "close") throw new Error(`closed with ${heard.code} after ${seen.length}`);
    if (heard.kind === "text") seen.push(heard.text);
  }
  return seen;
}

const numbers = (count: number) => Array.from({ length: count }, (_, n) => `message ${n}`);

describe("many clients over one connection", () => {
  it("gives a hundred clients everything in order, though one of them reads nothing, and is dialled once", async () => {
    const { join, upstream, dials } = room("fan");
    const [source, stalled, ...others] = await Promise.all([
      upstream(),
      join(),
      ...Array.from({ length: 99 }, () => join()),
    ]);
    stalled.socket.pause();
    const letters = "x".repeat(32_768);
    const sent = [...Array.from({ length: 64 }, (_, n) => `${n}${letters}`), ...numbers(50)];
    for (const text of sent) source.text(text);
    const heard = await Promise.all(others.map((client) => texts(client, sent.length)));
    expect(heard.filter((one) => one.every((text, n) => text === sent[n]))).toHaveLength(99);
    stalled.socket.resume();
    expect(await texts(stalled, sent.length)).toEqual(sent);
    expect(dials()).toBe(1);
    const clients = [stalled, ...others];
    for (const client of clients) client.close(1000);
    await Promise.all(clients.map((client) => client.ended()));
    expect(await source.behave().ended()).toMatchObject({ code: 1001, reason: "no client left" });
  });

  it("gives who comes late what is said from then on, and keeps the connection for who comes back soon", async () => {
    const { join, upstream, dials } = room("fan");
    const [source, early] = await Promise.all([upstream(), join()]);
    source.text("before");
    expect(await texts(early, 1)).toEqual(["before"]);
    early.close(1000);
    await early.ended();
    const late = await join();
    source.binary(Buffer.from([1, 2]));
    source.text("after");
    expect([await late.hear(), await late.hear()]).toEqual([
      { kind: "binary", bytes: 2 },
      { kind: "text", text: "after" },
    ]);
    expect(dials()).toBe(1);
    late.destroy();
    await source.behave().ended();
    const [anew, again] = await Promise.all([upstream(), join()]);
    anew.text("new");
    expect(await texts(again, 1)).toEqual(["new"]);
    expect(dials()).toBe(2);
    again.destroy();
  });

  it("passes on what clients say, each in its order, or nothing of it", async () => {
    const spoken = room("own");
    const [source, one, other] = await Promise.all([spoken.upstream(), spoken.join(), spoken.join()]);
    for (const text of numbers(20)) {
      one.text(`one ${text}`);
      other.text(`other ${text}`);
    }
    const heard = await texts(source, 40);
    for (const who of ["one", "other"]) {
      expect(heard.filter((text) => text.startsWith(who))).toEqual(numbers(20).map((text) => `${who} ${text}`));
    }
    one.destroy();
    other.destroy();
    const mute = room("few");
    const [quiet, client] = await Promise.all([mute.upstream(), mute.join()]);
    client.text("unheard");
    client.close(1000);
    await client.ended();
    expect(await quiet.hear()).toMatchObject({ kind: "close", code: 1001 });
    quiet.destroy();
  });

  it("tells everybody of the end of the upstream", async () => {
    const { join, upstream } = room("own");
    const [source, ...clients] = await Promise.all([upstream(), join(), join(), join()]);
    source.text("last");
    source.behave().close(4321, "that was all");
    for (const client of clients) expect(await texts(client, 1)).toEqual(["last"]);
    const end = { code: 4321, reason: "that was all", by: "fin" };
    expect(await Promise.all(clients.map((client) => client.ended()))).toEqual([end, end, end]);
    const line = await relayed.line("web-socket", ({ closeCode }) => closeCode === 4321);
    expect(line).toMatchObject({ mode: "shared", route: "own", endedBy: "upstream", messagesOut: 1, bytesOut: 4 });
  });
});

describe("who shares", () => {
  const bearer = (token: string) => ({ headers: { Authorization: `Bearer ${token}` } });

  it("only who sends the same credentials, unless the route says that anyone may: then none are sent", async () => {
    const own = room("own");
    const same = await Promise.all([own.join(bearer("a")), own.join(bearer("a")), own.upstream()]);
    const others = await Promise.all([own.join(bearer("b")), own.upstream()]);
    const anonymous = await Promise.all([own.join(), own.upstream()]);
    expect(own.dials()).toBe(3);
    const anyone = room("fan");
    const all = await Promise.all([
      anyone.join(bearer("a")),
      anyone.join({ headers: { Cookie: "who=b" } }),
      anyone.upstream(),
    ]);
    expect(anyone.dials()).toBe(1);
    const { headers } = relayed.origin.seen.at(-1) ?? {};
    expect(headers?.filter(([name]) => /^(authorization|cookie|x-forwarded-for)$/i.test(name))).toEqual([]);
    for (const peer of [...same, ...others, ...anonymous, ...all]) peer.destroy();
  });

  it("only who offers the same protocols, and all of them are told which is spoken", async () => {
    const { join, upstream, dials } = room("fan");
    const offer = { headers: { "Sec-WebSocket-Protocol": "chat, other" } };
    const peers = await Promise.all([join(offer), join(offer), upstream()]);
    const more = await Promise.all([join(), upstream()]);
    expect(dials()).toBe(2);
    for (const peer of [...peers, ...more]) peer.destroy();
  });

  it("no more than may", async () => {
    const { join, upstream } = room("few");
    const peers = await Promise.all([join(), join(), upstream()]);
    await expect(join()).rejects.toThrow(/refused: 429 .*too-many-connections/);
    peers[0].close(1000);
    await peers[0].ended();
    peers.push(await join());
    for (const peer of peers) peer.destroy();
  });

  it("who is refused by the origin is told its status, all of those that waited", async () => {
    const { origin, gateway } = relayed;
    origin.answers.set(
      "/shut",
      "HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\nX-Why: full\r\nConnection: close\r\n\r\nno!",
    );
    const answers = await Promise.all(Array.from({ length: 5 }, () => shakeHands(gateway.url, { path: "/fan/shut" })));
    expect(answers.map(({ status }) => status)).toEqual([403, 403, 403, 403, 403]);
    expect(origin.seen.filter(({ target }) => target === "/shut").length).toBeLessThanOrEqual(5);
  });
});

describe("what one client may cost", () => {
  it("one that says what it may not is closed, and nobody else", async () => {
    const { join, upstream } = room("small");
    const [source, bad, good] = await Promise.all([upstream(), join(), join()]);
    bad.text("12345678901");
    expect((await bad.ended()).code).toBe(1009);
    good.text("1234567890");
    expect(await texts(source, 1)).toEqual(["1234567890"]);
    good.destroy();
  });

  it("one that has not spoken for a window is closed with 1013, and those that speak hear everything", async () => {
    const { join, upstream } = room("window");
    const [source, silent, live] = await Promise.all([upstream(), join(), join()]);
    const kib = "k".repeat(1_024);
    for (let n = 0; n < 16; n++) {
      source.text(`${n} ${kib}`);
      expect(await texts(live, 1)).toEqual([`${n} ${kib}`]);
      live.text("here");
      expect(await texts(source, 1)).toEqual(["here"]);
    }
    expect((await silent.ended()).code).toBe(1013);
    live.destroy();
  });

  it("is so too where almost nothing is said, many times", async () => {
    const { join, upstream } = room("window");
    const [source, silent] = await Promise.all([upstream(), join()]);
    for (let n = 0; n < 60; n++) source.text("");
    expect((await silent.ended()).code).toBe(1013);
  });

  it("or hears the newest of what it has missed, when it speaks again", async () => {
    const { join, upstream } = room("newest");
    const [source, client] = await Promise.all([upstream(), join()]);
    const kib = "k".repeat(1_020);
    for (let n = 0; n < 30; n++) source.text(`${String(n).padStart(3, "0")} ${kib}`);
    // What the gateway answers last it has read last: until then there may be more that the client misses.
    source.frame(OPCODES.ping, "all");
    const first = await texts(client, 8);
    expect(await source.hear()).toEqual({ kind: "pong", text: "all" });
    client.text("again");
    expect(await texts(source, 1)).toEqual(["again"]);
    const rest = await texts(client, 4);
    expect([...first, ...rest].map((text) => Number(text.slice(0, 3)))).toEqual([
      0, 1, 2, 3, 4, 5, 6, 7, 26, 27, 28, 29,
    ]);
    client.close(1000);
    await client.ended();
    const line = await relayed.line("web-socket", ({ route }) => route === "newest");
    expect(line).toMatchObject({ dropped: 18, messagesOut: 12, messagesIn: 1 });
  });

  it("one that is silent while nothing is said to it is closed with 4408", async () => {
    const { join } = room("idle");
    expect((await (await join()).ended()).code).toBe(4408);
  });
});

describe("clients that leave badly", () => {
  it("one that answers no close is dropped when nobody else is left, with its object", async () => {
    const { join, upstream } = room("small");
    const [source, bad, good] = await Promise.all([upstream(), join(), join()]);
    bad.onFrame = undefined;
    bad.text("12345678901");
    expect(await bad.hear()).toMatchObject({ kind: "close", code: 1009 });
    await relayed.line("web-socket", ({ route, closeCode, durationMs }) => {
      return route === "small" && closeCode === 1009 && Number(durationMs) >= 600;
    });
    expect(bad.isEnded).toBe(false);
    source.behave();
    good.close(1000);
    await good.ended();
    expect(await source.ended()).toMatchObject({ code: 1001 });
    await bad.ended();
  });

  it("one that leaves while the upstream is dialled takes nothing from those that wait with it", async () => {
    const { origin, gateway } = relayed;
    const path = "/slow/hang";
    const gone = await beginHandshake(gateway.url, { path });
    await eventually("the dial", () => Promise.resolve(origin.hanging > 0 || undefined));
    const others = [shakeHands(gateway.url, { path }), shakeHands(gateway.url, { path })];
    gone.destroy();
    const waiting = await Promise.all(others);
    expect(waiting.map(({ status }) => status)).toEqual([504, 504]);
    await eventually("no dial", () => Promise.resolve(origin.hanging === 0 || undefined));
  });

  it("no address has more of them than it may, and all places are free again", async () => {
    const { join, upstream } = room("two");
    const [source, one, other] = await Promise.all([upstream(), join(), join()]);
    await expect(join()).rejects.toThrow(/refused: 429/);
    for (const peer of [one, other]) peer.close(1000);
    await Promise.all([one.ended(), other.ended(), source.behave().ended()]);
    const again = await eventually("a place", () => join().catch(() => undefined));
    again.destroy();
  });
});

describe("what operators do", () => {
  it("list each client, send to one of them, and close it alone", async () => {
    const { join, upstream } = room("own");
    const [source, one, other] = await Promise.all([upstream(), join(), join()]);
    const sessions = await eventually("both", async () => {
      const told: { sessions: { id: string; openedAt: number }[] } = JSON.parse(
        JSON.stringify(await relayed.admin("GET", "sockets?mode=shared&route=own&state=open")),
      );
      return told.sessions.length === 2 ? told.sessions : undefined;
    });
    const [id = ""] = sessions.map((session) => session.id);
    await relayed.admin("DELETE", `sockets/${id}?code=4000&reason=bye`);
    const end = await Promise.race([one.ended(), other.ended()]);
    expect(end).toEqual({ code: 4000, reason: "bye", by: "fin" });
    source.text("still here");
    const left = one.isEnded ? other : one;
    expect(await texts(left, 1)).toEqual(["still here"]);
    left.destroy();
  });
});

describe("an upstream that is lost", () => {
  it("is dialled again while its clients stay, and hears what they said meanwhile", async () => {
    const { join, upstream, dials } = room("back");
    const [source, ...clients] = await Promise.all([upstream(), join(), join()]);
    source.text("before");
    for (const client of clients) expect(await texts(client, 1)).toEqual(["before"]);
    relayed.origin.answers.set("/held", "HTTP/1.1 503 Not Now\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    source.reset();
    // It has been dialled in vain, so what is said now waits.
    await eventually("another dial", () => Promise.resolve(dials() > 1 || undefined));
    clients[0]?.text("meanwhile");
    relayed.origin.answers.delete("/held");
    const again = await upstream();
    expect(await texts(again, 1)).toEqual(["meanwhile"]);
    again.text("after");
    for (const client of clients) expect(await texts(client, 1)).toEqual(["after"]);
    again.behave().close(1000);
    expect(await Promise.all(clients.map((client) => client.ended()))).toMatchObject([{ code: 1000 }, { code: 1000 }]);
  });

  it("is not waited for with more than may be kept, be it empty messages", async () => {
    const { join, upstream, dials } = room("back");
    const [source, client] = await Promise.all([upstream(), join()]);
    relayed.origin.answers.set("/held", "HTTP/1.1 503 Not Now\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    source.reset();
    await eventually("another dial", () => Promise.resolve(dials() > 1 || undefined));
    for (let n = 0; n < 1_100; n += 1) client.text("");
    expect((await client.ended()).code).toBe(1013);
    relayed.origin.answers.delete("/held");
  });

  it("and does not want them any more, is 1014 for them at once", async () => {
    const { join, upstream } = room("back");
    const [source, ...clients] = await Promise.all([upstream(), join(), join()]);
    relayed.origin.answers.set("/held", "HTTP/1.1 401 Who\r\nContent-Length: 3\r\nConnection: close\r\n\r\nyou");
    source.reset();
    expect(await Promise.all(clients.map((client) => client.ended()))).toMatchObject([{ code: 1014 }, { code: 1014 }]);
    relayed.origin.answers.delete("/held");
  });

  it("again and again, as soon as it is there, is dialled ever more rarely", async () => {
    const { join, upstream } = room("back");
    const [source, client] = await Promise.all([upstream(), join()]);
    const before = performance.now();
    source.behave().close(1013);
    for (let dials = 1; dials <= 4; dials += 1) (await upstream()).behave().close(1013);
    // Of 100 ms, doubled each time, half at least.
    expect(performance.now() - before).toBeGreaterThanOrEqual(740);
    client.destroy();
  });
});
