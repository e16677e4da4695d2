import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startGateway } from "../../support/gateway.ts";
import type { Proof } from "../../support/proof.ts";
import { openHeld } from "../../support/web-socket/held-client.ts";
import { WebSocketOrigin } from "../../support/web-socket/origin.ts";
import { ANY_RATE, each, rows } from "../../support/web-socket/proofs.ts";
import { listening, numbered, sameSequence } from "../../support/web-socket/storm.ts";

const CLIENTS = 50;
const BEFORE = 200;
/** Messages between two pauses. */
const BURST = 20;

/** Sessions that are stored, and a runtime that is killed under load. */
export async function run(): Promise<readonly Proof[]> {
  return await rows("stored sessions over kill -9", gatewayRestart, 120_000);
}

async function gatewayRestart(): Promise<readonly Proof[]> {
  const state = mkdtempSync(join(tmpdir(), "sluice-held-"));
  const origin = await WebSocketOrigin.start();
  const webSocket = { held: { durable: true }, ...ANY_RATE };
  const config = {
    allowPrivateTargets: true,
    routes: [{ id: "live", prefix: "/live", target: origin.url, webSocket }],
  };
  let gateway = await startGateway({ config, state });
  try {
    const { port } = new URL(gateway.url);
    const sessions = await Promise.all(
      Array.from({ length: CLIENTS }, async (_, index) => {
        const mark = `mark=${index}.`;
        const client = await openHeld(`${gateway.url}/live/held?${mark}`, { control: index % 2 === 0 });
        return { mark, client, before: listening(await origin.accept(mark)) };
      }),
    );
    for (let n = 1; n <= BEFORE; n += 1) {
      for (const { client, before } of sessions) {
        client.socket.send(`c${n}`);
        before.peer.text(`s${n}`);
      }
      // So that batches are written in between, and the last of them are not.
      if (n % BURST === 0)
        await Promise.all(sessions.map(({ client }) => client.until(() => client.got.length >= n - BURST)));
    }
    await gateway.kill();
    gateway = await startGateway({ config, state, port: Number(port) });
    const last = `c${BEFORE + 1}`;
    const outcomes = await Promise.all(
      sessions.map(async ({ mark, client, before }, index) => {
        await client.until(() => client.told.includes("resumed") || client.socket.readyState !== 1);
        if (client.socket.readyState !== 1) return [`${index}: ${client.told.at(-1)}`];
        const anew = listening(await origin.accept(mark));
        client.socket.send(last);
        await anew.until(() => anew.got.includes(last));
        const toOrigin = [...new Set([...before.got, ...anew.got])];
        const isWhole = sameSequence(toOrigin, numbered("c", BEFORE + 1));
        const isInOrder = sameSequence(client.got, numbered("s", client.got.length));
        return isWhole && isInOrder ? [] : [`${index}: ${toOrigin.length} of ${BEFORE + 1} came`];
      }),
    );
    for (const { client } of sessions) client.socket.close();
    const promise = "stored sessions that go on after kill -9, with all that was acknowledged";
    return [each(promise, CLIENTS, outcomes.flat())];
  } finally {
    await gateway.kill();
    await origin.stop();
    rmSync(state, { recursive: true, force: true });
  }
}
