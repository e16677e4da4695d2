import type { Proof } from "../../support/proof.ts";
import { listed } from "../../support/web-socket/crowds.ts";
import { residentKiB } from "../../support/web-socket/measure.ts";
import { openSockets } from "../../support/web-socket/own-sockets.ts";
import { below, rows, start } from "../../support/web-socket/proofs.ts";
import type { Relayed } from "../../support/web-socket/relayed.ts";

/** The full soak: `SOAK_MS=600000 SOAK_SESSIONS=200`. */
const SOAK_MS = Number(process.env["SOAK_MS"] ?? 60_000);
const SESSIONS = Number(process.env["SOAK_SESSIONS"] ?? 8);
/** The runtime puts an object away ten seconds after the last thing that happened to it, and collects its garbage more rarely still: until then there is ever more. */
const LEVEL_MS = Math.max(SOAK_MS / 3, 30_000);
/** A session that ends before it has been reported is never listed. */
const STAY_MS = 2_500;
/** The same, and the rest for a busy machine. */
const EVICTED_MS = 40_000;

/** Sessions that come and go in every way there is: what they leave. */
export async function run(): Promise<readonly Proof[]> {
  const relayed = await start();
  try {
    return await rows("sessions that come and go", () => soak(relayed), SOAK_MS + 5 * EVICTED_MS + 60_000);
  } finally {
    await relayed.stop();
  }
}

async function soak(relayed: Relayed): Promise<readonly Proof[]> {
  const pid = relayed.gateway.workerdPid;
  const socketsBefore = openSockets(pid);
  const until = performance.now() + SOAK_MS;
  const come = comers(relayed, until);
  const all = Promise.all(Array.from({ length: SESSIONS }, (_, index) => come.one(index % 4 === 0)));
  // What the first sessions bring is no leak.
  await Promise.race([all, new Promise((resolve) => setTimeout(resolve, LEVEL_MS))]);
  const before = residentKiB(pid);
  await all;
  // That nothing of a session is left is told to nobody.
  const settled = async (isIt: () => Promise<boolean>) => {
    const by = performance.now() + EVICTED_MS;
    while (!(await isIt()) && performance.now() < by) await new Promise((resolve) => setTimeout(resolve, 500));
  };
  await settled(async () => (await listed(relayed, "mode=bridge")) === 0);
  await settled(async () => (await listed(relayed, "mode=splice")) <= 1_000);
  const [bridges, splices] = [await listed(relayed, "mode=bridge"), await listed(relayed, "mode=splice")];
  await relayed.admin("POST", "sockets/close?mode=splice");
  await settled(async () => (await listed(relayed)) === 0);
  await settled(() => Promise.resolve(residentKiB(pid) <= before * 1.1));
  const left = await listed(relayed);
  // Questions to the admin API have connections of their own, which end when nothing is asked for some seconds.
  await settled(() => Promise.resolve(openSockets(pid) <= socketsBefore));
  const after = residentKiB(pid);
  const socketsAfter = openSockets(pid);
  return [
    below(
      `soak of ${SOAK_MS / 1_000} s: bridges listed after ${come.count()} sessions that came and went`,
      0,
      bridges,
      "",
    ),
    {
      promise: "soak: splices listed, whose end nobody sees",
      bound: "<= 1000, and 0 once they are ordered to close",
      figure: `${splices}, and ${left}`,
      pass: splices <= 1_000 && left === 0,
    },
    below("soak: sockets more than before", 0, socketsAfter - socketsBefore, `; ${socketsBefore} before`),
    below(
      "soak: resident memory afterwards, of what it was when it was level",
      1.1,
      after / before,
      `; ${(before / 1_024).toFixed(0)} and ${(after / 1_024).toFixed(0)} MiB`,
    ),
  ];
}

function comers(relayed: Relayed, until: number): { one: (stays: boolean) => Promise<void>; count: () => number } {
  let sessions = 0;
  return {
    count: () => sessions,
    async one(stays) {
      while (performance.now() < until) {
        const { client, upstream } = await relayed.open(sessions % 2 === 0 ? "bridge" : "splice");
        sessions += 1;
        client.behave();
        upstream.behave();
        client.text("hello");
        if (stays) await new Promise((resolve) => setTimeout(resolve, STAY_MS));
        const way = sessions % 6;
        const [first, other] = sessions % 4 < 2 ? [client, upstream] : [upstream, client];
        if (way < 3) first.close(1000 + way);
        else if (way < 5) first.reset();
        else first.finish();
        await other.ended();
        client.destroy();
        upstream.destroy();
      }
    },
  };
}
