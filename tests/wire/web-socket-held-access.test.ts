import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { shakeHands } from "../support/web-socket/client.ts";
import { openHeld } from "../support/web-socket/held-client.ts";
import { fieldOf, heldSessions, newSession, texts } from "../support/web-socket/held-sessions.ts";
import { eventually, startRelayed, type Relayed } from "../support/web-socket/relayed.ts";

const ANY_RATE = { fromClient: { messagesPerSecond: false }, sessionsPerAddress: false };

let relayed: Relayed;

beforeAll(async () => {
  const routes = {
    held: { mode: "held", ...ANY_RATE },
    drained: { mode: "held" },
    paced: { mode: "held", newSessions: { requestsPerWindow: 2, windowSeconds: 3600 } },
    other: { mode: "held", required: true },
  };
  relayed = await startRelayed(routes, {}, "tests/support/relay-entry.ts");
});

afterAll(() => relayed?.stop());

const { open, comeBack, resume, status, inState } = heldSessions(() => relayed);

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
    await inState(id, "open");
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
    const asked = relayed.origin.seen.find(({ target }) => target.includes("drain."));
    const [, id = ""] = asked?.headers.find(([name]) => name === "x-ws-session") ?? [];
    // An order reaches those that are listed.
    await inState(id, "open");
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
  const { sid, id, client, upstream } = await open("drained");
  // An order reaches those that are listed.
  await inState(id, "open");
  await relayed.admin("POST", "sockets/drain?route=drained&spread=0&refuseNew=1m");
  expect((await client.behave().ended()).code).toBe(1012);
  const back = await resume("drained", sid);
  upstream.text("still here");
  expect(await texts(back, 1)).toEqual(["still here"]);
  await eventually("a refusal", async () => {
    const knock = await comeBack("drained", newSession(), "");
    if (knock.kind === "open") knock.peer.destroy();
    return knock.status === 503 || undefined;
  });
  expect((await status("drained", sid)).body).toMatchObject({ live: true });
  upstream.destroy();
});
