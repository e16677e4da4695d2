import { startGateway } from "../support/gateway.ts";
import { openSocket } from "../support/web-socket/client.ts";
import { EventBackend } from "../support/web-socket/event-backend.ts";
import { median, residentKiB } from "../support/web-socket/measure.ts";
import type { Peer } from "../support/web-socket/peer.ts";
import { startRelayed } from "../support/web-socket/relayed.ts";
import type { Proof } from "../support/proof.ts";

const ROUNDS = 5;
/** Met by none of it. */
const HIGH = { bytesPerSecond: "100GiB", byteBurst: "100GiB" };

/** What one connection to the origin gives to many clients, and what a session costs that has none. */
export async function run(): Promise<Proof[]> {
  return [...(await fanOut()), await sleepers()];
}

async function fanOut(): Promise<readonly Proof[]> {
  const relayed = await startRelayed({
    fan: { fromUpstream: HIGH, sessionsPerAddress: false, shared: { between: "anyone" } },
  });
  try {
    const rates: number[] = [];
    const broadcasts: number[] = [];
    for (const [room, count] of [
      ["many", 100],
      ["crowd", 500],
    ] as const) {
      const path = `/fan/held?${room}`;
      const clients: Peer[] = [];
      for (let n = 0; n < count; n += 20) {
        clients.push(
          ...(await Promise.all(Array.from({ length: 20 }, () => openSocket(relayed.gateway.url, { path })))),
        );
      }
      const source = await relayed.origin.accept(room);
      for (const client of clients) client.countOnly();
      const message = Buffer.alloc(64, "a");
      const messages = room === "many" ? 500 : 1;
      for (let round = 0; round < ROUNDS; round++) {
        const wanted = clients.map((client) => client.received + messages * message.length);
        const began = performance.now();
        for (let n = 0; n < messages; n++) source.binary(message);
        await Promise.all(clients.map((client, at) => client.receive(wanted[at] ?? 0)));
        const ms = performance.now() - began;
        if (room === "many") rates.push((count * messages * 1_000) / ms);
        else broadcasts.push(ms);
      }
      for (const client of clients) client.destroy();
    }
    const dials = relayed.origin.seen.length;
    const rate = median(rates);
    const broadcast = median(broadcasts);
    return [
      {
        promise: "deliveries a second to 100 clients over one connection",
        bound: ">= 25000",
        figure: `${rate.toFixed(0)}; ${rates.map((one) => one.toFixed(0)).join(", ")}`,
        pass: rate >= 25_000,
      },
      {
        promise: "ms until 500 clients have a message",
        bound: "<= 150",
        figure: `${broadcast.toFixed(0)}; ${broadcasts.map((one) => one.toFixed(0)).join(", ")}`,
        pass: broadcast <= 150,
      },
      {
        promise: "connections to the origin for 600 clients in two rooms",
        bound: "= 2",
        figure: String(dials),
        pass: dials === 2,
      },
    ];
  } finally {
    await relayed.stop();
  }
}

/** Objects are put to sleep after ten seconds. */
function asleep(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 13_000));
}

async function sleepers(): Promise<Proof> {
  const backend = await EventBackend.start();
  const gateway = await startGateway({
    config: {
      allowPrivateTargets: true,
      routes: [
        { id: "chat", prefix: "/", target: backend.url, webSocket: { callback: {}, sessionsPerAddress: false } },
      ],
    },
  });
  try {
    async function open(count: number): Promise<void> {
      for (let n = 0; n < count; n += 20) {
        await Promise.all(Array.from({ length: 20 }, () => openSocket(gateway.url, { path: "/room" })));
      }
    }
    // The first ones grow a heap that the others find: 350 KiB each of 600, 85 of the next 500, 40 of those after.
    await open(600);
    await asleep();
    const before = residentKiB(gateway.workerdPid);
    const most = 500;
    await open(most);
    await asleep();
    const kib = (residentKiB(gateway.workerdPid) - before) / most;
    return {
      promise: "KiB a session of mode callback that sleeps",
      bound: "<= 150",
      figure: kib.toFixed(0),
      pass: kib <= 150,
    };
  } finally {
    await gateway.kill();
    await backend.stop();
  }
}
