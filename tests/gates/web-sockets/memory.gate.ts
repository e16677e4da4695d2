import { startGateway } from "../../support/gateway.ts";
import type { Proof } from "../../support/proof.ts";
import { openSocket } from "../../support/web-socket/client.ts";
import { crowd, openMany } from "../../support/web-socket/crowds.ts";
import { EventBackend } from "../../support/web-socket/event-backend.ts";
import { residentKiB } from "../../support/web-socket/measure.ts";
import { below, open, rows, start } from "../../support/web-socket/proofs.ts";

const MOST = 500;
/** From a cold start: the first ones bring code of the runtime and heap that the others find (215 KiB each of 500, 195 of these). */
const BRIDGES = 1_500;
/** The first ones grow a heap that the others find: 350 KiB each of 600, 85 of the next 500, 40 of those after. */
const WARM = 600;
/** Objects are put away after ten seconds, which nobody is told of. */
const ASLEEP_MS = 13_000;

/** Resident memory of sessions that do nothing. */
export async function run(): Promise<readonly Proof[]> {
  return [
    ...(await rows("memory of bridged sessions", bridged)),
    ...(await rows("memory of sessions of mode callback", sleeping, 120_000)),
  ];
}

async function bridged(): Promise<readonly Proof[]> {
  const relayed = await start();
  try {
    (await open(relayed, "bridge")).finish();
    const pid = relayed.gateway.workerdPid;
    const before = residentKiB(pid);
    await crowd(relayed, MOST);
    const first = ((residentKiB(pid) - before) / MOST).toFixed(0);
    await crowd(relayed, BRIDGES - MOST);
    const kib = (residentKiB(pid) - before) / BRIDGES;
    return [below(`KiB a bridged session that is idle, of ${BRIDGES}`, 200, kib, `; of the first ${MOST} ${first}`)];
  } finally {
    await relayed.stop();
  }
}

async function sleeping(): Promise<readonly Proof[]> {
  const backend = await EventBackend.start();
  const webSocket = { callback: {}, sessionsPerAddress: false };
  const gateway = await startGateway({
    config: {
      allowPrivateTargets: true,
      routes: [{ id: "chat", prefix: "/", target: backend.url, webSocket }],
    },
  });
  try {
    const fallAsleep = () => new Promise((resolve) => setTimeout(resolve, ASLEEP_MS));
    await openMany(WARM, () => openSocket(gateway.url, { path: "/room" }));
    await fallAsleep();
    const before = residentKiB(gateway.workerdPid);
    await openMany(MOST, () => openSocket(gateway.url, { path: "/room" }));
    await fallAsleep();
    const kib = (residentKiB(gateway.workerdPid) - before) / MOST;
    return [below("KiB a session of mode callback that sleeps", 150, kib, "")];
  } finally {
    await gateway.kill();
    await backend.stop();
  }
}
