import type { RowResult } from "../table.ts";
import { FAIR, HOSTILE, playMany, type BanRuns } from "./ban-runs.ts";

/** What so many runs over each network show: one that loses and repeats messages, and one that brings them. */
export function measureBans(runs: number): readonly RowResult[] {
  const hostile = playMany({ first: 10_000, runs }, HOSTILE);
  const fair = playMany({ first: 20_000, runs }, FAIR);
  const falseBans = [...hostile.falseBans, ...fair.falseBans];
  const roundTripMs = 2 * FAIR.oneWayMs;
  return [
    {
      promise: `false bans with reports lost, late and doubled in ${2 * runs} runs`,
      bound: "0",
      figure: `${falseBans.length}; ${hostile.bans + fair.bans} true, ${hostile.near + fair.near} near`,
      pass: falseBans.length === 0 && hostile.bans > 0 && hostile.near > 0,
    },
    {
      promise: "time to detection, virtual clock",
      bound: `<= 1 s + ${roundTripMs} ms`,
      figure: `${delaysOf(fair)} over ${fair.delays.length} bans`,
      pass: fair.late.length === 0 && fair.delays.length > 0,
    },
    {
      promise: "reports from isolates that refused nothing",
      bound: "0",
      figure: String(hostile.reportsUnrefused + fair.reportsUnrefused),
      pass: hostile.reportsUnrefused + fair.reportsUnrefused === 0,
    },
  ];
}

function delaysOf({ delays }: BanRuns): string {
  const sorted = delays.toSorted((a, b) => a - b);
  const at = (share: number) => Math.round(sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN);
  return `p50 ${at(0.5)} ms, max ${at(1)} ms`;
}
