import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { beginHandshake, shakeHands, type Handshake } from "../support/web-socket/client.ts";
import { openHeld } from "../support/web-socket/held-client.ts";
import type { Peer } from "../support/web-socket/peer.ts";
import { eventually, startRelayed, type Relayed } from "../support/web-socket/relayed.ts";
import { numbered, storm } from "../support/web-socket/storm.ts";

const ANY_RATE = { fromClient: { messagesPerSecond: false }, sessionsPerAddress: false };
const NEW_SESSION = { code: 4410, reason: "this session is gone", by: "fin" };

let relayed: Relayed;

beforeAll(async () => {
  relayed = await startRelayed(
    {
      held: { mode: "held", ...ANY_RATE },
      elsewhere: { held: { durable: true } },
      stored: { held: { durable: true }, ...ANY_RATE },
      short: { held: { hold: "500ms", ringMessages: 3 }, closeTimeout: "600ms", handshakeTimeout: "400ms" },
      leaving: { held: { resumeOn1001: true } },
      drained: { mode: "held" },
      paced: { mode: "held", newSessions: { requestsPerWindow: 2, windowSeconds: 3600 } },
      other: { mode: "held", required: true },
      again: { held: { upstreamReconnect: { replayFirst: 1, minDelay: "20ms", giveUp: "400ms", queueMessages: 3 } } },
    },
    {},
    "tests/support/relay-entry.ts",
  );
});

afterAll(() => relayed?.stop());

interface Opened {
  readonly sid: string;
  readonly id: string;
  readonly client: Peer;
  readonly upstream: Peer;
}

function fieldOf({ headers }: Handshake, name: string): string | undefined {
  return headers.find(([one]) => one.toLowerCase() === name)?.[1];
}

/** Opens a session that can be resumed. */
async function open(route: string, more = ""): Promise<Opened> {
  const sid = randomBytes(16).toString("base64url");
  const [made, upstream] = await Promise.all([
    shakeHands(relayed.gateway.url, { path: `/${route}/held?mark=${sid}.&_ws_session=${sid}${more}` }),
    relayed.origin.accept(`${sid}.`),
  ]);
  if (made.kind !== "open") throw new Error(made.body);
  return { sid, id: fieldOf(made, "x-ws-session") ?? "", client: made.peer, upstream };
}

function comeBack(route: string, sid: string, more = "&_ws_recv=0"): Promise<Handshake> {
  return shakeHands(relayed.gateway.url, { path: `/${route}/held?_ws_session=${sid}${more}` });
}

/** Comes back, and is let in. */
async function resume(route: string, sid: string, more?: string): Promise<Peer> {
  const made = await comeBack(route, sid, more);
  if (made.kind !== "open") throw new Error(made.body);
  return made.peer;
}

async function status(route: string, sid: string): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`${relayed.gateway.url}/${route}/held?_ws_session=${sid}`, {
    headers: { accept: "application/json" },
  });
  return { status: response.status, body: await response.json() };
}

async function texts(peer: Peer, count: number): Promise<unknown[]> {
  const heard: unknown[] = [];
  while (heard.length < count) {
    const one = await peer.hear();
    heard.push("text" in one ? one.text : one);
  }
  return heard;
}

/** Told by another process. */
function inState(id: string, state: string): Promise<Record<string, unknown>> {
  return eventually(`a session that is ${state}`, async () => {
    const told: Record<string, unknown> = JSON.parse(JSON.stringify(await relayed.admin("GET", `sockets/${id}`)));
    return told["state"] === state ? told : undefined;
  });
}

