import { once } from "node:events";
import { beginHandshake } from "../support/web-socket/client.ts";
import { churn, ghosts, idle } from "../support/web-socket/crowds.ts";
import { echoes, median, residentKiB, roundTrips } from "../support/web-socket/measure.ts";
import { above, below, MODES, open, start, type Mode } from "../support/web-socket/proofs.ts";
import { startRelayed } from "../support/web-socket/relayed.ts";
import type { Proof } from "../support/proof.ts";

const ROUNDS = 5;

/** What a relayed WebSocket costs, and what it leaves behind: against no relay, and against the least relay there can be. */
export async function run(): Promise<Proof[]> {
  // It does nothing but wait.
  const crashed = ghosts();
  const proofs = [
    ...(await costs()),
    ...(await leaks()),
    ...(await slowPeers()),
    ...(await idle()),
    ...(await churn()),
  ];
  return [...proofs, ...(await crashed)];
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
        const peer = await open(relayed, mode);
        await roundTrips(peer, 200);
        trips[mode].push(median(await roundTrips(peer, 1_000)));
        small[mode].push(await echoes(peer, { size: 64, inFlight: 64, ms: 600 }));
        large[mode].push(await echoes(peer, { size: 65_536, inFlight: 8, ms: 400 }));
        peer.destroy();
      }
    }
    // Each in its turn: what else the machine does then counts for all alike.
    for (let n = 0; n < 60; n++) {
      for (const mode of MODES) {
        const began = performance.now();
        const peer = await open(relayed, mode);
        opened[mode].push(performance.now() - began);
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
      below(
        "handshake of a bridge beyond a raw pump's, p50, ms",
        1,
        median(opened.bridge) - median(opened["raw-pump"]),
        `; a raw one ${median(opened["raw-pump"]).toFixed(1)}, a splice ${median(opened.splice).toFixed(1)}`,
      ),
    ];
  } finally {
    await relayed.stop();
  }
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

function empty(): Record<Mode, number[]> {
  return { direct: [], "raw-splice": [], splice: [], "raw-pump": [], bridge: [] };
}
