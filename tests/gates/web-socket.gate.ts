import { once } from "node:events";
import { beginHandshake, openSocket } from "../support/web-socket/client.ts";
import { echoes, median, residentKiB, roundTrips } from "../support/web-socket/measure.ts";
import type { Peer } from "../support/web-socket/peer.ts";
import { eventually, startRelayed, type Relayed } from "../support/web-socket/relayed.ts";
import type { Proof } from "../support/proof.ts";

/** The limits act, and are never met. */
const HIGH = { messagesPerSecond: 10_000_000, messageBurst: 10_000_000, bytesPerSecond: "100GiB", byteBurst: "100GiB" };
const ROUNDS = 5;
const MODES = ["direct", "raw-splice", "splice", "raw-pump", "bridge"] as const;
type Mode = (typeof MODES)[number];

/** What a relayed WebSocket costs, and what it leaves behind: against no relay, and against the least relay there can be. */
export async function run(): Promise<Proof[]> {
  return [...(await costs()), ...(await leaks()), ...(await slowPeers()), ...(await idle()), ...(await churn())];
}

function start(entry?: string): Promise<Relayed> {
  const bridge = { mode: "bridge", fromClient: HIGH, fromUpstream: HIGH, sessionsPerAddress: false };
  return startRelayed({ splice: true, bridge, usual: { mode: "bridge", sessionsPerAddress: false } }, {}, entry);
}

async function costs(): Promise<readonly Proof[]> {
  const relayed = await start("tests/support/raw-relay-entry.ts");
  try {
    const trips = empty();
    const small = empty();
    const large = empty();
    const opened = empty();
    for (let round = 0; round < ROUNDS; round++) {
      for (const mode of MODES) {
        const began = performance.now();
        const peer = await open(relayed, mode);
        opened[mode].push(performance.now() - began);
        await roundTrips(peer, 200);
        trips[mode].push(median(await roundTrips(peer, 1_000)));
        small[mode].push(await echoes(peer, { size: 64, inFlight: 64, ms: 600 }));
        large[mode].push(await echoes(peer, { size: 65_536, inFlight: 8, ms: 400 }));
        peer.destroy();
      }
    }
    const us = (mode: Mode) => median(trips[mode]) - median(trips.direct);
    const share = (of: Record<Mode, number[]>, mode: Mode, raw: Mode) => median(of[mode]) / median(of[raw]);
    return [
      below(
        "round trip added by a splice, p50 of 64 bytes, us",
        50,
        us("splice"),
        `; a raw one ${us("raw-splice").toFixed(0)}`,
      ),
      below(
        "round trip added by a bridge, p50 of 64 bytes, us",
        200,
        us("bridge"),
        `; a raw pump ${us("raw-pump").toFixed(0)}`,
      ),
      above(
        "small messages through a splice, of a raw splice",
        0.9,
        share(small, "splice", "raw-splice"),
        small.splice,
      ),
      above("small messages through a bridge, of a raw pump", 0.8, share(small, "bridge", "raw-pump"), small.bridge),
      above(
        "messages of 64 KiB through a splice, of a raw splice",
        0.9,
        share(large, "splice", "raw-splice"),
        large.splice,
      ),
      above(
        "messages of 64 KiB through a bridge, of a raw pump",
        0.8,
        share(large, "bridge", "raw-pump"),
        large.bridge,
      ),
      {
        promise: "handshake of a bridge, against a raw pump's, ms",
        bound: "told",
        figure: `${median(opened.bridge).toFixed(1)}, ${median(opened["raw-pump"]).toFixed(1)}; a splice ${median(opened.splice).toFixed(1)}`,
        pass: true,
      },
    ];
  } finally {
    await relayed.stop();
  }
}

function open({ gateway, origin }: Relayed, mode: Mode): Promise<Peer> {
  if (mode === "direct") return openSocket(origin.url, { path: "/echo" });
  const headers = { "X-Test-Upstream": `${origin.url}/echo` };
  return openSocket(gateway.url, mode.startsWith("raw") ? { path: `/${mode}`, headers } : { path: `/${mode}/echo` });
}