describe("a session whose connection is lost", () => {
  it.each([
    ["held", false, 1],
    ["held", true, 2],
    ["stored", true, 3],
    ["stored", false, 4],
  ] as const)("%s (control frames: %s): goes on through resets and take-overs", async (route, control, seed) => {
    const total = 900;
    const end = await storm(relayed, route, { messages: total, resets: 20, takeovers: 10, seed, control });
    expect(end.toOrigin).toEqual(numbered("c", total));
    expect(end.toClient).toEqual(numbered("s", total));
    expect(end.told.filter((what) => what !== "reconnecting" && what !== "resumed")).toEqual(["open", "close 1000 "]);
    expect(end.told.filter((what) => what === "resumed").length).toBeGreaterThan(20);
  });

  it("waits for its client, which is sent what it has missed, as operators see", async () => {
    const { sid, id, client, upstream } = await open("held");
    client.text("one");
    expect(await texts(upstream, 1)).toEqual(["one"]);
    upstream.text("A");
    expect(await texts(client, 1)).toEqual(["A"]);
    client.reset();
    expect(await inState(id, "held")).toMatchObject({ route: "held", mode: "held", resumes: 0 });
    for (const text of ["B", "C"]) upstream.text(text);
    const told = await eventually("what came meanwhile", async () => {
      const found = await status("held", sid);
      return JSON.stringify(found).includes('"sent":3') ? found : undefined;
    });
    const epoch: unknown = expect.stringMatching(/^[0-9a-f-]{36}$/);
    const known = { epoch, recv: 1, sent: 3, oldest: 1, live: false, restarts: 0, connection: 1, over: false };
    expect(told).toEqual({ status: 200, body: known });
    const made = await comeBack("held", sid, "&_ws_recv=1");
    expect([made.status, fieldOf(made, "x-ws-recv"), fieldOf(made, "x-ws-session")]).toEqual([101, "1", id]);
    expect(told.body).toMatchObject({ epoch: fieldOf(made, "x-ws-epoch") });
    if (made.kind !== "open") throw new Error("refused");
    expect(await texts(made.peer, 2)).toEqual(["B", "C"]);
    expect(await inState(id, "open")).toMatchObject({ resumes: 1 });
    upstream.behave();
    made.peer.behave().close(4000, "bye");
    expect(await upstream.ended()).toMatchObject({ code: 4000, reason: "bye" });
    expect(await (await resume("held", sid)).behave().ended()).toEqual(NEW_SESSION);
    const line = await relayed.line("web-socket", ({ session }) => session === id);
    expect(line).toMatchObject({ closeCode: 4000, resumes: 1, replayed: 2, reconnects: 0 });
  });

  it("shows the origin nothing of what is between client and gateway", async () => {
    const { sid, id, upstream } = await open("held", "&_ws_ctl=1&%5fws_more=7");
    const seen = relayed.origin.seen.find(({ target }) => target.includes(`${sid}.`));
    expect(seen?.target).toBe(`/held?mark=${sid}.`);
    const fields = seen?.headers.filter(([name]) => name.toLowerCase().startsWith("x-ws-"));
    expect(fields).toEqual([["x-ws-session", id]]);
    expect(seen?.rawHead).not.toContain(`=${sid}&`);
    upstream.destroy();
  });

  it("is taken over by whoever comes: 4409 for the other, whose late messages don't count", async () => {
    const { sid, client, upstream } = await open("held");
    client.text("1");
    expect(await texts(upstream, 1)).toEqual(["1"]);
    const next = await resume("held", sid);
    client.text("late");
    next.text("2");
    expect(await texts(upstream, 1)).toEqual(["2"]);
    expect((await client.behave().ended()).code).toBe(4409);
    upstream.text("A");
    expect(await texts(next, 1)).toEqual(["A"]);
    expect((await status("held", sid)).body).toMatchObject({ recv: 2, live: true });
    upstream.destroy();
  });

  it("ends when nobody comes in time: 1001 for the origin, 4410 for whoever is late", async () => {
    const { sid, client, upstream } = await open("short");
    client.reset();
    expect(await upstream.behave().ended()).toMatchObject({ code: 1001, reason: "client lost" });
    expect(await (await resume("short", sid)).behave().ended()).toEqual(NEW_SESSION);
    expect((await status("short", sid)).status).toBe(404);
  });

  it("ends when more comes than can be held: 1013 for the origin, 4413 for its client", async () => {
    const { sid, id, client, upstream } = await open("short");
    client.reset();
    await inState(id, "held");
    for (const text of ["1", "2", "3", "4"]) upstream.text(text);
    expect((await upstream.behave().ended()).code).toBe(1013);
    expect((await (await resume("short", sid)).behave().ended()).code).toBe(4413);
  });

  it("ends with the credentials of its client, though that is away", async () => {
    const sid = randomBytes(16).toString("base64url");
    const [made, upstream] = await Promise.all([
      shakeHands(relayed.gateway.url, {
        path: `/held/held?mark=${sid}.&_ws_session=${sid}`,
        headers: { "X-Test-Valid-Ms": "400" },
      }),
      relayed.origin.accept(`${sid}.`),
    ]);
    if (made.kind !== "open") throw new Error(made.body);
    made.peer.reset();
    expect(await upstream.behave().ended()).toMatchObject({ code: 4401, reason: "credentials expired" });
    expect((await (await resume("held", sid)).behave().ended()).code).toBe(4401);
  });

  it("tells a client that was away what the origin said last, and how it closed", async () => {
    const { sid, id, client, upstream } = await open("held");
    client.reset();
    await inState(id, "held");
    upstream.text("last words");
    upstream.behave().close(4001, "done");
    expect(await upstream.ended()).toMatchObject({ code: 4001 });
    const back = await resume("held", sid);
    expect(await texts(back, 1)).toEqual(["last words"]);
    expect(await back.behave().ended()).toMatchObject({ code: 4001, reason: "done" });
  });

  it.each([
    ["held", 1001, { code: 1001 }],
    ["leaving", 1012, undefined],
    ["leaving", 1001, undefined],
  ] as const)("%s: a client's %d ends it, or not", async (route, code, end) => {
    const { sid, id, client, upstream } = await open(route);
    client.behave().close(code);
    if (end !== undefined) {
      expect(await upstream.behave().ended()).toMatchObject(end);
      return;
    }
    await inState(id, "held");
    const back = await resume(route, sid);
    upstream.text("still here");
    expect(await texts(back, 1)).toEqual(["still here"]);
    upstream.destroy();
  });
});

