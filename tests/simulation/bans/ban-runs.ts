import { playBans, type BanMutation, type Network } from "./ban-world.ts";

/** What many runs showed. */
export interface BanRuns {
  readonly runs: number;
  readonly bans: number;
  /** Runs whose client came to 0.8 of what bans, and was not to be banned. */
  readonly near: number;
  /** Seeds of runs in which somebody was banned who had not attempted as much in any window. */
  readonly falseBans: readonly number[];
  /** Seeds of runs in which a due ban came later than 1 s and a round trip, or not at all. */
  readonly late: readonly number[];
  /** From the due attempt to the ban, in ms. */
  readonly delays: readonly number[];
  /** Reports of isolates that had refused nothing. */
  readonly reportsUnrefused: number;
}

const DETECTION_MS = 1_000;

/** Messages are lost, doubled and late by up to a minute: then nobody may be banned for nothing. */
export const HOSTILE: Network = { oneWayMs: 800, loss: 0.15, doubled: 0.3, lateMs: 60_000 };
/** Messages arrive, some of them twice: then a ban is due in time. */
export const FAIR: Network = { oneWayMs: 120, loss: 0, doubled: 0.2, lateMs: 5_000 };

/** Plays runs with seeds from `first`, and judges each. */
export function playMany(
  { first, runs, mutation }: { readonly first: number; readonly runs: number; readonly mutation?: BanMutation },
  network: Network,
): BanRuns {
  const falseBans: number[] = [];
  const late: number[] = [];
  const delays: number[] = [];
  let [bans, near, reportsUnrefused] = [0, 0, 0];
  for (let seed = first; seed < first + runs; seed++) {
    const run = playBans(seed, network, mutation);
    reportsUnrefused += run.reportsUnrefused;
    if (run.bannedAt !== undefined) bans += 1;
    if (run.reachedAt === undefined && run.most >= 0.8) near += 1;
    if (run.bannedAt !== undefined && (run.reachedAt === undefined || run.reachedAt > run.bannedAt))
      falseBans.push(seed);
    // Where messages are lost nothing is promised about time.
    if (network.loss > 0 || run.seenAt === undefined) continue;
    const delay = (run.bannedAt ?? Infinity) - run.seenAt;
    delays.push(Math.max(0, delay));
    if (delay > DETECTION_MS + 2 * network.oneWayMs) late.push(seed);
  }
  return { runs, bans, near, falseBans, late, delays, reportsUnrefused };
}
