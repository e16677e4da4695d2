import { randomBytes } from "node:crypto";
import { startGateway } from "../../support/gateway.ts";
import type { Proof } from "../../support/proof.ts";
import { shakeHands, type HandshakeOptions } from "../../support/web-socket/client.ts";
import { listed } from "../../support/web-socket/crowds.ts";
import { WebSocketOrigin } from "../../support/web-socket/origin.ts";
import type { Peer } from "../../support/web-socket/peer.ts";
import { below, each, rows } from "../../support/web-socket/proofs.ts";
import { eventually, startRelayed, type Relayed } from "../../support/web-socket/relayed.ts";

const SESSIONS = 20;
const LEASE_MS = 60_000;
/** The runtime puts an object away ten seconds after the last thing that happened to it. */
const ASLEEP_MS = 13_000;

/** What is left of sessions whose objects are aborted, put away, or killed with their runtime. */
export async function run(): Promise<readonly Proof[]> {
  const free = { sessionsPerAddress: false };
  const relayed = await startRelayed(
    {
      bridge: { mode: "bridge", ...free },
      held: { mode: "held", ...free },
      splice: { mode: "splice" },
      callback: { callback: {}, ...free },
    },
    {},
    "tests/support/relay-entry.ts",
  );
  try {
    // Both do nothing but wait.
    const waiting = [
      rows("objects that are aborted", () => aborted(relayed), LEASE_MS + 60_000),
      rows("objects that are put away", () => evicted(relayed)),
    ];
    return [...(await Promise.all(waiting)).flat(), ...(await rows("a runtime that is killed", killed))];
  } finally {
    await relayed.stop();
  }
}

interface Opened {
  readonly id: string;
  readonly sid: string;
  readonly client: Peer;
}

async function open(url: string, route: string, more = ""): Promise<Opened> {
  const sid = randomBytes(16).toString("base64url");
  const options: HandshakeOptions = { path: `/${route}/held?mark=${sid}.&_ws_session=${sid}${more}` };
  const made = await shakeHands(url, options);
  if (made.kind !== "open") throw new Error(`a new session was answered ${made.status}`);
  const id = made.headers.find(([name]) => name.toLowerCase() === "x-ws-session")?.[1] ?? "";
  return { id, sid, client: made.peer };
}

function openSome(url: string, route: string): Promise<readonly Opened[]> {
  return Promise.all(Array.from({ length: SESSIONS }, () => open(url, route)));
}

/** What whoever comes back to a session is told. */
async function comeBack(url: string, sid: string): Promise<string> {
  const made = await shakeHands(url, { path: `/held/held?_ws_session=${sid}&_ws_recv=0` });
  return String(made.kind === "open" ? (await made.peer.behave().ended()).code : made.status);
}

async function aborted(relayed: Relayed): Promise<readonly Proof[]> {
  const { url } = relayed.gateway;
  const opened = [...(await openSome(url, "bridge")), ...(await openSome(url, "held"))];
  const upstreams = await Promise.all(opened.map(({ sid }) => relayed.origin.accept(`${sid}.`)));
  const all = () => Promise.all([listed(relayed, "mode=bridge"), listed(relayed, "mode=held")]);
  await eventually("their entries", async () => (await all()).every((count) => count === SESSIONS) || undefined);
  const began = performance.now();
  const ends = [...opened.map(({ client }) => client), ...upstreams].map(async (peer) => {
    await peer.ended();
    return performance.now() - began;
  });
  await Promise.all(opened.map(({ id }) => fetch(url, { headers: { "x-test-abort": id } })));
  const slowest = Math.max(...(await Promise.all(ends)));
  const answers = await Promise.all(opened.slice(SESSIONS).map(({ sid }) => comeBack(url, sid)));
  // A lease that ends is told to nobody, so somebody has to ask.
  while ((await all()).some((count) => count > 0) && performance.now() - began < LEASE_MS + 30_000) {
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  const seconds = (performance.now() - began) / 1_000;
  return [
    below(`ms until both sides of ${opened.length} sessions know that their objects are gone`, 1_000, slowest, ""),
    each(
      "comings back to a session whose object is gone, 4410",
      SESSIONS,
      answers.filter((code) => code !== "4410"),
    ),
    below("s until none of them is listed any more, the lease being 60 s", 61, seconds, ""),
  ];
}

/** Eviction is the runtime's own: of an object that has nothing to do, whose socket stays. */
async function evicted(relayed: Relayed): Promise<readonly Proof[]> {
  const { gateway, origin } = relayed;
  const sleeper = await open(gateway.url, "callback");
  // What the origin answers to the event `connect` and to each message.
  await sleeper.client.next();
  const spliced = await open(gateway.url, "splice");
  const upstream = await origin.accept(`${spliced.sid}.`);
  await new Promise((resolve) => setTimeout(resolve, ASLEEP_MS));
  sleeper.client.text("still there?");
  const heard = await sleeper.client.hear();
  const births = await (await fetch(gateway.url, { headers: { "x-test-births": sleeper.id } })).text();
  const began = performance.now();
  await relayed.admin("DELETE", `sockets/${spliced.id}`);
  const cut = await Promise.all([spliced.client.ended(), upstream.ended()]);
  const ms = performance.now() - began;
  sleeper.client.destroy();
  return [
    {
      promise: "callback: a session goes on whose object was put away and made again",
      bound: "answered, made twice",
      figure: `${heard.kind === "text" ? "answered" : heard.kind}, made ${births === "2" ? "twice" : births}`,
      pass: heard.kind === "text" && births === "2",
    },
    below(
      "splice: ms until one that was idle for 13 s is cut",
      1_000,
      ms,
      `; both ends ${cut.map(({ code }) => code).join(", ")}`,
    ),
  ];
}

async function killed(): Promise<readonly Proof[]> {
  const origin = await WebSocketOrigin.start();
  const routes = ["splice", "bridge", "held"].map((mode) => ({
    id: mode,
    prefix: `/${mode}`,
    target: origin.url,
    webSocket: { mode },
  }));
  const config = { allowPrivateTargets: true, routes };
  let gateway = await startGateway({ config });
  try {
    const { url } = gateway;
    const opened = (await Promise.all(routes.map(({ id }) => openSome(url, id)))).flat();
    const upstreams = await Promise.all(opened.map(({ sid }) => origin.accept(`${sid}.`)));
    const began = performance.now();
    const ends = [...opened.map(({ client }) => client), ...upstreams].map((peer) => peer.ended());
    const told = Promise.all(ends).then(() => performance.now() - began);
    await gateway.kill();
    const ms = await told;
    gateway = await startGateway({ config, port: Number(new URL(url).port) });
    const held = opened.slice(-SESSIONS);
    const answers = await Promise.all(held.map(({ sid }) => comeBack(url, sid)));
    return [
      below(`ms until both sides of ${opened.length} sessions know that the runtime was killed`, 1_000, ms, ""),
      each(
        "comings back to a session that was not stored, 4410",
        SESSIONS,
        answers.filter((code) => code !== "4410"),
      ),
    ];
  } finally {
    await gateway.kill();
    await origin.stop();
  }
}