describe("who is let in to a session", () => {
  const made = "m".repeat(22);
  it.each([
    ["one that never was", "held", `_ws_session=${made}&_ws_recv=0`, 4410],
    ["a count without a session", "held", "_ws_recv=0", 400],
    ["an id that can be guessed", "held", "_ws_session=short&_ws_recv=0", 400],
    ["a count that is none", "held", `_ws_session=${made}&_ws_recv=-1`, 400],
  ] as const)("%s", async (_what, route, query, expected) => {
    const answer = await shakeHands(relayed.gateway.url, { path: `/${route}/held?${query}` });
    expect(answer.kind === "open" ? (await answer.peer.behave().ended()).code : answer.status).toBe(expected);
  });

  it("refuses what cannot be, and changes nothing by that", async () => {
    const { sid, client, upstream } = await open("held");
    const codes = async (route: string, more: string) => {
      const answer = await comeBack(route, sid, more);
      return answer.kind === "open" ? (await answer.peer.behave().ended()).code : answer.status;
    };
    expect({
      another: await codes("other", "&_ws_recv=0"),
      status: (await status("other", sid)).status,
      again: await codes("held", ""),
      more: await codes("held", "&_ws_recv=5"),
      level: await codes("held", "&_ws_recv=0&_ws_ctl=1"),
    }).toEqual({ another: 403, status: 403, again: 4409, more: 4410, level: 400 });
    client.text("unimpressed");
    expect(await texts(upstream, 1)).toEqual(["unimpressed"]);
    upstream.destroy();
  });

  it("asks every policy again when its client comes back", async () => {
    const { sid, client, upstream } = await open("paced");
    const back = await resume("paced", sid);
    expect((await client.behave().ended()).code).toBe(4409);
    const refused = await comeBack("paced", sid);
    expect([refused.status, refused.kind === "refused" && JSON.parse(refused.body)]).toMatchObject([
      429,
      { code: "too-many-connections" },
    ]);
    back.text("still here");
    expect(await texts(upstream, 1)).toEqual(["still here"]);
    upstream.destroy();
  });

  it("answers who has offered protocols with one, as a browser wants to read the code", async () => {
    const refused = await shakeHands(relayed.gateway.url, {
      path: `/held/held?_ws_session=${made}&_ws_recv=0`,
      headers: { "Sec-WebSocket-Protocol": "mqtt, chat" },
    });
    expect([refused.status, fieldOf(refused, "sec-websocket-protocol")]).toEqual([101, "mqtt"]);
  });

  it("refuses plain requests that ask for nothing, where handshakes alone are served", async () => {
    const response = await fetch(`${relayed.gateway.url}/other/held?_ws_session=${made}`);
    expect(response.status).toBe(426);
  });

  it("ends a session of a client that cannot come back as soon as it is lost", async () => {
    const { client, upstream } = await relayed.open("held");
    client.reset();
    expect((await upstream.behave().ended()).code).toBe(1001);
  });
});