async function leaks(): Promise<readonly Proof[]> {
  const relayed = await startRelayed({
    splice: { handshakeTimeout: "1s" },
    bridge: { mode: "bridge", handshakeTimeout: "1s", sessionsPerAddress: false },
  });
  try {
    const dials = 100;
    for (const mode of ["splice", "bridge"]) {
      const knock = () => beginHandshake(relayed.gateway.url, { path: `/${mode}/hang` });
      const left = await Promise.all(Array.from({ length: dials }, knock));
      const waiting = await Promise.all(Array.from({ length: dials }, knock));
      await Promise.all(waiting.map((socket) => once(socket, "data")));
      for (const socket of left) socket.destroy();
      for (const socket of waiting) socket.destroy();
    }
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const { hanging } = relayed.origin;
    return [below("dials left, 1 s after the time of 200 aborted and 200 hanging ones", 0, hanging, "")];
  } finally {
    await relayed.stop();
  }
}

/** 187 MiB for a peer that reads nothing, each way and in both modes, in a fresh process each. */
async function slowPeers(): Promise<readonly Proof[]> {
  const proofs: Proof[] = [];
  for (const mode of ["splice", "usual"]) {
    for (const from of ["client", "upstream"] as const) {
      const relayed = await start();
      try {
        const ends = await relayed.open(mode);
        const [sender, taker] = [ends[from], from === "client" ? ends.upstream : ends.client];
        const pid = relayed.gateway.workerdPid;
        const before = residentKiB(pid);
        taker.socket.pause();
        const total = 187 * 2 ** 20;
        const flooded = (mode === "splice" ? sender : sender.behave()).flood(total, 2 ** 17);
        let peak = before;
        for (let n = 0; n < 20; n++) {
          await new Promise((resolve) => setTimeout(resolve, 100));
          peak = Math.max(peak, residentKiB(pid));
        }
        const grownMiB = (peak - before) / 1_024;
        const isSplice = mode === "splice";
        if (!isSplice) await sender.ended();
        taker.countOnly();
        taker.socket.resume();
        if (isSplice) await Promise.all([flooded, taker.receive(total)]);
        const outcome = isSplice ? "all delivered" : `closed with ${(await sender.ended()).code}`;
        proofs.push(
          below(
            `MiB grown by 187 MiB from the ${from} that nobody reads, ${isSplice ? mode : "bridge"}`,
            isSplice ? 8 : 32,
            grownMiB,
            `; ${outcome}`,
          ),
        );
        sender.destroy();
        taker.destroy();
      } finally {
        await relayed.stop();
      }
    }
  }
  return proofs;
}

/** Memory of sessions that do nothing, and how soon all of them are gone when they are told to. */
async function idle(): Promise<readonly Proof[]> {
  const relayed = await start();
  try {
    (await open(relayed, "bridge")).finish();
    const pid = relayed.gateway.workerdPid;
    const before = residentKiB(pid);
    const most = 500;
    const peers: Peer[] = [];
    for (let n = 0; n < most; n += 20) {
      peers.push(...(await Promise.all(Array.from({ length: 20 }, () => open(relayed, "bridge")))));
    }
    const perSession = (residentKiB(pid) - before) / most;
    await eventually("all of them", async () => (await listed(relayed)) >= most || undefined);
    const ended = peers.map((peer) => peer.behave().ended());
    const began = performance.now();
    await relayed.admin("POST", "sockets/close?all=true&code=4000&reason=gate");
    const ends = await Promise.all(ended);
    const ms = performance.now() - began;
    const isClean = ends.every(({ code, by }) => code === 4000 && by === "fin");
    await eventually("none of them", async () => (await listed(relayed)) === 0 || undefined);
    return [
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

/** Sessions that come and go in every way there is. The full soak: `SOAK_MS=600000`. */
async function churn(): Promise<readonly Proof[]> {
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
      Promise.all(Array.from({ length: 8 }, come)),
      new Promise((resolve) => setTimeout(resolve, soakMs / 3)),
    ]);
    const before = residentKiB(pid);
    await new Promise((resolve) => setTimeout(resolve, until - performance.now() + 6_000));
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

function empty(): Record<Mode, number[]> {
  return { direct: [], "raw-splice": [], splice: [], "raw-pump": [], bridge: [] };
}

function below(promise: string, bound: number, figure: number, more: string): Proof {
  return { promise, bound: `<= ${bound}`, figure: figure.toFixed(figure < 10 ? 2 : 0) + more, pass: figure <= bound };
}

function above(promise: string, bound: number, figure: number, perSecond: readonly number[]): Proof {
  const told = `${figure.toFixed(2)}; ${median(perSecond).toFixed(0)} a second`;
  return { promise, bound: `>= ${bound}`, figure: told, pass: figure >= bound };
}
