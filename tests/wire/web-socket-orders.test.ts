import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { shakeHands } from "../support/web-socket/client.ts";
import type { Peer } from "../support/web-socket/peer.ts";
import { eventually, startRelayed, type Relayed } from "../support/web-socket/relayed.ts";

let relayed: Relayed;

beforeAll(async () => {
  const again = { upstreamReconnect: { minDelay: "20ms" } };
  relayed = await startRelayed(
    {
      slow: { mode: "bridge" },
      held: { held: {} },
      stored: { held: { durable: true, ...again } },
    },
    {},
    "tests/support/relay-entry.ts",
  );
});

afterAll(() => relayed?.stop());

async function inState(route: string, state: string, many: number): Promise<void> {
  await eventually(`${many} ${state}`, async () => {
    const listed = await relayed.admin("GET", `sockets?route=${route}&state=${state}`);
    return JSON.stringify(listed).includes(`"matched":${many},`) || undefined;
  });
}

async function open(route: string, more = "") {
  const sid = randomBytes(16).toString("base64url");
  const [made, upstream] = await Promise.all([
    shakeHands(relayed.gateway.url, { path: `/${route}/held?mark=${sid}.&_ws_session=${sid}${more}` }),
    relayed.origin.accept(`${sid}.`),
  ]);
  if (made.kind !== "open") throw new Error(made.body);
  const [, id = ""] = made.headers.find(([name]) => name.toLowerCase() === "x-ws-session") ?? [];
  return { sid, id, client: made.peer, upstream };
}

async function resume(route: string, sid: string): Promise<Peer> {
  const made = await shakeHands(relayed.gateway.url, { path: `/${route}/held?_ws_session=${sid}&_ws_recv=0` });
  if (made.kind !== "open") throw new Error(made.body);
  return made.peer;
}

async function status(route: string, sid: string): Promise<string> {
  const url = `${relayed.gateway.url}/${route}/held?_ws_session=${sid}`;
  return (await fetch(url, { headers: { accept: "application/json" } })).text();
}

/** Lets handshakes wait for the origin's answer, until what it returns is called. */
function holdBack(): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  relayed.origin.gates.set("/held", promise);
  return () => {
    relayed.origin.gates.clear();
    resolve();
  };
}

it("an order that is spread over a time reaches who is still connecting when it is given", async () => {
  const goOn = holdBack();
  // One more than the registry has shards: one of them spreads.
  const opening = Array.from({ length: 5 }, () => shakeHands(relayed.gateway.url, { path: "/slow/held" }));
  await inState("slow", "connecting", opening.length);
  const told = await relayed.admin("POST", "sockets/close?route=slow&spread=1s&code=4000&reason=enough");
  expect(told).toMatchObject({ matched: opening.length, done: opening.length });
  goOn();
  const ends = opening.map(async (one) => {
    (await relayed.origin.accept()).behave();
    const made = await one;
    return made.kind === "open" ? made.peer.behave().ended() : made;
  });
  expect(await Promise.all(ends)).toEqual(opening.map(() => ({ code: 4000, reason: "enough", by: "fin" })));
});

it("a drain leaves a session alone whose client is away and may come back", async () => {
  const { sid, client, upstream } = await open("held");
  client.reset();
  await inState("held", "held", 1);
  expect(await relayed.admin("POST", "sockets/drain?route=held&spread=0")).toMatchObject({ matched: 1, done: 1 });
  const back = await resume("held", sid);
  upstream.text("still here");
  expect(await back.hear()).toEqual({ kind: "text", text: "still here" });
  upstream.destroy();
});

it("who comes back to a stored session is let in to a route that is drained, however long its origin takes", async () => {
  const { sid, id, client } = await open("stored");
  client.text("one");
  await eventually("it is known", async () => ((await status("stored", sid)).includes('"recv":1') ? true : undefined));
  await relayed.admin("POST", "sockets/drain?route=stored&spread=0&refuseNew=1m");
  expect((await client.behave().ended()).code).toBe(1012);
  await fetch(relayed.gateway.url, { headers: { "x-test-abort": id } });
  const goOn = holdBack();
  const coming = resume("stored", sid);
  await inState("stored", "connecting", 1);
  expect(await relayed.admin("GET", `sockets/${id}`)).toMatchObject({ state: "connecting", resumes: 1 });
  goOn();
  const [back, next] = await Promise.all([coming, relayed.origin.accept()]);
  next.text("still here");
  expect(await back.hear()).toEqual({ kind: "text", text: "still here" });
  next.destroy();
});