describe("what operators do with a session", () => {
  it("show what passes", async () => {
    const { id, client, upstream } = await open("held");
    const stop = new AbortController();
    const url = `${relayed.gateway.url}/admin/sockets/${id}/tap`;
    const headers = { authorization: `Bearer ${relayed.gateway.adminToken}` };
    const tap = await fetch(url, { headers, signal: stop.signal });
    expect([tap.status, tap.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
    expect((await fetch(url, { headers })).status).toBe(429);
    client.text('{"password":"secret","n":1}');
    await texts(upstream, 1);
    upstream.binary(Buffer.from([1, 2]));
    let shown = "";
    for await (const text of tap.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      shown += text;
      if (shown.split("\n\n").length >= 3) break;
    }
    const events = shown
      .split("\n\n")
      .filter(Boolean)
      .map((event): unknown => JSON.parse(event.split("data: ")[1] ?? ""));
    expect(events).toMatchObject([
      { n: 1, direction: "in", type: "text", data: '{"password":"[redacted]","n":1}' },
      { n: 2, direction: "out", type: "binary", base64: "AQI=" },
    ]);
    stop.abort();
    await eventually("the tap's end", async () => {
      // Who has left is noticed when there is something to write.
      upstream.text("news");
      const again = new AbortController();
      const answer = await fetch(url, { headers, signal: again.signal });
      again.abort();
      return answer.status === 200 || undefined;
    });
    upstream.destroy();
  });

  it("ask clients to come back, with 1012, and the session goes on", async () => {
    const client = await openHeld(`${relayed.gateway.url}/held/held?mark=drain.`, { control: true });
    const upstream = await relayed.origin.accept("drain.");
    const listed: { sessions: { id: string; route: string; state: string }[] } = JSON.parse(
      JSON.stringify(await relayed.admin("GET", "sockets?route=held&state=open")),
    );
    expect(listed.sessions.length).toBeGreaterThan(0);
    await relayed.admin("POST", "sockets/close?route=held&code=1012&reason=deploy");
    await client.until(() => client.told.includes("resumed"));
    upstream.text("still here");
    await client.until(() => client.got.length === 1);
    expect([client.got, client.told.at(-1), client.socket.readyState]).toEqual([["still here"], "resumed", 1]);
    client.socket.close(1000);
    upstream.behave();
    expect(await upstream.ended()).toMatchObject({ code: 1000 });
  });
});

it("a route that is drained lets those in that come back, and nobody else", async () => {
  const { sid, client, upstream } = await open("drained");
  await relayed.admin("POST", "sockets/drain?route=drained&spread=0&refuseNew=1m");
  expect((await client.behave().ended()).code).toBe(1012);
  const back = await resume("drained", sid);
  upstream.text("still here");
  expect(await texts(back, 1)).toEqual(["still here"]);
  await eventually("a refusal", async () => {
    const knock = await comeBack("drained", randomBytes(16).toString("base64url"), "");
    if (knock.kind === "open") knock.peer.destroy();
    return knock.status === 503 || undefined;
  });
  expect((await status("drained", sid)).body).toMatchObject({ live: true });
  upstream.destroy();
});

describe("an origin that is lost", () => {
  it("is dialled again, told first what it was told first, then what has waited", async () => {
    const { id, sid, client, upstream } = await open("again");
    client.text("I am");
    client.text("two");
    expect(await texts(upstream, 2)).toEqual(["I am", "two"]);
    upstream.reset();
    client.text("three");
    const next = await relayed.origin.accept(`${sid}.`);
    expect(await texts(next, 1)).toEqual(["I am"]);
    // Its client has heard that before.
    next.text("welcome");
    expect(await texts(next, 1)).toEqual(["three"]);
    const seen = relayed.origin.seen.findLast(({ target }) => target.includes(`${sid}.`));
    expect(seen?.headers.find(([name]) => name === "x-ws-reconnect")).toEqual(["x-ws-reconnect", "1"]);
    next.text("A");
    expect(await texts(client, 1)).toEqual(["A"]);
    expect(await inState(id, "open")).toMatchObject({ upstream: relayed.origin.url, resumes: 0 });
    next.behave().close(1012);
    const third = await relayed.origin.accept(`${sid}.`);
    expect(await texts(third, 1)).toEqual(["I am"]);
    third.behave().close(4000, "over");
    expect(await client.behave().ended()).toMatchObject({ code: 4000, reason: "over" });
    const line = await relayed.line("web-socket", ({ session }) => session === id);
    expect(line).toMatchObject({ resumes: 0, replayed: 0, reconnects: 2 });
  });

  it("that does not come back is 1014 for the client, in the end", async () => {
    const { id, client, upstream } = await open("again");
    relayed.origin.answers.set("/held", "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    upstream.reset();
    await inState(id, "reconnecting");
    expect((await client.behave().ended()).code).toBe(1014);
    relayed.origin.answers.delete("/held");
  });

  it("that does not want it any more is 1014 at once, and so is one that says another protocol", async () => {
    const { client, upstream } = await open("again");
    relayed.origin.answers.set("/held", "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
    upstream.reset();
    expect((await client.behave().ended()).code).toBe(1014);
    relayed.origin.answers.delete("/held");
  });

  it("is waited for with so many messages, and no more", async () => {
    const { id, client, upstream } = await open("again");
    relayed.origin.answers.set("/held", "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    upstream.reset();
    await inState(id, "reconnecting");
    for (const text of ["1", "2", "3", "4"]) client.text(text);
    expect((await client.behave().ended()).code).toBe(1013);
    relayed.origin.answers.delete("/held");
  });
});

it("counts who came back, what was sent again, and what came of dialling again", async () => {
  const counts = await eventually("what was counted", async () => {
    const told: { routes: Record<string, Record<string, number>> } = JSON.parse(
      JSON.stringify(await relayed.admin("GET", "sockets?summary=true")),
    );
    const { again = {}, held = {}, short = {} } = told.routes;
    const outcomes = ["open", "failed", "refused", "gave-up"].map((outcome) => again[`upstreamReconnects.${outcome}`]);
    const closed = [again["budgetClosed"], short["budgetClosed"]];
    const rest = [held["resumes.done"], held["replayed"], short["resumes.4413"]];
    return [...outcomes, ...closed, ...rest].every(Boolean) ? { again, held, outcomes, closed } : undefined;
  });
  // A session that has ended may have dialled once more.
  const [opened = 0] = counts.outcomes;
  expect(opened).toBeGreaterThanOrEqual(2);
  expect(counts.closed).toEqual([1, 1]);
  // Two messages had no answer when the first connection was lost.
  expect(counts.again["inFlightUnknown"]).toBeGreaterThanOrEqual(2);
  expect(counts.held["resumes.4410"]).toBeGreaterThan(0);
  expect(counts.held["handshakes.turned-away"]).toBeGreaterThanOrEqual(counts.held["resumes.4410"] ?? 0);
});

it("an object that is aborted takes its session with it: the client sees that at once, and is told 4410", async () => {
  const { sid, id, client, upstream } = await open("held");
  await fetch(relayed.gateway.url, { headers: { "x-test-abort": id } });
  expect([(await client.ended()).code, (await upstream.ended()).code]).toEqual([1006, 1006]);
  expect(await (await resume("held", sid)).behave().ended()).toEqual(NEW_SESSION);
});

it("a stored one outlives its object: the origin is dialled anew, and the session goes on", async () => {
  const { sid, id, client, upstream } = await open("stored");
  client.text("1");
  await texts(upstream, 1);
  upstream.text("A");
  upstream.text("B");
  await texts(client, 2);
  expect((await status("stored", sid)).body).toMatchObject({ recv: 1, sent: 2, restarts: 0 });
  await fetch(relayed.gateway.url, { headers: { "x-test-abort": id } });
  expect((await client.ended()).code).toBe(1006);
  expect((await status("elsewhere", sid)).status).toBe(403);
  expect((await comeBack("elsewhere", sid)).status).toBe(403);
  expect((await status("stored", sid)).body).toMatchObject({ recv: 1, sent: 2, live: false, restarts: 1 });
  const back = await resume("stored", sid, "&_ws_recv=1&mark=anew.");
  const anew = await relayed.origin.accept("anew.");
  expect(await texts(back, 1)).toEqual(["B"]);
  anew.text("C");
  expect(await texts(back, 1)).toEqual(["C"]);
  back.text("2");
  expect(await texts(anew, 1)).toEqual(["2"]);
  expect((await status("stored", sid)).body).toMatchObject({ recv: 2, sent: 3, live: true, restarts: 1 });
  expect(await inState(id, "open")).toMatchObject({ mode: "held", resumes: 1 });
  back.behave().close(1000);
  await anew.behave().ended();
  expect(await (await resume("stored", sid)).behave().ended()).toEqual(NEW_SESSION);
});

it("a handshake that hangs up while the origin is dialled leaves no session", async () => {
  const sid = randomBytes(16).toString("base64url");
  const knock = await beginHandshake(relayed.gateway.url, { path: `/short/hang?_ws_session=${sid}` });
  await eventually("the dial", () => Promise.resolve(relayed.origin.hanging > 0 || undefined));
  knock.destroy();
  await eventually("its end", () => Promise.resolve(relayed.origin.hanging === 0 || undefined));
  expect((await status("short", sid)).status).toBe(404);
});
