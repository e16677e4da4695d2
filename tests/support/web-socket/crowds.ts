import type { Proof } from "../proof.ts";
import { residentKiB } from "./measure.ts";
import type { Peer } from "./peer.ts";
import { below, open, start } from "./proofs.ts";
import { eventually, startRelayed, type Relayed } from "./relayed.ts";

/** Memory of sessions that do nothing, and how soon all of them are gone when they are told to. */
export async function idle(): Promise<readonly Proof[]> {
  const relayed = await start();
  try {
    (await open(relayed, "bridge")).finish();
    const pid = relayed.gateway.workerdPid;
    const before = residentKiB(pid);
    const most = 500;
    const peers = await crowd(relayed, most);
    const perSession = (residentKiB(pid) - before) / most;
    const heard = peers.map((peer) => peer.next());
    const toldAt = performance.now();
    await Promise.all([...heard, relayed.say("sockets/broadcast?all=true", "hello")]);
    const broadcastMs = performance.now() - toldAt;
    const ended = peers.map((peer) => peer.behave().ended());
    const began = performance.now();
    await relayed.admin("POST", "sockets/close?all=true&code=4000&reason=gate");
    const ends = await Promise.all(ended);
    const ms = performance.now() - began;
    const isClean = ends.every(({ code, by }) => code === 4000 && by === "fin");
    await eventually("none of them", async () => (await listed(relayed)) === 0 || undefined);
    const spread = await drained(relayed, await crowd(relayed, most));
    return [
      below(`ms until ${most} sessions have a broadcast`, 150, broadcastMs, ""),
      below(`furthest of ${most} sessions that are drained from its even place, of the time for all`, 0.1, spread, ""),
      below("KiB a bridged session that is idle", 200, perSession, ""),
      below(
        `ms until ${most} sessions that are kicked have a Close frame and a FIN`,
        250,
        ms,
        isClean ? "" : "; not all with both",
      ),
    ];
  } finally {
    await relayed.stop();
  }
}

/** What is left of a session whose object is aborted. */
export async function ghosts(): Promise<readonly Proof[]> {
  const relayed = await startRelayed({ bridge: { mode: "bridge" } }, {}, "tests/support/relay-entry.ts");
  try {
    const { client, upstream } = await relayed.open("bridge");
    await eventually("it", async () => (await listed(relayed)) === 1 || undefined);
    const told: { sessions: { id: string }[] } = JSON.parse(JSON.stringify(await relayed.admin("GET", "sockets")));
    const began = performance.now();
    const ended = Promise.all([client.ended(), upstream.ended()]).then(() => performance.now() - began);
    await fetch(relayed.gateway.url, { headers: { "x-test-abort": told.sessions[0]?.id ?? "" } });
    const ms = await ended;
    while ((await listed(relayed)) > 0 && performance.now() - began < 90_000) {
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    const seconds = (performance.now() - began) / 1_000;
    return [
      below("ms until both sides of a session know that its object is gone", 1_000, ms, ""),
      below("s until the listing knows", 61, seconds, ""),
    ];
  } finally {
    await relayed.stop();
  }
}

/** So many sessions that are listed. */
async function crowd(relayed: Relayed, most: number): Promise<readonly Peer[]> {
  const peers: Peer[] = [];
  for (let n = 0; n < most; n += 20) {
    peers.push(...(await Promise.all(Array.from({ length: 20 }, () => open(relayed, "bridge")))));
  }
  await eventually("all of them", async () => (await listed(relayed)) >= most || undefined);
  return peers;
}

async function drained(relayed: Relayed, peers: readonly Peer[]): Promise<number> {
  const overMs = 5_000;
  const began = performance.now();
  const ended = peers.map(async (peer) => {
    await peer.behave().ended();
    return performance.now() - began;
  });
  await relayed.admin("POST", `sockets/drain?all=true&spread=${overMs}ms`);
  const at = (await Promise.all(ended)).toSorted((a, b) => a - b);
  return Math.max(...at.map((ms, index) => Math.abs(ms - (overMs * index) / at.length))) / overMs;
}

/** The runtime puts an object away ten seconds after the last thing that happened to it; the rest is for a busy machine. */
const EVICTED_MS = 40_000;

/** Sessions that come and go in every way there is. The full soak: `SOAK_MS=600000 SOAK_SESSIONS=200`. */
export async function churn(): Promise<readonly Proof[]> {
  const relayed = await start();
  const soakMs = Number(process.env["SOAK_MS"] ?? 15_000);
  try {
    const pid = relayed.gateway.workerdPid;
    let sessions = 0;
    const until = performance.now() + soakMs;
    async function come(): Promise<void> {
      while (performance.now() < until) {
        const { client, upstream } = await relayed.open(sessions % 2 === 0 ? "bridge" : "splice");
        sessions += 1;
        client.behave();
        upstream.behave();
        client.text("hello");
        const way = sessions % 6;
        const [first, other] = sessions % 4 < 2 ? [client, upstream] : [upstream, client];
        if (way < 3) first.close(1000 + way);
        else if (way < 5) first.reset();
        else first.finish();
        await other.ended();
        client.destroy();
        upstream.destroy();
      }
    }
    // What the first sessions bring is no leak.
    await Promise.race([
      Promise.all(Array.from({ length: Number(process.env["SOAK_SESSIONS"] ?? 8) }, come)),
      new Promise((resolve) => setTimeout(resolve, soakMs / 3)),
    ]);
    const before = residentKiB(pid);
    await new Promise((resolve) => setTimeout(resolve, until - performance.now()));
    const evictedBy = performance.now() + EVICTED_MS;
    while (residentKiB(pid) > before * 1.1 && performance.now() < evictedBy) {
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
    const grown = residentKiB(pid) / before;
    const bridges = await listed(relayed, "bridge");
    return [
      below(`bridges listed after ${sessions} sessions that came and went`, 0, bridges, ""),
      below("memory afterwards, of what it was after a third of them", 1.1, grown, ""),
    ];
  } finally {
    await relayed.stop();
  }
}

async function listed(relayed: Relayed, mode = ""): Promise<number> {
  const told: { matched: number } = JSON.parse(
    JSON.stringify(await relayed.admin("GET", `sockets?limit=1${mode && `&mode=${mode}`}`)),
  );
  return told.matched;
}
