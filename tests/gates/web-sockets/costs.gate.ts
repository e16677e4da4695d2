import { startChild } from "../../../bench/child.ts";
import type { Proof } from "../../support/proof.ts";
import { echoes, median, roundTrips } from "../../support/web-socket/measure.ts";
import { above, below, MODES, open, rows, start, type Mode } from "../../support/web-socket/proofs.ts";

const ROUNDS = 7;
type Figures = Record<Mode, number[]>;

const ORIGIN = new URL("../../support/web-socket/origin-main.ts", import.meta.url);
type Ways = Parameters<typeof open>[0];

/**
 * What a relayed WebSocket costs: against no relay, and against the least relay there can be. The origin is a process of its own, as
 * origins are: in that of the client it would answer without the system waking anybody, and `direct` would be no network at all.
 */
export async function run(): Promise<readonly Proof[]> {
  const child = await startChild(ORIGIN);
  const origin = { url: `http://127.0.0.1:${child.port}` };
  try {
    const relayed = await start("tests/support/raw-relay-entry.ts", origin.url);
    const ways = { gateway: relayed.gateway, origin };
    try {
      return [
        ...(await rows("round trips and throughput", () => messages(ways), 180_000)),
        ...(await rows("handshakes", () => handshakes(ways))),
      ];
    } finally {
      await relayed.stop();
    }
  } finally {
    await child.stop();
  }
}

async function messages(relayed: Ways): Promise<readonly Proof[]> {
  const [trips, small, large] = [empty(), empty(), empty()];
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
  const us = (mode: Mode) => median(trips[mode].map((one, round) => one - (trips.direct[round] ?? 0)));
  const added = (mode: Mode, most: number, raw: Mode) =>
    below(
      `round trip added by ${mode}, p50 of 64 bytes, us`,
      most,
      us(mode),
      `; a ${raw} ${us(raw).toFixed(0)}; direct ${median(trips.direct).toFixed(0)}`,
    );
  const share = (what: string, of: Figures, mode: Mode, raw: Mode, least: number) =>
    above(`${what} through ${mode}, of a ${raw}`, least, median(ratios(of[mode], of[raw])), of[mode]);
  return [
    added("splice", 50, "raw-splice"),
    added("bridge", 200, "raw-pump"),
    added("held", 260, "raw-pump"),
    share("small messages", small, "splice", "raw-splice", 0.9),
    share("small messages", small, "bridge", "raw-pump", 0.8),
    share("small messages", small, "held", "raw-pump", 0.7),
    share("messages of 64 KiB", large, "splice", "raw-splice", 0.9),
    share("messages of 64 KiB", large, "bridge", "raw-pump", 0.8),
    share("messages of 64 KiB", large, "held", "raw-pump", 0.7),
  ];
}

async function handshakes(relayed: Ways): Promise<readonly Proof[]> {
  const opened = empty();
  // Each in its turn: what else the machine does then counts for all alike.
  for (let n = 0; n < 60; n++) {
    for (const mode of MODES) {
      const began = performance.now();
      const peer = await open(relayed, mode);
      opened[mode].push(performance.now() - began);
      peer.destroy();
    }
  }
  const ms = (mode: Mode) => median(opened[mode]);
  return [
    below(
      "handshake of a bridge beyond a raw pump's, p50, ms",
      1,
      ms("bridge") - ms("raw-pump"),
      `; a raw one ${ms("raw-pump").toFixed(1)}, a splice ${ms("splice").toFixed(1)}, held ${ms("held").toFixed(1)}`,
    ),
  ];
}

/** Each within its round: what the machine does to one it does to the other. */
function ratios(ours: readonly number[], raw: readonly number[]): readonly number[] {
  return ours.map((one, round) => one / (raw[round] ?? Number.NaN));
}

function empty(): Figures {
  return { direct: [], "raw-splice": [], splice: [], "raw-pump": [], bridge: [], held: [] };
}
