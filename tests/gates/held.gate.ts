import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startGateway } from "../support/gateway.ts";
import type { Proof } from "../support/proof.ts";
import { openHeld, type HeldClient } from "../support/web-socket/held-client.ts";
import { WebSocketOrigin } from "../support/web-socket/origin.ts";
import { startRelayed } from "../support/web-socket/relayed.ts";
import { listening, numbered, storm } from "../support/web-socket/storm.ts";

const ANY_RATE = {
  fromClient: { messagesPerSecond: false, bytesPerSecond: false },
  fromUpstream: { bytesPerSecond: false },
  sessionsPerAddress: false,
};
const MESSAGES = 20_000;
const CLIENTS = 50;

/** Sessions that are held: nothing is lost whatever fails, and coming back is fast. */
export async function run(): Promise<Proof[]> {
  return [...(await storms()), await backendRestart(), await gatewayRestart()];
}

async function storms(): Promise<readonly Proof[]> {
  const relayed = await startRelayed({ held: { mode: "held", ...ANY_RATE } });
  try {
    const proofs: Proof[] = [];
    for (const [what, weather] of [
      ["200 resets", { resets: 200, takeovers: 0, seed: 1 }],
      ["100 take-overs", { resets: 0, takeovers: 100, seed: 2 }],
      ["200 resets, with control frames", { resets: 200, takeovers: 0, seed: 3, control: true }],
    ] as const) {
      const end = await storm(relayed, "held", { messages: MESSAGES, ...weather });
      const isWhole = isSame(end.toOrigin, numbered("c", MESSAGES)) && isSame(end.toClient, numbered("s", MESSAGES));
      proofs.push({
        promise: `${what} in ${MESSAGES} messages each way: lost, doubled or out of order`,
        bound: "0",
        figure: isWhole ? "0" : `${end.toOrigin.length} and ${end.toClient.length} came; ${end.told.at(-1)}`,
        pass: isWhole,
      });
      if (end.resumeMs.length === 0) continue;
      const sorted = end.resumeMs.toSorted((one, other) => one - other);
      const [p50 = 0, p99 = 0] = [0.5, 0.99].map((part) => sorted[Math.floor(sorted.length * part)]);
      proofs.push({
        promise: `${what}: from a loss until the session goes on, p99 in ms`,
        bound: "<= 25",
        figure: `${p99.toFixed(1)}; p50 ${p50.toFixed(1)}, of ${sorted.length}`,
        pass: p99 <= 25,
      });
    }
    return proofs;
  } finally {
    await relayed.stop();
  }
}

async function backendRestart(): Promise<Proof> {
  const relayed = await startRelayed({ held: { held: { upstreamReconnect: true }, ...ANY_RATE } });
  let origin = relayed.origin;
  try {
    const clients = await openAll(relayed.gateway.url.concat("/held/echo"));
    const port = Number(new URL(origin.url).port);
    say(clients, "before");
    await heard(clients, "before");
    await origin.stop();
    say(clients, "meanwhile");
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    origin = await WebSocketOrigin.start(port);
    await heard(clients, "meanwhile");
    const lost = clients.filter(({ told }) => told.length > 1).length;
    return {
      promise: `clients of ${CLIENTS} that notice a backend that is away for 4 s`,
      bound: "0",
      figure: String(lost),
      pass: lost === 0,
    };
  } finally {
    await relayed.gateway.kill();
    await origin.stop();
  }
}

async function gatewayRestart(): Promise<Proof> {
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
    for (let n = 1; n <= 200; n += 1) {
      for (const { client, before } of sessions) {
        client.socket.send(`c${n}`);
        before.peer.text(`s${n}`);
      }
      if (n % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await gateway.kill();
    gateway = await startGateway({ config, state, port: Number(port) });
    const whole = await Promise.all(
      sessions.map(async ({ mark, client, before }) => {
        await client.until(() => client.told.includes("resumed") || client.socket.readyState !== 1);
        if (client.socket.readyState !== 1) return false;
        const anew = listening(await origin.accept(mark));
        client.socket.send("c201");
        await anew.until(() => anew.got.includes("c201"));
        const got = [...new Set([...before.got, ...anew.got])];
        return isSame(got, numbered("c", 201)) && isSame(client.got, numbered("s", client.got.length));
      }),
    );
    const good = whole.filter(Boolean).length;
    for (const { client } of sessions) client.socket.close();
    return {
      promise: `stored sessions of ${CLIENTS} that go on after kill -9, with all that was acknowledged`,
      bound: String(CLIENTS),
      figure: String(good),
      pass: good === CLIENTS,
    };
  } finally {
    await gateway.kill();
    await origin.stop();
    rmSync(state, { recursive: true, force: true });
  }
}

function openAll(url: string): Promise<readonly HeldClient[]> {
  return Promise.all(Array.from({ length: CLIENTS }, () => openHeld(url)));
}

function say(clients: readonly HeldClient[], text: string): void {
  for (const { socket } of clients) socket.send(text);
}

async function heard(clients: readonly HeldClient[], text: string): Promise<void> {
  await Promise.all(
    clients.map((client) => client.until(() => client.got.includes(text) || client.socket.readyState !== 1)),
  );
}

function isSame(got: readonly unknown[], wanted: readonly unknown[]): boolean {
  return got.length === wanted.length && got.every((item, index) => item === wanted[index]);
}
